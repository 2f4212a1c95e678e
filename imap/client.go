package imap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Client is one connection to an IMAP server. It may not be used concurrently.
//
// Commands can be pipelined: the Start methods send a command and return, Wait reads responses until that command is
// done. Responses are read only by whoever waits, so that callers must keep the number of commands in flight small
// (Window is fine) where the answers are large.
//
// When the context of a call is done, or the framing of what the server sends is lost, the connection is closed and each
// later call returns the same *Error with ReasonConnection.
type Client struct {
	opts   Options
	conn   *patientConn
	reader *Reader
	writer *Writer

	caps     Caps   // nil: not known
	preauth  bool   // the server greeted with PREAUTH
	secure   bool   // TLS is in force
	identity string // what the server answered to ID
	pending  []*Pending
	tags     int
	err      *Error // why the connection is unusable
	bye      StatusResponse
	exists   int64 // messages in the selected mailbox; -1: the server does not say

	fetch    Fetch             // reused from one FETCH response to the next
	interned map[string]string // flags and keywords seen, so that each is held once
}

// Window is a number of commands in flight that keeps a server busy and overruns no buffer.
const Window = 8

// maxInterned bounds Client.interned; a mailbox has at most a few hundred keywords.
const maxInterned = 4096

// Pending is a command in flight.
type Pending struct {
	c     *Client
	tag   string
	op    string // for errors
	done  bool
	reply StatusResponse
	err   error // of a handler

	// What the command wants of the untagged responses; nil for what it does not care about.
	onFetch     func(*Fetch) error
	onlyUID     uint32 // of onFetch: the one UID that was asked for; 0: several
	onList      func(ListEntry)
	onStatus    func(MailboxStatus)
	onSearch    func(uid uint32)
	onVanished  func(Set)
	onNamespace func(Namespaces)
	onCode      func(Code)
	onMailbox   *Selected
}

// Capabilities returns what the server says it can, after login what it says then. The caller must not change it.
func (c *Client) Capabilities() Caps { return c.caps }

// IsDovecot reports whether the server says that it is Dovecot, which has items that no capability tells of (X-GUID).
func (c *Client) IsDovecot() bool { return strings.Contains(c.identity, `"Dovecot`) }

// IsCyrus reports whether the server says that it is Cyrus.
func (c *Client) IsCyrus() bool { return strings.Contains(c.identity, `"Cyrus`) }

// Exists is the number of messages in the selected mailbox, as the server said last; -1 if it did not.
func (c *Client) Exists() int64 { return c.exists }

// Err is why the connection is unusable, nil if it is not.
func (c *Client) Err() error {
	if c.err == nil {
		return nil
	}
	return c.err
}

// Close closes the connection at once. Logout does it politely.
func (c *Client) Close() error {
	c.fail("close", net.ErrClosed)
	return nil
}

// fail closes the connection and remembers why.
func (c *Client) fail(op string, cause error) error {
	if c.err == nil {
		reply := c.bye
		if reply.Type != "" {
			c.err = replyError(op, reply)
		} else {
			c.err = &Error{Op: op, Reason: ReasonConnection, Err: cause}
			var network *net.OpError
			if errors.As(cause, &network) && network.Op == "remote error" { // an alert: in TLS 1.3 our certificate is judged after the handshake
				c.err.Reason = ReasonTLS
			}
		}
		c.conn.Close()
	}
	return c.err
}

// watch closes the connection when ctx is done, until stop is called. stop returns the error of ctx if that happened.
func (c *Client) watch(ctx context.Context) (stop func() error) {
	if ctx.Done() == nil {
		return func() error { return nil }
	}
	cancel := context.AfterFunc(ctx, func() { c.conn.Close() })
	return func() error {
		if !cancel() {
			return context.Cause(ctx)
		}
		return nil
	}
}

// start sends a command: its verb, then what build writes. p holds what the command wants to hear. If the server refuses
// a literal, the command is done already when start returns.
func (c *Client) start(ctx context.Context, op string, p *Pending, build func(w *Writer)) *Pending {
	p.c, p.op = c, op
	if c.err == nil && ctx.Err() != nil {
		c.fail(op, context.Cause(ctx))
	}
	if c.err != nil {
		p.done, p.err = true, c.err
		return p
	}
	stop := c.watch(ctx)
	c.tags++
	p.tag = "r" + strconv.Itoa(c.tags)
	c.pending = append(c.pending, p)
	c.writer.Raw(p.tag).Raw(" ").Raw(op)
	if build != nil {
		build(c.writer)
	}
	err := c.writer.EndLine().Flush()
	if stopped := stop(); stopped != nil {
		err = stopped
	}
	switch {
	case errors.Is(err, errRefused): // p was answered in place of "+"
		c.writer.err = nil
	case err != nil:
		c.fail(op, err)
		p.done, p.err = true, c.err
		var source *SourceError
		if errors.As(err, &source) {
			p.err = source
		}
	}
	return p
}

// errRefused is what a wait for "+" ends with if the command was answered instead.
var errRefused = errors.New("literal refused")

// awaitContinuation reads responses until the server asks for the literal that was announced last.
func (c *Client) awaitContinuation() error {
	p := c.pending[len(c.pending)-1]
	for {
		asked, err := c.readResponse()
		switch {
		case err != nil:
			return err
		case asked != nil:
			return nil
		case p.done:
			return errRefused
		}
	}
}

// Wait reads responses until the command is done, and returns its error: nil for OK, an *Error for NO and BAD, what a
// handler returned, or why the connection is lost.
func (p *Pending) Wait(ctx context.Context) error {
	c := p.c
	if !p.done {
		stop := c.watch(ctx)
		var err error
		for !p.done && err == nil {
			if c.err != nil {
				err = c.err
				break
			}
			_, err = c.readResponse()
		}
		if stopped := stop(); stopped != nil {
			err = stopped
		}
		if err != nil {
			err = c.fail(p.op, err)
			p.done = true
			if p.err == nil {
				p.err = err
			}
		}
	}
	switch {
	case p.err != nil:
		return p.err
	case p.reply.Type == "OK":
		return nil
	}
	return replyError(p.op, p.reply)
}

// run is start and Wait.
func (c *Client) run(ctx context.Context, op string, p *Pending, build func(w *Writer)) error {
	return c.start(ctx, op, p, build).Wait(ctx)
}

// intern returns b as a string, the same one for the same octets.
func (c *Client) intern(b []byte) string {
	if s, ok := c.interned[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(c.interned) < maxInterned {
		if c.interned == nil {
			c.interned = make(map[string]string)
		}
		c.interned[s] = s
	}
	return s
}

// Noop does nothing but keep the connection alive and learn of news.
func (c *Client) Noop(ctx context.Context) error { return c.run(ctx, "NOOP", &Pending{}, nil) }

// Logout says goodbye and closes the connection. Its error does not matter to mail.
func (c *Client) Logout(ctx context.Context) error {
	err := c.run(ctx, "LOGOUT", &Pending{}, nil)
	c.Close()
	return err
}

// wireLog writes one side of the dialogue to a log, a line at a time.
func wireLog(mu *sync.Mutex, log io.Writer, side string) func([]byte) {
	if log == nil {
		return nil
	}
	return func(line []byte) {
		if len(line) > maxLogLine {
			line = line[:maxLogLine]
		}
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(log, "%s %s %q\n", time.Now().Format("15:04:05.000"), side, line)
	}
}

func upper(b []byte) string {
	u := make([]byte, len(b))
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		u[i] = c
	}
	return string(u)
}
