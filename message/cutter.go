package message

import (
	"errors"
	"fmt"
	"io"
)

// maxBuffer is how much of a message a Cutter holds at most. It must exceed maxPiece by all that
// the scanner may look ahead: maxField, minBase64, maxTrim.
const maxBuffer = 8 << 20

// Cutter cuts a message that is read, of any length, into the same ranges as Cut, and holds at
// most 8 MiB of it. It may be used again for the next message, which spares the buffer.
type Cutter struct {
	r    io.Reader
	buf  []byte // what was read and is not yet behind start; buf[0] is at offset cuts.scan.base
	err  error  // of r; io.EOF at its end
	cuts cuts
}

// NewCutter returns a Cutter for the message in r.
func NewCutter(r io.Reader) *Cutter {
	c := new(Cutter)
	c.Reset(r)
	return c
}

// Reset begins with another message and keeps the buffer.
func (c *Cutter) Reset(r io.Reader) {
	c.r, c.err, c.buf = r, nil, c.buf[:0]
	c.cuts.reset(c.buf, false)
}

// Next returns the next range of the message and what it holds, which is valid until the next
// call. It returns io.EOF at the end, and any other error of the reader as it is, also
// io.ErrUnexpectedEOF: what was returned before is then a part of a message, not a message.
func (c *Cutter) Next() (Kind, []byte, error) {
	for {
		if n, kind, ok := c.cuts.next(); ok {
			from := int(c.cuts.start - c.cuts.scan.base)
			c.cuts.start += int64(n)
			return kind, c.buf[from : from+n], nil
		}
		if c.err != nil {
			return Text, nil, c.err
		}
		if err := c.fill(); err != nil {
			return Text, nil, err
		}
	}
}

// Offset returns where in the message the next range begins.
func (c *Cutter) Offset() int64 { return c.cuts.start }

// fill drops what has been returned and reads more behind the rest.
func (c *Cutter) fill() error {
	drop := int(c.cuts.start - c.cuts.scan.base)
	c.buf = c.buf[:copy(c.buf, c.buf[drop:])]
	if len(c.buf) == cap(c.buf) {
		if cap(c.buf) >= maxBuffer {
			return fmt.Errorf("cut message: %d octets do not tell where to cut", len(c.buf)) // a bug of ours
		}
		c.buf = append(make([]byte, 0, min(max(2*cap(c.buf), 64<<10), maxBuffer)), c.buf...)
	}
	for idle := 0; len(c.buf) < cap(c.buf) && c.err == nil; {
		var n int
		n, c.err = c.r.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+n]
		if idle++; n > 0 {
			idle = 0
		} else if idle == 100 && c.err == nil {
			c.err = io.ErrNoProgress
		}
	}
	if c.err != nil && !errors.Is(c.err, io.EOF) {
		return c.err
	}
	c.cuts.scan.move(drop, c.buf, c.err != nil)
	return nil
}
