package message

import (
	"bytes"
	"iter"
	"strings"
	"time"
)

// Header is the raw header of a message or part, as it stands there, with or without the empty
// line that ends it. Reading it copies nothing and changes nothing. The zero value is an empty
// header.
type Header []byte

// maxValue is how many octets of a field's value are decoded. A longer one is cut there: it is
// for people to read, and a line of 50 MB is not.
const maxValue = 64 << 10

// Split returns the header of a message, with the empty line that ends it, and the body behind
// it. Without an empty line everything is header, as servers see it for BODY[HEADER]. Lines end
// with LF: in a message that has lone CRs only, as of an old Macintosh, no line is empty. HeaderOf
// and the prints of headers keep to the same rule, for by these a message is known again.
func Split(raw []byte) (Header, []byte) {
	i := 0
	for i < len(raw) {
		switch {
		case raw[i] == '\n':
			return Header(raw[:i+1]), raw[i+1:]
		case raw[i] == '\r' && i+1 < len(raw) && raw[i+1] == '\n':
			return Header(raw[:i+2]), raw[i+2:]
		}
		n := bytes.IndexByte(raw[i:], '\n')
		if n < 0 {
			break
		}
		i += n + 1
	}
	return Header(raw), nil
}

// Fields yields the fields in the order in which they stand: the name as written, and the raw
// value behind the colon, folds and all, without the line end. Lines that are no field (a From_
// line of an mbox, a folded line that lost its indent) are passed over. Where there is no LF, lone
// CRs end the lines, so that the fields of an old Macintosh's message are read. Both slices point
// into the header.
func (h Header) Fields() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		lineEnd := byte('\n')
		if bytes.IndexByte(h, '\n') < 0 {
			lineEnd = '\r'
		}
		for rest := []byte(h); len(rest) > 0; {
			n := fieldLen(rest, lineEnd)
			field := trimLineEnd(rest[:n])
			if len(field) == 0 {
				return // the empty line
			}
			rest = rest[n:]
			name, value, ok := splitField(field)
			if ok && !yield(name, value) {
				return
			}
		}
	}
}

// Raw returns the raw value of the first field with this name, in any case, and whether there is
// one.
func (h Header) Raw(name string) ([]byte, bool) {
	for n, value := range h.Fields() {
		if len(n) == len(name) && foldEqual(n, name) {
			return value, true
		}
	}
	return nil, false
}

// Get returns the value of the first field with this name for people to read: unfolded, encoded
// words decoded, valid UTF-8 on one line without control characters. It is empty if there is no
// such field.
func (h Header) Get(name string) string {
	value, _ := h.Raw(name)
	return DecodeText(value)
}

// From returns the From field as people read it.
func (h Header) From() string { return h.Get("From") }

// Subject returns the Subject field as people read it.
func (h Header) Subject() string { return h.Get("Subject") }

// MessageID returns the Message-ID with its angle brackets, or what stands in the field if it has
// none; empty if the field is missing. It names no message: two may share one.
func (h Header) MessageID() string {
	value := h.Get("Message-ID")
	if open := strings.IndexByte(value, '<'); open >= 0 {
		if end := strings.IndexByte(value[open:], '>'); end >= 0 {
			return value[open : open+end+1]
		}
	}
	return value
}

// Date returns the time of the Date field, and whether one could be read.
func (h Header) Date() (time.Time, bool) {
	value, ok := h.Raw("Date")
	if !ok {
		return time.Time{}, false
	}
	return ParseDate(string(value[:min(len(value), maxDate)]))
}

// fieldLen returns the length of the field at the start of b: its line and those that begin with
// a space or tab after it, line ends included.
func fieldLen(b []byte, lineEnd byte) int {
	if len(trimLineEnd(b[:min(len(b), 2)])) == 0 { // an empty line takes no folded lines
		return 1 + bytes.IndexByte(b[:min(len(b), 2)], lineEnd)
	}
	for n := 0; ; {
		i := bytes.IndexByte(b[n:], lineEnd)
		if i < 0 {
			return len(b)
		}
		n += i + 1
		if n == len(b) || b[n] != ' ' && b[n] != '\t' {
			return n
		}
	}
}

// splitField takes a field apart at its colon. The name is one of RFC 5322 section 2.2, printable
// and without spaces; blanks between it and the colon are allowed (section 4.5).
func splitField(field []byte) (name, value []byte, ok bool) {
	for i, c := range field {
		if c > ' ' && c < 0x7f && c != ':' {
			continue
		}
		name = field[:i]
		for i < len(field) && (field[i] == ' ' || field[i] == '\t') {
			i++
		}
		if len(name) == 0 || i == len(field) || field[i] != ':' {
			return nil, nil, false
		}
		return name, field[i+1:], true
	}
	return nil, nil, false
}

// trimLineEnd cuts one CRLF, LF or CR off the end.
func trimLineEnd(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
	}
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return b
}

// foldEqual reports whether b equals s when the case of ASCII letters does not count. Both have
// the same length.
func foldEqual(b []byte, s string) bool {
	for i := range len(s) {
		x, y := b[i], s[i]
		if x != y && (x|0x20 != y|0x20 || x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}
