package imap

import (
	"errors"
	"io"
)

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
	c.takeCode(p.reply.Code, p.reply.Text, p)
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
		code, words := parseStatusText(append(append(head, ' '), text...))
		c.takeCode(code, words, c.first(func(p *Pending) bool { return p.onCode != nil }))
		return err
	}
	switch kind := upper(t.Bytes); kind {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
		text, err := c.reader.Text()
		code, words := parseStatusText(text)
		if kind == "BYE" {
			c.bye = StatusResponse{kind, code, words}
		}
		c.takeCode(code, words, c.first(func(p *Pending) bool { return p.onCode != nil || p.onMailbox != nil }))
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
		c.exists = max(-1, n) // QUIRK: SUN and InterMail send -1; that is no empty mailbox
		if p := c.first(func(p *Pending) bool { return p.onMailbox != nil }); p != nil {
			p.onMailbox.Exists = c.exists
		}
	case t.IsAtom("EXPUNGE"):
		c.lose(1)
	}
	return c.reader.SkipLine()
}

// lose notes that messages were expunged.
func (c *Client) lose(n int64) {
	if c.exists >= 0 {
		c.exists = max(0, c.exists-n)
	}
}

// takeCode acts on a response code that concerns the connection, and hands the rest to p, which may be nil.
func (c *Client) takeCode(code Code, text string, p *Pending) {
	if code.Name == "" {
		return
	}
	if code.Name == "CAPABILITY" {
		c.caps = parseCaps(code.Args)
	}
	if code.Name == "ALERT" && c.opts.Alert != nil {
		c.opts.Alert(printable(text))
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
