package imap

import (
	"encoding/base64"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Modified UTF-7 (RFC 3501, 5.1.3): printable ASCII stands for itself, "&" for the start of UTF-16BE in base64 with ","
// for "/" and no padding, up to "-". "&-" is "&".
var base64UTF7 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").
	WithPadding(base64.NoPadding)

// EncodeMailbox returns the name of a mailbox, given in UTF-8, in modified UTF-7. Octets that are no UTF-8 are encoded as
// U+FFFD; a name of the server's own that cannot be decoded must be kept as the server spelled it.
func EncodeMailbox(name string) string {
	plain := true
	for i := range len(name) {
		if c := name[i]; c < ' ' || c > '~' || c == '&' {
			plain = false
			break
		}
	}
	if plain {
		return name
	}
	var b strings.Builder
	var wide []byte // UTF-16BE not yet written
	flush := func() {
		if len(wide) > 0 {
			b.WriteByte('&')
			b.WriteString(base64UTF7.EncodeToString(wide))
			b.WriteByte('-')
			wide = wide[:0]
		}
	}
	for _, r := range name {
		switch {
		case r == '&':
			flush()
			b.WriteString("&-")
		case ' ' <= r && r <= '~':
			flush()
			b.WriteByte(byte(r))
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			wide = append(wide, byte(hi>>8), byte(hi), byte(lo>>8), byte(lo))
		default:
			wide = append(wide, byte(r>>8), byte(r))
		}
	}
	flush()
	return b.String()
}

// DecodeMailbox returns the UTF-8 of a name in modified UTF-7. ok is false if EncodeMailbox would not give name back, as
// with invalid base64, lone surrogates, needless encodings or octets beyond ASCII; then the decoded name is a best
// effort, and name itself must be kept to reach the mailbox.
func DecodeMailbox(name string) (decoded string, ok bool) {
	if strings.IndexByte(name, '&') < 0 {
		for i := range len(name) {
			if c := name[i]; c < ' ' || c > '~' {
				return name, false
			}
		}
		return name, true
	}
	var b strings.Builder
	for rest := name; rest != ""; {
		plain, shifted, found := strings.Cut(rest, "&")
		b.WriteString(plain)
		if !found {
			break
		}
		code, after, closed := strings.Cut(shifted, "-")
		text, valid := decodeShifted(code)
		switch {
		case closed && code == "":
			b.WriteByte('&')
		case closed && valid:
			b.WriteString(text)
		default: // not what it claims to be: leave it as it is
			b.WriteByte('&')
			b.WriteString(code)
			if closed {
				b.WriteByte('-')
			}
		}
		rest = after
	}
	decoded = b.String()
	return decoded, utf8.ValidString(decoded) && EncodeMailbox(decoded) == name
}

// decodeShifted decodes what stands between "&" and "-".
func decodeShifted(code string) (text string, ok bool) {
	wide, err := base64UTF7.DecodeString(code)
	if err != nil || len(wide) == 0 || len(wide)%2 != 0 {
		return "", false
	}
	var b strings.Builder
	for i := 0; i < len(wide); i += 2 {
		r := rune(wide[i])<<8 | rune(wide[i+1])
		if utf16.IsSurrogate(r) {
			if i+3 >= len(wide) {
				return "", false
			}
			r = utf16.DecodeRune(r, rune(wide[i+2])<<8|rune(wide[i+3]))
			if r == utf8.RuneError {
				return "", false
			}
			i += 2
		}
		b.WriteRune(r)
	}
	return b.String(), true
}
