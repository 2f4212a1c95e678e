package imap

import (
	"context"
	"io"
	"time"
)

// Create makes a mailbox, with a special use (RFC 6154) unless it is "".
func (c *Client) Create(ctx context.Context, name, use string) error {
	return c.run(ctx, "CREATE", &Pending{}, func(w *Writer) {
		w.Raw(" ").AString(name)
		if use != "" {
			w.Raw(" (USE (").Raw(use).Raw("))")
		}
	})
}

// Rename gives a mailbox, and all beneath it, another name.
func (c *Client) Rename(ctx context.Context, old, new string) error {
	return c.run(ctx, "RENAME", &Pending{}, func(w *Writer) { w.Raw(" ").AString(old).Raw(" ").AString(new) })
}

// Delete removes a mailbox with its messages.
func (c *Client) Delete(ctx context.Context, name string) error {
	return c.run(ctx, "DELETE", &Pending{}, func(w *Writer) { w.Raw(" ").AString(name) })
}

// Subscribe puts a name on the list of subscriptions, or takes it off.
func (c *Client) Subscribe(ctx context.Context, name string, on bool) error {
	verb := "SUBSCRIBE"
	if !on {
		verb = "UNSUBSCRIBE"
	}
	return c.run(ctx, verb, &Pending{}, func(w *Writer) { w.Raw(" ").AString(name) })
}

// Appending is an APPEND in flight.
type Appending struct {
	*Pending
	uidValidity uint32
	uids        []uint32
}

// Wait waits for the answer. uidValidity and uids are those of the new messages, in their order; 0 and nil if the server
// does not say (UIDPLUS), or says what cannot be.
func (a *Appending) Wait(ctx context.Context) (uidValidity uint32, uids []uint32, err error) {
	err = a.Pending.Wait(ctx)
	return a.uidValidity, a.uids, err
}

// Outgoing is a message to append.
type Outgoing struct {
	Flags  []string
	Date   time.Time // INTERNALDATE; zero: the server chooses
	Size   int64     // octets of Body
	Body   io.Reader // line ends are CRLF
	Binary bool      // Body holds NUL; the server must have BINARY
}

// StartAppend sends APPEND. Of several messages, for which the server must have MULTIAPPEND (RFC 3502), it stores all or
// none. If a body yields less than its size, or an error, the connection is closed, for the server waits for the rest;
// the error is then a *SourceError.
func (c *Client) StartAppend(ctx context.Context, mailbox string, messages ...Outgoing) *Appending {
	a := &Appending{Pending: &Pending{}}
	a.onCode = func(code Code) {
		if code.Name == "APPENDUID" {
			a.uidValidity, a.uids = parseAppendUID(code, len(messages))
		}
	}
	c.start(ctx, "APPEND", a.Pending, func(w *Writer) {
		w.Raw(" ").AString(mailbox)
		for _, m := range messages {
			m.write(w)
		}
	})
	return a
}

func (m Outgoing) write(w *Writer) {
	if len(m.Flags) > 0 {
		w.Raw(" ").Flags(m.Flags)
	}
	if !m.Date.IsZero() {
		w.Raw(` "` + FormatDate(m.Date) + `"`)
	}
	w.Raw(" ")
	if m.Binary {
		w.Literal8(m.Size, m.Body)
		return
	}
	w.Literal(m.Size, m.Body)
}

// StoreFlags adds flags to messages (add) or removes them. New values are not asked for.
func (c *Client) StoreFlags(ctx context.Context, set string, flags []string, add bool) error {
	verb := " -FLAGS.SILENT "
	if add {
		verb = " +FLAGS.SILENT "
	}
	return c.run(ctx, "UID STORE", &Pending{}, func(w *Writer) { w.Raw(" ").Raw(set).Raw(verb).Flags(flags) })
}

// Copy copies messages to another mailbox. ok is false if the server does not say what their UIDs are there.
func (c *Client) Copy(ctx context.Context, set, mailbox string) (copied CopyUID, ok bool, err error) {
	return c.copyOrMove(ctx, "UID COPY", set, mailbox)
}

// Move moves messages to another mailbox (RFC 6851).
func (c *Client) Move(ctx context.Context, set, mailbox string) (moved CopyUID, ok bool, err error) {
	return c.copyOrMove(ctx, "UID MOVE", set, mailbox)
}

func (c *Client) copyOrMove(ctx context.Context, verb, set, mailbox string) (copied CopyUID, ok bool, err error) {
	p := &Pending{onCode: func(code Code) {
		// Cyrus sends COPYUID with an untagged OK, as RFC 6851 wants of MOVE; others with the tagged one.
		if got, good := parseCopyUID(code); good && code.Name == "COPYUID" {
			copied, ok = got, true
		}
	}}
	err = c.run(ctx, verb, p, func(w *Writer) { w.Raw(" ").Raw(set).Raw(" ").AString(mailbox) })
	return copied, ok, err
}

// UIDExpunge removes those messages of the set that are marked \Deleted (UIDPLUS).
func (c *Client) UIDExpunge(ctx context.Context, set string) error {
	return c.run(ctx, "UID EXPUNGE", &Pending{}, func(w *Writer) { w.Raw(" ").Raw(set) })
}

// Unselect leaves the mailbox without expunging (RFC 3691).
func (c *Client) Unselect(ctx context.Context) error {
	return c.run(ctx, "UNSELECT", &Pending{}, nil)
}
