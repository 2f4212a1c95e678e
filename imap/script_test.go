package imap

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"
)

// step is a command that a scripted server expects, without its tag, and what it answers; "TAG" stands for the tag.
type step struct{ want, answer string }

// scripted is a server that plays a script to one client.
type scripted struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// script starts a server that greets, plays the steps and hangs up, and returns a client of it.
func script(t *testing.T, o Options, greeting string, steps ...step) *Client {
	t.Helper()
	return dialogue(t, o, func(s *scripted) {
		s.send(greeting + "\r\n")
		for _, st := range steps {
			s.play(st)
		}
	})
}

// dialogue starts a server that does as serve says, and returns a client of it. The test waits for both.
func dialogue(t *testing.T, o Options, serve func(s *scripted)) *Client {
	t.Helper()
	address := listen(t, serve)
	o.Security = Plaintext
	c, err := Dial(t.Context(), address, o)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// listen starts a server for one connection.
func listen(t *testing.T, serve func(s *scripted)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		serve(&scripted{t: t, conn: conn, in: bufio.NewReader(conn)})
	}()
	return l.Addr().String()
}

func (s *scripted) send(text string) { io.WriteString(s.conn, text) }

// play reads a command, complains if it is another than expected, and answers it.
func (s *scripted) play(st step) {
	tag, command := s.command()
	if command != st.want {
		s.t.Errorf("command %q, want %q", command, st.want)
	}
	s.send(strings.ReplaceAll(st.answer, "TAG", tag))
}

// command reads a command with its literals, which it asks for where it must.
func (s *scripted) command() (tag, command string) {
	var all strings.Builder
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return "", "end of connection"
		}
		line = strings.TrimSuffix(line, "\r\n")
		all.WriteString(line)
		open := strings.LastIndexByte(line, '{')
		if open < 0 || !strings.HasSuffix(line, "}") {
			break
		}
		count := strings.Trim(line[open:], "{}")
		if !strings.HasSuffix(count, "+") {
			s.send("+ go on\r\n")
		}
		n, err := strconv.Atoi(strings.TrimSuffix(count, "+"))
		if err != nil {
			break
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(s.in, body); err != nil {
			return "", "literal cut short"
		}
		all.Write(body)
	}
	tag, command, _ = strings.Cut(all.String(), " ")
	return tag, command
}

// replay is a connection that yields what was recorded, and takes anything.
type replay struct {
	net.Conn // nil: what is not below is not called
	in       io.Reader
}

func (r *replay) Read(p []byte) (int, error)       { return r.in.Read(p) }
func (r *replay) Write(p []byte) (int, error)      { return len(p), nil }
func (r *replay) Close() error                     { return nil }
func (r *replay) SetReadDeadline(time.Time) error  { return nil }
func (r *replay) SetWriteDeadline(time.Time) error { return nil }

// replayed is a client that has nothing to read but wire.
func replayed(wire []byte) *Client {
	return newClient(&replay{in: bytes.NewReader(wire)}, Options{Timeout: time.Minute, MaxLiteral: 1 << 30})
}

// fetched is what is kept of a Fetch, for comparison.
func fetched(f *Fetch) string {
	s := fmt.Sprintf("uid=%d flags=%q size=%d modseq=%d id=%s thread=%s labels=%q", f.UID, f.Flags, f.Size, f.ModSeq, f.EmailID, f.ThreadID, f.Labels)
	if !f.Date.IsZero() {
		s += f.Date.Format(" 2006-01-02T15:04:05")
	}
	switch {
	case f.BodyErr != nil:
		s += " body: " + f.BodyErr.Error()
	case f.Body != nil:
		body, err := io.ReadAll(f.Body)
		s += fmt.Sprintf(" body=%q/%d %v", body, f.BodySize, err)
	case f.HasBody:
		s += " body=NIL"
	}
	return s
}
