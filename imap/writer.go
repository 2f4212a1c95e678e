package imap

import (
	"errors"
	"fmt"
	"io"
	"strconv"
)

// NonSync says which literals may be sent without asking first (RFC 7888).
type NonSync uint8

// The levels of non-synchronising literals.
const (
	NonSyncNever NonSync = iota // each literal is announced and waits for "+"
	NonSyncSmall                // LITERAL-: up to 4096 octets need not wait
	NonSyncAny                  // LITERAL+: none need wait
)

const (
	flushSize    = 32 << 10
	maxQuoted    = 1000    // octets; longer strings go as literals, line buffers are small in places
	maxLogLine   = 4 << 10 // octets of a line that a wire log shows
	redacted     = "***"
	smallLiteral = 4096 // RFC 7888, 5
)

// Writer encodes the lines of one side of a connection. Output is buffered until Flush. After an error each call does
// nothing, and Flush returns it. A Writer may not be used concurrently.
type Writer struct {
	NonSync NonSync      // which literals need not wait
	Wait    func() error // waits for the other side's "+" before a literal; nil: never wait (a server)
	UTF8    bool         // UTF8=ACCEPT is in force: quoted strings may hold UTF-8 (RFC 6855)
	Log     func([]byte) // if not nil, called with each line written, without CRLF, secrets and literals left out

	dst    io.Writer
	buf    []byte
	err    error
	logged []byte
	secret bool
}

// NewWriter returns a Writer to dst.
func NewWriter(dst io.Writer) *Writer {
	return &Writer{dst: dst, buf: make([]byte, 0, flushSize)}
}

// Reset drops what is buffered and goes on with dst.
func (w *Writer) Reset(dst io.Writer) {
	w.dst, w.buf, w.err = dst, w.buf[:0], nil
}

// Raw writes s as it is. It must hold no line end.
func (w *Writer) Raw(s string) *Writer {
	if w.err != nil {
		return w
	}
	w.buf = append(w.buf, s...)
	if w.Log != nil && len(w.logged) < maxLogLine {
		if w.secret {
			s = redacted
		}
		w.logged = append(w.logged, s...)
	}
	if len(w.buf) >= flushSize {
		w.flush()
	}
	return w
}

// Number writes n in decimal.
func (w *Writer) Number(n uint64) *Writer {
	var b [20]byte
	return w.Raw(string(strconv.AppendUint(b[:0], n, 10)))
}

// String writes s as a quoted string, or as a literal where a quoted string cannot hold it: NUL, CR, LF and, without
// UTF8=ACCEPT, octets beyond ASCII.
func (w *Writer) String(s string) *Writer {
	if !w.canQuote(s) {
		w.LiteralHead(int64(len(s)))
		return w.octets(s)
	}
	w.Raw(`"`)
	for from := 0; ; {
		i := from
		for i < len(s) && s[i] != '"' && s[i] != '\\' {
			i++
		}
		w.Raw(s[from:i])
		if i == len(s) {
			return w.Raw(`"`)
		}
		w.Raw(`\`)
		w.Raw(s[i : i+1])
		from = i + 1
	}
}

// AString writes s as an atom where it can be one, else as String does.
func (w *Writer) AString(s string) *Writer {
	if isAtom(s) {
		return w.Raw(s)
	}
	return w.String(s)
}

// Secret writes s as AString does; a log shows "***" in its place.
func (w *Writer) Secret(s string) *Writer {
	w.secret = true
	w.AString(s)
	w.secret = false
	return w
}

// RawSecret writes s as it is; a log shows "***" in its place.
func (w *Writer) RawSecret(s string) *Writer {
	w.secret = true
	w.Raw(s)
	w.secret = false
	return w
}

// Flags writes a list of flags in parentheses. A flag that no flag can be (RFC 9051 flag, flag-keyword) is an error.
func (w *Writer) Flags(flags []string) *Writer {
	w.Raw("(")
	for i, f := range flags {
		if i > 0 {
			w.Raw(" ")
		}
		if !IsFlag(f) {
			w.fail(fmt.Errorf("write flag %.80q: not an IMAP flag", f))
			return w
		}
		w.Raw(f)
	}
	return w.Raw(")")
}

// LiteralHead announces a literal of n octets and, where it must, waits until the other side asks for it.
func (w *Writer) LiteralHead(n int64) *Writer {
	wait := w.Wait != nil && !(w.NonSync == NonSyncAny || w.NonSync == NonSyncSmall && n <= smallLiteral)
	secret := w.secret
	w.secret = false
	w.Raw("{").Number(uint64(n))
	if w.Wait != nil && !wait {
		w.Raw("+")
	}
	w.Raw("}")
	w.EndLine()
	w.secret = secret
	if !wait || w.err != nil {
		return w
	}
	if w.flush(); w.err == nil {
		w.err = w.Wait()
	}
	return w
}

// Literal writes a whole literal of n octets from src. If src yields less, the framing is lost, the error is a
// *SourceError and the connection must be closed. More than n octets are not read.
func (w *Writer) Literal(n int64, src io.Reader) *Writer {
	w.LiteralHead(n)
	return w.body(n, src)
}

// Literal8 is Literal for octets that may be NUL (BINARY, RFC 3516).
func (w *Writer) Literal8(n int64, src io.Reader) *Writer {
	w.Raw("~")
	return w.Literal(n, src)
}

// body writes the octets of a literal.
func (w *Writer) body(n int64, src io.Reader) *Writer {
	for w.err == nil && n > 0 {
		if len(w.buf) == cap(w.buf) {
			w.flush()
			continue
		}
		room := w.buf[len(w.buf):cap(w.buf)]
		if int64(len(room)) > n {
			room = room[:n]
		}
		m, err := src.Read(room)
		w.buf = w.buf[:len(w.buf)+m]
		n -= int64(m)
		if err != nil && n > 0 {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			w.fail(&SourceError{Err: err})
		}
	}
	return w
}

// SourceError is an error of the reader that a literal was taken from, not of the connection.
type SourceError struct{ Err error }

func (e *SourceError) Error() string { return "read literal: " + e.Err.Error() }

func (e *SourceError) Unwrap() error { return e.Err }

// EndLine ends the line. It does not flush.
func (w *Writer) EndLine() *Writer {
	if w.err != nil {
		return w
	}
	w.buf = append(w.buf, '\r', '\n')
	if w.Log != nil {
		w.Log(w.logged)
		w.logged = w.logged[:0]
	}
	return w
}

// Flush sends what is buffered.
func (w *Writer) Flush() error {
	w.flush()
	return w.err
}

// Err returns the first error.
func (w *Writer) Err() error { return w.err }

func (w *Writer) flush() {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.dst.Write(w.buf)
	}
	w.buf = w.buf[:0]
}

func (w *Writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

// octets writes the body of a literal, which no log shows.
func (w *Writer) octets(s string) *Writer {
	if w.err == nil {
		w.buf = append(w.buf, s...)
	}
	return w
}

func (w *Writer) canQuote(s string) bool {
	if len(s) > maxQuoted {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c == 0 || c == '\r' || c == '\n' || c >= 0x80 && !w.UTF8 {
			return false
		}
	}
	return true
}

// isAtom reports whether s can stand as an astring without quotes (RFC 9051, ASTRING-CHAR). "NIL" is left out, since
// some servers take it for nothing.
func isAtom(s string) bool {
	if s == "" || len(s) > maxQuoted || equalFold([]byte(s), "NIL") {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ' || c >= 0x7f:
			return false
		case c == '(' || c == ')' || c == '{' || c == '%' || c == '*' || c == '"' || c == '\\':
			return false
		}
	}
	return true
}

// IsFlag reports whether s can be sent as a flag: an atom (RFC 9051, ATOM-CHAR), with or without a leading backslash.
func IsFlag(s string) bool {
	if len(s) > 0 && s[0] == '\\' {
		s = s[1:]
	}
	if s == "" {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c <= ' ' || c >= 0x7f:
			return false
		case c == '(' || c == ')' || c == '{' || c == '%' || c == '*' || c == '"' || c == '\\' || c == ']':
			return false
		}
	}
	return true
}
