package imap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	wire "roost/imap"
	"roost/mail"
	"roost/message"
)

// How much of AppendAll is in flight.
const (
	appendWindow = 32      // messages
	appendBytes  = 8 << 20 // octets
	maxKept      = 4 << 20 // octets of a buffer that is used again
)

// Append implements mail.Store.
func (s *Store) Append(ctx context.Context, name mail.Name, m mail.Message, body io.Reader) (mail.Key, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	raw, err := io.ReadAll(message.NormalizeCRLF(body))
	if err != nil {
		return "", &mail.Error{Op: "append", Mailbox: name, Err: fmt.Errorf("read message: %w", err)}
	}
	var key mail.Key
	err = s.change(ctx, name, func(c *conn) error {
		box, err := s.rawName(ctx, c, name)
		if err != nil {
			return fault("append", name, errors.Join(mail.ErrNoMailbox, err))
		}
		a := s.prepare(ctx, c, name, m, raw)
		a.send(ctx, c, box, raw)
		key, err = a.wait(ctx, s, c, box)
		return err
	})
	return key, appendFault(name, err)
}

// appendFault leaves a loss as it is: it is no failure.
func appendFault(name mail.Name, err error) error {
	var loss *mail.Loss
	if errors.As(err, &loss) {
		return loss
	}
	return fault("append", name, err)
}

// appending is a message on its way.
type appending struct {
	*wire.Appending // nil before it is sent, and within a bundle
	name            mail.Name
	out             wire.Outgoing // without Body
	loss            mail.Loss
	err             error // it cannot be sent
}

// prepare finds out how a message can be sent whose bytes, with CRLF line ends, are raw.
func (s *Store) prepare(ctx context.Context, c *conn, name mail.Name, m mail.Message, raw []byte) *appending {
	a := &appending{name: name, out: wire.Outgoing{Date: m.InternalDate, Size: int64(len(raw))}}
	if limit := c.Capabilities().AppendLimit(); limit > 0 && a.out.Size > limit {
		a.err = fmt.Errorf("%w: it has %d octets, the server accepts %d", mail.ErrTooBig, a.out.Size, limit)
		return a
	}
	if bytes.IndexByte(raw, 0) >= 0 {
		// Servers with BINARY take it and store something else: QUIRK: Dovecot 2.3 0x80, Cyrus 3.6 another encoding.
		a.err = fmt.Errorf("%w: the message holds a NUL, which IMAP cannot carry unchanged", mail.ErrUnsupported)
		return a
	}
	if m.Flags != "" {
		p, err := s.permission(ctx, c, name)
		if err != nil {
			a.err = err
			return a
		}
		var kept mail.Flags
		kept, a.loss.Flags = p.split(m.Flags)
		kept, a.loss.Flags = spare(c, kept, a.loss.Flags)
		a.out.Flags = kept.List()
	}
	if y := m.InternalDate.UTC().Year(); !m.InternalDate.IsZero() && (y < 1 || y > 9999) {
		a.out.Date, a.loss.Detail = time.Time{}, "internal date"
	}
	return a
}

// send begins to append a message by itself. raw is sent when it returns.
func (a *appending) send(ctx context.Context, c *conn, box string, raw []byte) {
	if a.err != nil {
		return
	}
	a.out.Body = bytes.NewReader(raw)
	a.Appending = c.StartAppend(ctx, box, a.out)
}

// wait waits for the answer to a message.
func (a *appending) wait(ctx context.Context, s *Store, c *conn, box string) (mail.Key, error) {
	if a.err != nil {
		return "", a.err
	}
	_, uids, err := a.Wait(ctx)
	if err != nil {
		if c.Err() == nil {
			err = s.absent(ctx, c, "append", a.name, box, err)
		}
		return "", err
	}
	if len(uids) == 0 {
		return "", a.told()
	}
	return keyOf(uids[0]), a.told()
}

// told is what is to be said of a message that is stored: nil, or its loss.
func (a *appending) told() error {
	if a.loss == (mail.Loss{}) {
		return nil
	}
	return &a.loss
}

// AppendAll implements mail.BulkAppender. Where the server can store many messages by one command (MULTIAPPEND), they go
// in bundles; else where it need not be asked for each (LITERAL+), many are in flight.
func (s *Store) AppendAll(ctx context.Context, name mail.Name, messages iter.Seq[mail.Outgoing]) iter.Seq2[mail.Appended, error] {
	return func(yield func(mail.Appended, error) bool) {
		b := &bulk{s: s, name: name, yield: yield, filling: &bundle{}, flying: &bundle{}}
		err := s.change(ctx, name, func(c *conn) error {
			sound := false
			defer func() {
				if !sound {
					c.Close() // answers are on their way that nobody waits for
				}
			}()
			err := b.run(ctx, c, messages)
			sound = len(b.flight) == 0 && b.flying.sent == nil
			return err
		})
		if err != nil && !b.stopped {
			yield(mail.Appended{}, fault("append", name, err))
		}
	}
}

// bulk is an AppendAll under way.
type bulk struct {
	s       *Store
	name    mail.Name
	box     string // the same on the wire
	yield   func(mail.Appended, error) bool
	window  int          // messages in flight, at most
	flight  []*appending // the oldest first
	octets  int64        // of flight
	raw     bytes.Buffer // the message that is being sent, as it was read
	crlf    []byte       // the same as it is sent
	stopped bool         // the caller wants no more
	refused int          // messages that the server did not take

	filling, flying *bundle
	counted         bool  // the server was asked for count
	count           int64 // messages in the mailbox, as the server said, with those stored since; -1: it does not say
}

func (b *bulk) run(ctx context.Context, c *conn, messages iter.Seq[mail.Outgoing]) error {
	box, err := b.s.rawName(ctx, c, b.name)
	if err != nil {
		return fault("append", b.name, errors.Join(mail.ErrNoMailbox, err))
	}
	b.box, b.window = box, 1
	if c.Capabilities().Has("LITERAL+") {
		b.window = appendWindow
	}
	if b.s.bundles(c) {
		return b.inBundles(ctx, c, messages)
	}
	for m := range messages {
		a, err := b.next(ctx, c, m)
		if err != nil {
			return err
		}
		if err := b.launch(ctx, c, a, b.crlf); err != nil || b.stopped {
			return err
		}
	}
	return b.land(ctx, c)
}

// launch sends a message by itself, and answers older ones if too many are in flight.
func (b *bulk) launch(ctx context.Context, c *conn, a *appending, raw []byte) error {
	a.send(ctx, c, b.box, raw)
	b.flight = append(b.flight, a)
	b.octets += a.out.Size
	for len(b.flight) >= b.window || b.octets > appendBytes {
		if err := b.landOldest(ctx, c); err != nil || b.stopped {
			return err
		}
	}
	return nil
}

// landOldest answers the oldest message in flight.
func (b *bulk) landOldest(ctx context.Context, c *conn) error {
	a := b.flight[0]
	key, err := a.wait(ctx, b.s, c, b.box)
	if c.Err() != nil && a.err == nil {
		return err
	}
	b.flight = b.flight[1:]
	b.octets -= a.out.Size
	b.answer(key, err)
	return nil
}

// land answers all messages in flight.
func (b *bulk) land(ctx context.Context, c *conn) error {
	for len(b.flight) > 0 {
		if err := b.landOldest(ctx, c); err != nil || b.stopped {
			return err
		}
	}
	return nil
}

// answer tells the caller what became of the message whose turn it is.
func (b *bulk) answer(key mail.Key, err error) {
	var loss *mail.Loss
	if err != nil && !errors.As(err, &loss) {
		b.refused++
	}
	b.stopped = !b.yield(mail.Appended{Key: key, Err: appendFault(b.name, err)}, nil)
}

// next reads a message, into crlf. A message that cannot be read is answered with why.
func (b *bulk) next(ctx context.Context, c *conn, m mail.Outgoing) (*appending, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, err := m.Open(ctx)
	if err != nil {
		return &appending{err: fmt.Errorf("read message: %w", err)}, nil
	}
	if b.raw.Cap() > maxKept {
		b.raw, b.crlf = bytes.Buffer{}, nil
	}
	b.raw.Reset()
	_, err = b.raw.ReadFrom(r)
	if closed := r.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return &appending{err: fmt.Errorf("read message: %w", err)}, nil
	}
	b.crlf = message.AppendCRLF(b.crlf[:0], b.raw.Bytes())
	return b.s.prepare(ctx, c, b.name, m.Message, b.crlf), c.Err()
}
