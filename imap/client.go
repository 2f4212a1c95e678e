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
	exists   int64 // messages in the selected mailbox

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

// Exists is the number of messages in the selected mailbox, as the server said last.
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

// readResponse reads one response and hands it to whom it concerns. asked is not nil for a continuation request, and
// holds its text. An error means that the connection is lost.
func (c *Client) readResponse() (asked []byte, err error) {
	t, err := c.reader.Next()
	if err != nil {
		return nil, c.skipOr(err)
	}
	switch {
	case t.Kind == EOL:
		return nil, nil
	case t.IsAtom("*"):
		return nil, c.skipOr(c.readUntagged())
	case t.IsAtom("+"):
		// QUIRK: Exchange: continuation requests come when nothing was announced; who does not wait for one ignores it.
		text, err := c.reader.Text()
		if text == nil {
			text = []byte{}
		}
		return text, err
	case t.Kind == Atom:
		for i, p := range c.pending {
			if string(t.Bytes) == p.tag {
				return nil, c.finish(i)
			}
		}
	}
	return nil, c.reader.SkipLine()
}

// skipOr goes to the end of the line after an error of the tokenizer; other errors it returns.
func (c *Client) skipOr(err error) error {
	if errors.Is(err, ErrTokenTooLong) || errors.Is(err, ErrTooDeep) {
		return c.reader.SkipLine()
	}
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF // between two lines, too: we are waiting for one
	}
	return err
}

// finish reads the tagged response to the i-th pending command.
func (c *Client) finish(i int) error {
	p := c.pending[i]
	t, err := c.reader.Next()
	if err != nil {
		return err
	}
	p.reply.Type = upper(t.Bytes)
	if t.Kind != EOL {
		text, err := c.reader.Text()
		if err != nil {
			return err
		}
		p.reply.Code, p.reply.Text = parseStatusText(text)
	}
	p.done = true
	c.pending = append(c.pending[:i], c.pending[i+1:]...)
	c.takeCode(p.reply.Code, p)
	return nil
}

// first returns the oldest command in flight that wants something: servers answer in order.
func (c *Client) first(wants func(*Pending) bool) *Pending {
	for _, p := range c.pending {
		if wants(p) {
			return p
		}
	}
	return nil
}

// readUntagged reads what follows "* ".
func (c *Client) readUntagged() error {
	t, err := c.reader.Next()
	if err != nil {
		return err
	}
	if t.Kind != Atom {
		if t.Kind == EOL {
			return nil
		}
		return c.reader.SkipLine()
	}
	if len(t.Bytes) > 0 && (t.Bytes[0] >= '0' && t.Bytes[0] <= '9' || t.Bytes[0] == '-') {
		n, _ := ParseNumber(t.Bytes)
		return c.readNumbered(n)
	}
	if t.Bytes[0] == '[' {
		// QUIRK: Exchange, home.pl: "* [COPYUID ...]" without OK.
		head := append([]byte(nil), t.Bytes...)
		text, err := c.reader.Text()
		code, _ := parseStatusText(append(append(head, ' '), text...))
		c.takeCode(code, c.first(func(p *Pending) bool { return p.onCode != nil }))
		return err
	}
	switch kind := upper(t.Bytes); kind {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		text, err := c.reader.Text()
		code, words := parseStatusText(text)
		if kind == "BYE" {
			c.bye = StatusResponse{kind, code, words}
		}
		c.takeCode(code, c.first(func(p *Pending) bool { return p.onCode != nil || p.onMailbox != nil }))
		return err
	case "CAPABILITY":
		text, err := c.reader.Text()
		c.caps = parseCaps(string(text))
		return err
	case "LIST", "LSUB", "XLIST":
		return c.readList()
	case "STATUS":
		return c.readStatus()
	case "SEARCH":
		return c.readSearch()
	case "ESEARCH":
		return c.readESearch()
	case "VANISHED":
		return c.readVanished()
	case "NAMESPACE":
		return c.readNamespace()
	case "FLAGS":
		return c.readFlagsOfMailbox()
	case "ID":
		text, err := c.reader.Text()
		c.identity = printable(string(text))
		return err
	}
	return c.reader.SkipLine()
}

// readNumbered reads what follows "* n ".
func (c *Client) readNumbered(n int64) error {
	t, err := c.reader.Next()
	if err != nil || t.Kind == EOL {
		return err
	}
	switch {
	case t.IsAtom("FETCH"):
		return c.readFetch()
	case t.IsAtom("EXISTS"):
		c.exists = max(0, n) // QUIRK: SUN and InterMail send -1
		if p := c.first(func(p *Pending) bool { return p.onMailbox != nil }); p != nil {
			p.onMailbox.Exists = c.exists
		}
	case t.IsAtom("EXPUNGE"):
		c.exists = max(0, c.exists-1)
	}
	return c.reader.SkipLine()
}

// takeCode acts on a response code that concerns the connection, and hands the rest to p, which may be nil.
func (c *Client) takeCode(code Code, p *Pending) {
	if code.Name == "" {
		return
	}
	if code.Name == "CAPABILITY" {
		c.caps = parseCaps(code.Args)
	}
	if code.Name == "ALERT" && c.opts.Alert != nil {
		c.opts.Alert(printable(code.Args))
	}
	if p == nil {
		return
	}
	if p.onMailbox != nil {
		p.onMailbox.take(code)
	}
	if p.onCode != nil {
		p.onCode(code)
	}
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
