package imap

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// ListEntry is one line of LIST or LSUB.
type ListEntry struct {
	Attributes []string // \Noselect, \HasChildren, \Sent, ...; as sent
	Separator  byte     // of hierarchy levels; 0: the name has no levels
	Name       string   // as on the wire
}

// Has reports whether the entry has an attribute, ASCII case aside.
func (e ListEntry) Has(attribute string) bool {
	return slices.ContainsFunc(e.Attributes, func(a string) bool { return strings.EqualFold(a, attribute) })
}

// MailboxStatus is one STATUS response. What the server does not say is -1 or 0.
type MailboxStatus struct {
	Name          string // as on the wire
	Messages      int64  // -1: not said
	UIDNext       uint32
	UIDValidity   uint32
	HighestModSeq uint64
	MailboxID     string // MAILBOXID (RFC 8474), or X-GUID of Dovecot
}

// ListOptions adjust List. Each field needs its extension.
type ListOptions struct {
	Subscribed bool     // select only subscribed mailboxes (LIST-EXTENDED)
	Return     string   // what stands between the parentheses of RETURN, as "SUBSCRIBED SPECIAL-USE"; "" none
	Status     []string // items of a STATUS a mailbox (LIST-STATUS); they are told to EachStatus
	EachStatus func(MailboxStatus)
}

// List lists the mailboxes that match a pattern.
func (c *Client) List(ctx context.Context, pattern string, o ListOptions) ([]ListEntry, error) {
	var all []ListEntry
	p := &Pending{onList: func(e ListEntry) { all = append(all, e) }, onStatus: o.EachStatus}
	err := c.run(ctx, "LIST", p, func(w *Writer) {
		if o.Subscribed {
			w.Raw(" (SUBSCRIBED)")
		}
		w.Raw(` "" `).String(pattern)
		what := o.Return
		if len(o.Status) > 0 {
			what = strings.TrimSpace(what + " STATUS (" + strings.Join(o.Status, " ") + ")")
		}
		if what != "" {
			w.Raw(" RETURN (" + what + ")")
		}
	})
	return all, err
}

// Lsub lists the subscribed mailboxes that match a pattern.
func (c *Client) Lsub(ctx context.Context, pattern string) ([]ListEntry, error) {
	var all []ListEntry
	p := &Pending{onList: func(e ListEntry) { all = append(all, e) }}
	err := c.run(ctx, "LSUB", p, func(w *Writer) { w.Raw(` "" `).String(pattern) })
	return all, err
}

// maxAttributes bounds what is kept of one LIST line.
const maxAttributes = 100

// readList reads what follows "* LIST ".
func (c *Client) readList() error {
	p := c.first(func(p *Pending) bool { return p.onList != nil })
	if p == nil {
		return c.reader.SkipLine()
	}
	t, err := c.reader.Next()
	if err != nil || t.Kind == EOL {
		return err
	}
	var e ListEntry
	if e.Attributes, err = c.readWords(t, nil); err != nil {
		if errors.Is(err, errEarlyEOL) {
			return nil
		}
		return err
	}
	e.Attributes = e.Attributes[:min(len(e.Attributes), maxAttributes)]
	if t, err = c.reader.Next(); err != nil || t.Kind == EOL {
		return err
	}
	separator, err := c.reader.String(t, maxString)
	if err != nil {
		return err
	}
	if len(separator) > 0 {
		e.Separator = separator[0]
	}
	if t, err = c.reader.Next(); err != nil || t.Kind == EOL {
		return err
	}
	name, err := c.mailboxName(t)
	if err != nil {
		return err
	}
	e.Name = name
	p.onList(e)
	return c.reader.SkipLine()
}

// mailboxName is the name that t stands for. NIL is a name as any other here.
func (c *Client) mailboxName(t Token) (string, error) {
	if t.Kind == Atom {
		return string(t.Bytes), nil
	}
	b, err := c.reader.String(t, maxString)
	return string(b), err
}

// readStatus reads what follows "* STATUS ". QUIRK: Exchange: items are missing, blanks trail.
func (c *Client) readStatus() error {
	p := c.first(func(p *Pending) bool { return p.onStatus != nil })
	if p == nil {
		return c.reader.SkipLine()
	}
	t, err := c.reader.Next()
	if err != nil || t.Kind == EOL {
		return err
	}
	s := MailboxStatus{Messages: -1}
	if s.Name, err = c.mailboxName(t); err != nil {
		return err
	}
	for {
		t, err := c.reader.Next()
		if err != nil {
			return err
		}
		switch t.Kind {
		case EOL:
			p.onStatus(s)
			return nil
		case Atom:
			if err := c.readStatusItem(&s, upper(t.Bytes)); err != nil {
				if errors.Is(err, errEarlyEOL) {
					p.onStatus(s)
					return nil
				}
				return err
			}
		default:
			if t.Kind == Literal {
				if err := c.reader.SkipValue(t); err != nil {
					return err
				}
			}
		}
	}
}

func (c *Client) readStatusItem(s *MailboxStatus, item string) error {
	t, err := c.reader.Next()
	if err != nil {
		return err
	}
	if t.Kind == EOL {
		return errEarlyEOL
	}
	n, ok := ParseNumber(t.Bytes)
	switch {
	case item == "MAILBOXID" || item == "X-GUID":
		f := Fetch{}
		if err := c.readIdentifier(&f, "EMAILID", t); err != nil {
			return err
		}
		s.MailboxID = f.EmailID
		return nil
	case !ok:
	case item == "MESSAGES":
		s.Messages = max(-1, n)
	case item == "UIDNEXT":
		s.UIDNext = uid(n)
	case item == "UIDVALIDITY":
		s.UIDValidity = uid(n)
	case item == "HIGHESTMODSEQ":
		s.HighestModSeq = uint64(max(0, n))
	}
	return c.reader.SkipValue(t)
}

// Status asks for the status of each mailbox, several commands in flight. each hears of every name once, with the error
// of that mailbox if the server refuses it; a lost connection is the error of Status.
func (c *Client) Status(ctx context.Context, names, items []string, each func(name string, s MailboxStatus, err error)) error {
	type asked struct {
		name string
		p    *Pending
		got  *MailboxStatus
	}
	var flight []asked
	settle := func() error {
		a := flight[0]
		flight = flight[1:]
		err := a.p.Wait(ctx)
		if c.err != nil {
			return c.err
		}
		each(a.name, *a.got, err)
		return nil
	}
	for _, name := range names {
		a := asked{name: name, got: &MailboxStatus{Messages: -1}}
		a.p = c.start(ctx, "STATUS", &Pending{onStatus: func(s MailboxStatus) { *a.got = s }}, func(w *Writer) {
			w.Raw(" ").AString(name).Raw(" (" + strings.Join(items, " ") + ")")
		})
		flight = append(flight, a)
		if len(flight) >= Window {
			if err := settle(); err != nil {
				return err
			}
		}
	}
	for len(flight) > 0 {
		if err := settle(); err != nil {
			return err
		}
	}
	return nil
}

// Namespaces are the prefixes under which mailboxes stand (RFC 2342).
type Namespaces struct {
	Personal, Others, Shared []Namespace
}

// Namespace is one prefix, as on the wire, and the separator beneath it (0: none).
type Namespace struct {
	Prefix    string
	Separator byte
}

// Namespaces asks for the namespaces.
func (c *Client) Namespaces(ctx context.Context) (Namespaces, error) {
	var all Namespaces
	err := c.run(ctx, "NAMESPACE", &Pending{onNamespace: func(n Namespaces) { all = n }}, nil)
	return all, err
}

// readNamespace reads three lists of lists, each NIL or (("prefix" "separator" ...) ...).
func (c *Client) readNamespace() error {
	var all Namespaces
	kinds := []*[]Namespace{&all.Personal, &all.Others, &all.Shared}
	kind, depth, word := 0, 0, 0
	var one Namespace
	for {
		t, err := c.reader.Next()
		if err != nil {
			return err
		}
		switch t.Kind {
		case EOL:
			if p := c.first(func(p *Pending) bool { return p.onNamespace != nil }); p != nil {
				p.onNamespace(all)
			}
			return nil
		case Open:
			depth++
			if depth == 2 {
				one, word = Namespace{}, 0
			}
		case Close:
			if depth == 2 && kind < len(kinds) && len(*kinds[kind]) < maxAttributes {
				*kinds[kind] = append(*kinds[kind], one)
			}
			if depth--; depth == 0 {
				kind++
			}
		default:
			b, err := c.reader.String(t, maxString)
			if err != nil {
				return err
			}
			switch {
			case depth == 0:
				kind++ // NIL
			case depth == 2 && word == 0:
				one.Prefix = string(b)
			case depth == 2 && word == 1 && len(b) > 0:
				one.Separator = b[0]
			}
			word++
		}
	}
}
