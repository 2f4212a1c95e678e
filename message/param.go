package message

import (
	"bytes"
	"strconv"
)

// token returns the first word of a structured field value: up to a semicolon, a blank or a
// comment, without the quotes that some put around it.
func token(value []byte) []byte {
	value = trimBlanks(value)
	if i := bytes.IndexAny(value, "; \t\r\n("); i >= 0 {
		value = value[:i]
	}
	return bytes.Trim(value, `"`)
}

// parameter returns the value of the first parameter with this name of a Content-Type or
// Content-Disposition value, unquoted but not decoded; nil if there is none. Only a quoted value
// with a backslash in it is copied.
func parameter(value []byte, name string) []byte {
	for {
		i := skipToSemicolon(value)
		if i == len(value) {
			return nil
		}
		value = trimBlanksLeft(value[i+1:])
		if len(value) < len(name) || !foldEqual(value[:len(name)], name) {
			continue
		}
		rest := trimBlanksLeft(value[len(name):])
		if len(rest) == 0 || rest[0] != '=' {
			continue
		}
		rest = trimBlanksLeft(rest[1:])
		if len(rest) > 0 && rest[0] == '"' {
			return unquote(rest[1:])
		}
		if i := bytes.IndexAny(rest, "; \t\r\n"); i >= 0 {
			rest = rest[:i]
		}
		return rest
	}
}

// skipToSemicolon returns where the next semicolon stands outside of quotes, or len(b).
func skipToSemicolon(b []byte) int {
	quoted := false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ';' && !quoted:
			return i
		}
	}
	return len(b)
}

// unquote returns what stands before the closing quote in b, without backslashes. A missing
// closing quote is forgiven.
func unquote(b []byte) []byte {
	end := len(b)
	escaped := false
	for i := 0; i < len(b); i++ {
		if b[i] == '"' {
			end = i
			break
		}
		if b[i] == '\\' {
			escaped = true
			i++
		}
	}
	b = b[:end]
	if !escaped {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			i++
		}
		out = append(out, b[i])
	}
	return out
}

// foldIs reports whether b is s when the case of ASCII letters does not count.
func foldIs(b []byte, s string) bool { return len(b) == len(s) && foldEqual(b, s) }

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func trimBlanksLeft(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	return b
}

func trimBlanksRight(b []byte) []byte {
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func trimBlanks(b []byte) []byte { return trimBlanksLeft(trimBlanksRight(b)) }

// textParameter returns a parameter for people to read, in any of the forms that are met: plain,
// with encoded words in it, and with charset and continuations (RFC 2231).
func textParameter(value []byte, name string) string {
	const maxPieces = 100
	if v := parameter(value, name+"*"); v != nil {
		return decodeExtended(v)
	}
	if v := parameter(value, name); v != nil {
		return DecodeText(v)
	}
	var joined []byte
	extended := false
	for i := range maxPieces {
		piece := name + "*" + strconv.Itoa(i)
		if v := parameter(value, piece+"*"); v != nil {
			extended = extended || i == 0
			joined = append(joined, v...)
		} else if v := parameter(value, piece); v != nil {
			if extended {
				v = bytes.ReplaceAll(v, []byte("%"), []byte("%25"))
			}
			joined = append(joined, v...)
		} else {
			break
		}
	}
	if extended {
		return decodeExtended(joined)
	}
	return DecodeText(joined)
}

// decodeExtended decodes charset'language'percent-encoded (RFC 2231 section 4). Without the two
// quotes it is read as UTF-8.
func decodeExtended(v []byte) string {
	charset := "utf-8"
	if p := bytes.SplitN(v, []byte("'"), 3); len(p) == 3 {
		charset, v = string(p[0]), p[2]
	}
	out := make([]byte, 0, len(v))
	for i := 0; i < len(v); i++ {
		if v[i] == '%' && i+2 < len(v) && unhex(v[i+1]) >= 0 && unhex(v[i+2]) >= 0 {
			out = append(out, byte(unhex(v[i+1])<<4|unhex(v[i+2])))
			i += 2
			continue
		}
		out = append(out, v[i])
	}
	return tidy(toUTF8(charset, out))
}
