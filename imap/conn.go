package imap

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// A connection that yields less than stallRate octets a second for stallWindow is as good as dead: QUIRK: Gmail, 2026:
// over its limit it drips below 1 KiB/s and says nothing.
const (
	stallWindow = time.Minute
	stallRate   = 512
)

// errStalled is what a read ends with that drips.
var errStalled = fmt.Errorf("less than %d octets a second for %v", stallRate, stallWindow)

// patientConn gives each read and write its own time limit. Only time spent waiting counts, so that a slow consumer of
// ours does not make the server look slow.
type patientConn struct {
	net.Conn
	timeout time.Duration
	inBody  bool // a literal is being read: too slow is an error, not only silent
	waited  time.Duration
	got     int64
}

func (c *patientConn) Read(p []byte) (int, error) {
	start := time.Now()
	if err := c.Conn.SetReadDeadline(start.Add(c.timeout)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("no answer for %v: %w", c.timeout, err)
	}
	if c.inBody && err == nil {
		c.waited += time.Since(start)
		c.got += int64(n)
		if c.waited >= stallWindow {
			if c.got < stallRate*int64(c.waited/time.Second) {
				return n, errStalled
			}
			c.waited, c.got = 0, 0
		}
	}
	return n, err
}

func (c *patientConn) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) { // a limit a piece, not for the whole of a large message
		piece := p[written:min(len(p), written+flushSize)]
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(piece)
		written += n
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				err = fmt.Errorf("nothing accepted for %v: %w", c.timeout, err)
			}
			return written, err
		}
	}
	return written, nil
}

// body says whether the octets that come belong to a literal.
func (c *patientConn) body(on bool) {
	c.inBody = on
	c.waited, c.got = 0, 0
}
