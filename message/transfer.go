package message

import (
	"bytes"
	"encoding/base64"
)

// appendBase64 appends what src encodes. CR, LF and whatever else is not of the alphabet is
// passed over; padding, wherever it stands, ends a group, and a last group may lack it.
func appendBase64(dst, src []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, base64.StdEncoding.DecodedLen(len(src)))...)
	if n, err := base64.StdEncoding.Decode(dst[start:], src); err == nil {
		return dst[:start+n]
	}
	dst = dst[:start]
	var group uint32
	bits := 0
	for _, c := range src {
		v := sextet(c)
		switch {
		case v >= 0:
			group = group<<6 | uint32(v)
			if bits += 6; bits >= 8 {
				bits -= 8
				dst = append(dst, byte(group>>bits))
			}
		case c == '=':
			bits = 0
		}
	}
	return dst
}

// sextet returns the value of a digit of base64, or -1.
func sextet(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+':
		return 62
	case c == '/':
		return 63
	}
	return -1
}

// appendQuoted appends what src encodes in quoted-printable (RFC 2045 section 6.7). An "=" that
// begins nothing known stands for itself, and octets that should have been quoted stay.
func appendQuoted(dst, src []byte) []byte {
	for len(src) > 0 {
		line := src
		if i := bytes.IndexByte(src, '\n'); i >= 0 {
			line = src[:i+1]
		}
		src = src[len(line):]
		text := trimLineEnd(line)
		ending := line[len(text):]
		text = bytes.TrimRight(text, " \t") // rule 3: blanks there were added on the way
		if n := len(text); n > 0 && text[n-1] == '=' {
			text, ending = text[:n-1], nil // a soft line break
		}
		for i := 0; i < len(text); i++ {
			if text[i] == '=' && i+2 < len(text) && unhex(text[i+1]) >= 0 && unhex(text[i+2]) >= 0 {
				dst = append(dst, byte(unhex(text[i+1])<<4|unhex(text[i+2])))
				i += 2
				continue
			}
			dst = append(dst, text[i])
		}
		dst = append(dst, ending...)
	}
	return dst
}
