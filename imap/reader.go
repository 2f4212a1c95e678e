package imap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Bounds of what a Reader holds in memory or walks through. Literals are streamed and count towards none of them.
const (
	minBuffer       = 64 << 10
	defaultMaxToken = 16 << 20 // a VANISHED set of a few million UIDs is one token
	defaultMaxLine  = 256 << 20
	defaultMaxDepth = 64
)

// Errors of a Reader. After ErrTokenTooLong and ErrTooDeep the line can be left with SkipLine and the connection goes on;
// after ErrLineTooLong it cannot.
var (
	ErrTokenTooLong = errors.New("imap token too long")
	ErrTooDeep      = errors.New("imap list nested too deep")
	ErrLineTooLong  = errors.New("imap line too long")
)

// Reader splits what the other side of a connection sends into tokens. It holds no more than one token in memory.
// A Reader may not be used concurrently.
type Reader struct {
	MaxToken int          // octets of an atom or quoted string; 0 means 16 MiB
	MaxLine  int64        // octets of a line without its literals; 0 means 256 MiB
	MaxDepth int          // nested lists; 0 means 64
	Log      func([]byte) // if not nil, called with each line read, without CRLF; literals appear as their head only

	src      io.Reader
	buf      []byte // buf[pos:end] is read and not consumed
	pos, end int
	line     int64         // octets consumed of this line
	depth    int           // open lists on this line
	literal  literalReader // the literal whose head was the last token
	logged   []byte        // the line so far, if Log is set
}

// NewReader returns a Reader of what src yields.
func NewReader(src io.Reader) *Reader {
	r := &Reader{src: src, buf: make([]byte, minBuffer)}
	r.literal.r = r
	return r
}

// Buffered returns the number of octets that were read from the source and not yet consumed.
func (r *Reader) Buffered() int { return r.end - r.pos }

// Reset drops what is buffered and goes on with src. It is for a change of layers, as STARTTLS is: what came before the
// change must not be read as if it came after it.
func (r *Reader) Reset(src io.Reader) {
	r.src = src
	r.pos, r.end, r.line, r.depth = 0, 0, 0, 0
	r.literal.left = 0
	r.logged = r.logged[:0]
}

// unread returns what is buffered and forgets it.
func (r *Reader) unread() []byte {
	b := bytes.Clone(r.buf[r.pos:r.end])
	r.pos = r.end
	return b
}

// Next returns the next token. Spaces between tokens are skipped, how many there may be. What is left of a literal is
// discarded. At the end of the source it returns io.EOF between lines and io.ErrUnexpectedEOF within one.
func (r *Reader) Next() (Token, error) {
	if r.literal.left > 0 {
		if err := r.literal.discard(); err != nil {
			return Token{}, err
		}
	}
	for {
		if r.line > orDefault(r.MaxLine, defaultMaxLine) {
			return Token{}, ErrLineTooLong
		}
		if r.pos == r.end {
			if err := r.fill(0); err != nil {
				return Token{}, r.eof(err)
			}
		}
		switch r.buf[r.pos] {
		case ' ', '\t':
			r.consume(1)
			continue
		case '\n':
			r.endLine(1)
			return Token{Kind: EOL}, nil
		case '\r':
			lf, err := r.at(1)
			if err != nil {
				return Token{}, r.eof(err)
			}
			if lf == '\n' {
				r.endLine(2)
				return Token{Kind: EOL}, nil
			}
			r.consume(1) // a lone CR ends nothing
			continue
		case '(':
			r.consume(1)
			r.depth++
			if r.depth > orDefault(r.MaxDepth, defaultMaxDepth) {
				return Token{}, ErrTooDeep
			}
			return Token{Kind: Open}, nil
		case ')':
			r.consume(1)
			r.depth = max(0, r.depth-1)
			return Token{Kind: Close}, nil
		case '"':
			return r.quoted()
		case '{', '~':
			t, ok, err := r.literalHead()
			if ok || err != nil {
				return t, err
			}
		}
		return r.atom()
	}
}

// Text returns the rest of the line and consumes it, line end included. The bytes are valid until the next call. A rest
// longer than MaxToken is cut.
func (r *Reader) Text() ([]byte, error) {
	if r.literal.left > 0 {
		if err := r.literal.discard(); err != nil {
			return nil, err
		}
	}
	for n := 0; ; n++ {
		b, err := r.at(n)
		if errors.Is(err, ErrTokenTooLong) {
			text := bytes.Clone(r.buf[r.pos : r.pos+n])
			return text, r.SkipLine()
		}
		if err != nil {
			return nil, r.eof(err)
		}
		if b != '\n' {
			continue
		}
		text := r.buf[r.pos : r.pos+n]
		r.endLine(n + 1)
		text = bytes.TrimSuffix(text, []byte{'\r'})
		return bytes.TrimLeft(text, " "), nil
	}
}

// SkipLine discards tokens and literals up to the end of the line. It is how to go on after what was not understood.
func (r *Reader) SkipLine() error {
	for {
		t, err := r.Next()
		switch {
		case err == nil && t.Kind == EOL:
			return nil
		case errors.Is(err, ErrTooDeep):
		case errors.Is(err, ErrTokenTooLong):
			// The buffer is full of one token: forget it and go on behind.
			r.consume(r.end - r.pos)
			if r.line > orDefault(r.MaxLine, defaultMaxLine) {
				return ErrLineTooLong
			}
		case err != nil:
			return err
		}
	}
}

// SkipValue discards the value whose first token is t: a list with all in it, a literal, or nothing more.
func (r *Reader) SkipValue(t Token) error {
	switch t.Kind {
	case Literal:
		return r.literal.discard()
	case Open:
		for depth := 1; depth > 0; {
			t, err := r.Next()
			if err != nil {
				return err
			}
			switch t.Kind {
			case Open:
				depth++
			case Close:
				depth--
			case EOL:
				return fmt.Errorf("imap list without end")
			}
		}
	}
	return nil
}

// String returns the string that t stands for: an atom, a quoted string or a literal of at most limit octets. A longer
// literal is skipped and ErrTokenTooLong returned. NIL is the empty string. The bytes are valid until the next call of Next.
func (r *Reader) String(t Token, limit int) ([]byte, error) {
	switch t.Kind {
	case Atom:
		if t.IsNil() {
			return nil, nil
		}
		return t.Bytes, nil
	case Quoted:
		return t.Bytes, nil
	case Literal:
		if t.Size > int64(limit) {
			if err := r.literal.discard(); err != nil {
				return nil, err
			}
			return nil, ErrTokenTooLong
		}
		b := make([]byte, t.Size)
		_, err := io.ReadFull(&r.literal, b)
		return b, err
	}
	return nil, fmt.Errorf("imap string expected")
}

// take consumes n octets and returns them, less the first skip, as a token.
func (r *Reader) take(kind Kind, n, skip int) Token {
	b := r.buf[r.pos+skip : r.pos+n]
	r.consume(n)
	return Token{Kind: kind, Bytes: b}
}

func (r *Reader) consume(n int) {
	if r.Log != nil && len(r.logged) < maxLogLine {
		r.logged = append(r.logged, r.buf[r.pos:r.pos+n]...)
	}
	r.pos += n
	r.line += int64(n)
}

func (r *Reader) endLine(n int) {
	if r.Log != nil {
		r.consume(n)
		r.Log(bytes.TrimRight(r.logged, "\r\n"))
		r.logged = r.logged[:0]
	} else {
		r.pos += n
	}
	r.line, r.depth = 0, 0
}

// at returns the octet n behind pos, reading more if it must.
func (r *Reader) at(n int) (byte, error) {
	for r.pos+n >= r.end {
		if err := r.fill(n); err != nil {
			return 0, err
		}
	}
	return r.buf[r.pos+n], nil
}

// fill reads more behind the n octets at pos that are looked at, and makes room for it.
func (r *Reader) fill(n int) error {
	if r.end-r.pos >= orDefault(r.MaxToken, defaultMaxToken) {
		return ErrTokenTooLong
	}
	switch {
	case r.pos == r.end:
		r.pos, r.end = 0, 0
		if len(r.buf) > 4*minBuffer && n == 0 {
			r.buf = make([]byte, minBuffer) // one huge token must not hold its memory for ever
		}
	case r.end == len(r.buf) && r.pos > 0:
		r.end = copy(r.buf, r.buf[r.pos:r.end])
		r.pos = 0
	}
	if r.end == len(r.buf) {
		r.buf = append(r.buf, make([]byte, len(r.buf))...)
	}
	for range 100 {
		m, err := r.src.Read(r.buf[r.end:])
		r.end += m
		if m > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// eof turns io.EOF within a line into io.ErrUnexpectedEOF.
func (r *Reader) eof(err error) error {
	if errors.Is(err, io.EOF) && (r.line > 0 || r.pos < r.end) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func orDefault[T int | int64](n, byDefault T) T {
	if n == 0 {
		return byDefault
	}
	return n
}
