package message

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

// DecodeText turns a raw field value into text for people: it unfolds lines, decodes the encoded
// words of RFC 2047, takes 8-bit text that is no UTF-8 as Windows-1252, and puts a space for each
// control character. What cannot be decoded stays as it is written. At most 64 KiB of the value
// are read.
//
// QUIRK: many mailers, always: encoded words with spaces in them, within quoted strings, glued to
// other text, without padding, or with a character torn over two words; all are read.
func DecodeText(value []byte) string {
	if len(value) > maxValue {
		value = value[:maxValue]
	}
	value = bytes.TrimSpace(value)
	if bytes.Contains(value, []byte("=?")) {
		return tidy(decodeWords(value))
	}
	return tidy(toUTF8("", value))
}

// word is an encoded word taken apart.
type word struct {
	charset string
	content []byte // decoded from B or Q, still in the charset
}

// decodeWords decodes the encoded words in value. Words of the same charset that follow one
// another are joined before their charset is decoded.
func decodeWords(value []byte) string {
	var out strings.Builder
	var open word // decoded but not yet written: the next word may continue it
	flush := func() {
		out.WriteString(toUTF8(open.charset, open.content))
		open = word{}
	}
	for len(value) > 0 {
		i := bytes.Index(value, []byte("=?"))
		if i < 0 {
			break
		}
		w, n, ok := parseWord(value[i:])
		if !ok {
			flush()
			out.WriteString(toUTF8("", value[:i+2]))
			value = value[i+2:]
			continue
		}
		// RFC 2047 section 6.2: blanks between two encoded words are not shown.
		if between := value[:i]; open.charset == "" || len(bytes.TrimSpace(between)) > 0 {
			flush()
			out.WriteString(toUTF8("", between))
		}
		if !strings.EqualFold(open.charset, w.charset) {
			flush()
		}
		open.charset = w.charset
		open.content = append(open.content, w.content...)
		value = value[i+n:]
	}
	flush()
	out.WriteString(toUTF8("", value))
	return out.String()
}

// parseWord reads the encoded word at the start of b, which begins with "=?", and returns how
// long it is.
func parseWord(b []byte) (w word, n int, ok bool) {
	const maxCharset = 64
	q := bytes.IndexByte(b[2:min(len(b), maxCharset)], '?')
	if q < 1 || len(b) < q+5 || b[q+4] != '?' {
		return word{}, 0, false
	}
	charset := string(b[2 : q+2])
	if lang := strings.IndexByte(charset, '*'); lang > 0 { // RFC 2231 section 5
		charset = charset[:lang]
	}
	if strings.ContainsAny(charset, " \t\r\n") {
		return word{}, 0, false
	}
	text := b[q+5:]
	end := bytes.Index(text, []byte("?="))
	if end < 0 {
		return word{}, 0, false
	}
	n = q + 5 + end + 2
	switch b[q+3] {
	case 'B', 'b':
		return word{charset, appendBase64(nil, text[:end])}, n, true
	case 'Q', 'q':
		// "=?utf-8?Q?=41?=": a "?=" that is followed by two hex digits ends no word if the word
		// is still empty.
		if end == 0 && len(text) > 3 && unhex(text[2]) >= 0 && unhex(text[3]) >= 0 {
			if more := bytes.Index(text[2:], []byte("?=")); more >= 0 {
				end = 2 + more
				n = q + 5 + end + 2
			}
		}
		return word{charset, decodeQ(text[:end])}, n, true
	}
	return word{}, 0, false
}

// decodeQ decodes the Q encoding of RFC 2047 section 4.2. An "=" without two hex digits stands
// for itself.
func decodeQ(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '_':
			out = append(out, ' ')
		case c == '=' && i+2 < len(text) && unhex(text[i+1]) >= 0 && unhex(text[i+2]) >= 0:
			out = append(out, byte(unhex(text[i+1])<<4|unhex(text[i+2])))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out
}

// unhex returns the value of a hex digit, or -1.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// toUTF8 decodes content from a charset by its name or any of its usual aliases. An unknown or
// missing charset is taken as UTF-8, and as Windows-1252 if it is none.
func toUTF8(charset string, content []byte) string {
	if len(content) == 0 {
		return ""
	}
	if charset != "" && !strings.EqualFold(charset, "utf-8") {
		if enc, err := htmlindex.Get(charset); err == nil {
			if out, err := enc.NewDecoder().Bytes(content); err == nil {
				return string(out)
			}
		}
	}
	if utf8.Valid(content) {
		return string(content)
	}
	if strings.EqualFold(charset, "utf-8") { // said to be, and nearly is
		return strings.ToValidUTF8(string(content), "\uFFFD")
	}
	out, _ := charmap.Windows1252.NewDecoder().Bytes(content) // cannot fail: each octet has a meaning
	return string(out)
}

// tidy makes one line of s: line ends of folds vanish, other control characters become spaces,
// so that a header can move no cursor and break no table.
func tidy(s string) string {
	plain := true
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\r' || r == '\n':
			return -1
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		}
		return r
	}, s))
}
