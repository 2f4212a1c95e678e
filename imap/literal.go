package imap

import (
	"errors"
	"io"
)

// literalHead reads {n}, {n+}, {n-} or ~{n} with the line end that must follow. ok is false if what stands at pos is
// something else; then nothing is consumed.
func (r *Reader) literalHead() (t Token, ok bool, err error) {
	t.Kind = Literal
	n := 0
	// next returns the octet at n and goes on to the one behind it.
	next := func() byte {
		var b byte
		if err == nil {
			b, err = r.at(n)
		}
		n++
		return b
	}
	b := next()
	if b == '~' {
		t.Binary = true
		b = next()
	}
	if b != '{' {
		return Token{}, false, r.eof(err)
	}
	digits := 0
	for b = next(); '0' <= b && b <= '9' && digits < 18; b = next() {
		t.Size = t.Size*10 + int64(b-'0')
		digits++
	}
	if b == '+' || b == '-' {
		t.NonSync = true
		b = next()
	}
	if digits == 0 || b != '}' {
		return Token{}, false, r.eof(err)
	}
	if b = next(); b == '\r' {
		b = next()
	}
	if b != '\n' {
		return Token{}, false, r.eof(err)
	}
	r.consume(n)
	r.literal.left = t.Size
	return t, true, nil
}

// Literal returns the octets of the literal whose head was the last token: exactly Size of them, then io.EOF. If the
// connection ends before, it returns io.ErrUnexpectedEOF. The reader is valid until the next call of Next.
func (r *Reader) Literal() io.Reader { return &r.literal }

// literalReader yields the octets of one literal.
type literalReader struct {
	r    *Reader
	left int64 // octets not yet read
}

// Read implements io.Reader. A large p is filled from the connection without a copy.
func (l *literalReader) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	if len(p) == 0 {
		return 0, nil
	}
	r := l.r
	if r.pos == r.end {
		if len(p) >= len(r.buf)/2 {
			n, err := r.src.Read(p)
			l.left -= int64(n)
			if errors.Is(err, io.EOF) && l.left > 0 {
				err = io.ErrUnexpectedEOF
			}
			if n > 0 {
				err = nil
			}
			return n, err
		}
		if err := r.fill(0); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	n := copy(p, r.buf[r.pos:r.end])
	r.pos += n
	l.left -= int64(n)
	return n, nil
}

// discard reads the rest of the literal.
func (l *literalReader) discard() error {
	r := l.r
	for l.left > 0 {
		if r.pos == r.end {
			if err := r.fill(0); err != nil {
				if errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				return err
			}
		}
		n := min(int64(r.end-r.pos), l.left)
		r.pos += int(n)
		l.left -= n
	}
	return nil
}
