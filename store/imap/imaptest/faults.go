package imaptest

import (
	"net"
	"regexp"
	"strings"
	"sync/atomic"
)

// Refuse answers each command of that name with a tagged line, as "NO [UNAVAILABLE] later".
func Refuse(name, line string) Answer {
	return func(s *Session, c Command) bool {
		if c.Name != name {
			return false
		}
		s.Tagged(c, line)
		return true
	}
}

// Times lets an answer happen n times, on all connections together, and then no more.
func Times(n int, answer Answer) Answer {
	var left atomic.Int64
	left.Store(int64(n))
	return func(s *Session, c Command) bool {
		if left.Load() <= 0 || !answer(s, c) {
			return false
		}
		left.Add(-1)
		return true
	}
}

// Bye ends the connection at each command of that name, with an untagged BYE if text is not empty.
func Bye(name, text string) Answer {
	return func(s *Session, c Command) bool {
		if c.Name != name {
			return false
		}
		if text != "" {
			s.Send("* BYE " + text + "\r\n")
		}
		s.Close()
		return true
	}
}

// Hang leaves each command of that name without an answer, until the client or the test closes the connection.
func Hang(name string) Answer {
	return func(s *Session, c Command) bool {
		if c.Name != name {
			return false
		}
		s.hang()
		return true
	}
}

// Before runs change before a command of that name is served, once.
func Before(name string, change func()) Answer {
	var done atomic.Bool
	return func(_ *Session, c Command) bool {
		if c.Name == name && done.CompareAndSwap(false, true) {
			change()
		}
		return false
	}
}

// Replace replaces what a regular expression matches in the responses to commands of that name ("" is every command).
// Literals are matched as well.
func Replace(name, pattern, replacement string) Rewrite {
	re := regexp.MustCompile(pattern)
	return func(_ *Session, c Command, response string) string {
		if name != "" && c.Name != name {
			return response
		}
		return re.ReplaceAllString(response, replacement)
	}
}

// Insert sends lines before each tagged answer to commands of that name ("" is every command).
func Insert(name, lines string) Rewrite {
	return func(_ *Session, c Command, response string) string {
		if name != "" && c.Name != name || c.Tag == "" || !strings.HasPrefix(response, c.Tag+" ") {
			return response
		}
		return lines + response
	}
}

// DropAfter cuts a connection when the server has sent that many octets over it.
func DropAfter(connection, octets int) func(int, net.Conn) net.Conn {
	return func(n int, conn net.Conn) net.Conn {
		if n != connection {
			return conn
		}
		return &dropping{Conn: conn, left: octets}
	}
}

type dropping struct {
	net.Conn
	left int // octets still sent
}

func (d *dropping) Write(b []byte) (int, error) {
	if len(b) <= d.left {
		d.left -= len(b)
		return d.Conn.Write(b)
	}
	n, _ := d.Conn.Write(b[:d.left])
	d.left = 0
	d.Conn.Close()
	return n, net.ErrClosed
}

// Fragment sends everything in writes of that many octets, so that a client reads it in as small pieces.
func Fragment(octets int) func(int, net.Conn) net.Conn {
	return func(_ int, conn net.Conn) net.Conn { return fragmenting{conn, octets} }
}

type fragmenting struct {
	net.Conn
	octets int
}

func (f fragmenting) Write(b []byte) (int, error) {
	for sent := 0; sent < len(b); sent += f.octets {
		if n, err := f.Conn.Write(b[sent:min(sent+f.octets, len(b))]); err != nil {
			return sent + n, err
		}
	}
	return len(b), nil
}
