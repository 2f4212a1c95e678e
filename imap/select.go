package imap

import (
	"context"
	"errors"
)

// Selected is what a server says when a mailbox is selected.
type Selected struct {
	Exists         int64    // messages; -1: not said
	UIDValidity    uint32   // 0: not said
	UIDNext        uint32   // 0: not said
	HighestModSeq  uint64   // 0: not said, or the mailbox has no mod-sequences
	Flags          []string // flags that exist in the mailbox
	PermanentFlags []string // valid if HasPermanent
	HasPermanent   bool     // PERMANENTFLAGS was sent; if not, all flags may be changed (RFC 3501, 7.1)
	ReadOnly       bool
	MailboxID      string // RFC 8474; "" not said
}

func (s *Selected) take(code Code) {
	switch code.Name {
	case "UIDVALIDITY":
		s.UIDValidity = code.uid()
	case "UIDNEXT":
		s.UIDNext = code.uid()
	case "HIGHESTMODSEQ":
		s.HighestModSeq = uint64(code.number())
	case "NOMODSEQ":
		s.HighestModSeq = 0
	case "PERMANENTFLAGS":
		s.PermanentFlags, s.HasPermanent = code.list(), true
	case "READ-ONLY":
		s.ReadOnly = true
	case "MAILBOXID":
		if ids := code.list(); len(ids) > 0 {
			s.MailboxID = ids[0]
		}
	}
}

// SelectOptions adjust Select.
type SelectOptions struct {
	ReadOnly  bool // EXAMINE: nothing changes, not even \Recent
	CondStore bool // ask for mod-sequences (RFC 7162)

	// QResync, if UIDValidity is not 0, asks for what changed since ModSeq: Fetch hears of new and changed messages,
	// Vanished of expunged ones. QRESYNC must have been enabled.
	UIDValidity uint32
	ModSeq      uint64
	Fetch       func(*Fetch) error
	Vanished    func(Set)
}

// Select opens a mailbox; name is as on the wire.
func (c *Client) Select(ctx context.Context, name string, o SelectOptions) (*Selected, error) {
	verb := "SELECT"
	if o.ReadOnly {
		verb = "EXAMINE"
	}
	s := &Selected{Exists: -1}
	c.exists = -1
	p := &Pending{onMailbox: s, onFetch: o.Fetch, onVanished: o.Vanished}
	err := c.run(ctx, verb, p, func(w *Writer) {
		w.Raw(" ").AString(name)
		switch {
		case o.UIDValidity != 0:
			w.Raw(" (QRESYNC (").Number(uint64(o.UIDValidity)).Raw(" ").Number(o.ModSeq).Raw("))")
		case o.CondStore:
			w.Raw(" (CONDSTORE)")
		}
	})
	return s, err
}

// Enable turns on an extension for this connection (RFC 5161). A refusal is an *Error with ReasonNo or ReasonBad.
func (c *Client) Enable(ctx context.Context, extension string) error {
	return c.run(ctx, "ENABLE", &Pending{}, func(w *Writer) { w.Raw(" ").Raw(extension) })
}

// readFlagsOfMailbox reads "* FLAGS (...)".
func (c *Client) readFlagsOfMailbox() error {
	p := c.first(func(p *Pending) bool { return p.onMailbox != nil })
	if p == nil {
		return c.reader.SkipLine()
	}
	t, err := c.reader.Next()
	if err != nil {
		return err
	}
	if t.Kind == EOL {
		return nil
	}
	p.onMailbox.Flags, err = c.readWords(t, nil)
	if errors.Is(err, errEarlyEOL) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.reader.SkipLine()
}

// UIDSearch sends UID SEARCH with criteria as they stand on the wire, and yields UIDs in no order. QUIRK: Yahoo, Exchange
// and iCloud find fewer or more than there are; who must know compares with a FETCH.
func (c *Client) UIDSearch(ctx context.Context, criteria string, each func(uid uint32)) error {
	return c.run(ctx, "UID SEARCH", &Pending{onSearch: each}, func(w *Writer) { w.Raw(" ").Raw(criteria) })
}

// readSearch reads "* SEARCH n n n (MODSEQ n)".
func (c *Client) readSearch() error {
	p := c.first(func(p *Pending) bool { return p.onSearch != nil })
	for {
		t, err := c.reader.Next()
		if err != nil {
			return err
		}
		switch t.Kind {
		case EOL:
			return nil
		case Open:
			return c.reader.SkipLine()
		case Atom:
			if n, ok := ParseNumber(t.Bytes); ok && uid(n) != 0 && p != nil {
				p.onSearch(uid(n))
			}
		}
	}
}

// readESearch reads "* ESEARCH (TAG "x") UID ALL set" (RFC 4731).
func (c *Client) readESearch() error {
	p := c.first(func(p *Pending) bool { return p.onSearch != nil })
	isAll := false
	for {
		t, err := c.reader.Next()
		if err != nil {
			return err
		}
		switch {
		case t.Kind == EOL:
			return nil
		case isAll && t.Kind == Atom:
			// A set that names more than the mailbox holds is a few octets that would keep us busy for hours.
			if set, err := ParseSet(string(t.Bytes)); err == nil && p != nil && set.Len() <= max(c.exists, 0) {
				for u := range set.All() {
					p.onSearch(u)
				}
			}
		}
		isAll = t.IsAtom("ALL")
	}
}
