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
		a := s.send(ctx, c, name, box, m, raw)
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
	*wire.Appending
	name mail.Name
	size int
	loss mail.Loss
	err  error // it was not sent
}

// send begins to append a message with CRLF line ends. raw is sent when it returns.
func (s *Store) send(ctx context.Context, c *conn, name mail.Name, box string, m mail.Message, raw []byte) *appending {
	a := &appending{name: name, size: len(raw)}
	out := wire.Outgoing{Date: m.InternalDate, Size: int64(len(raw)), Body: bytes.NewReader(raw)}
	if limit := c.Capabilities().AppendLimit(); limit > 0 && out.Size > limit {
		a.err = fmt.Errorf("%w: it has %d octets, the server accepts %d", mail.ErrTooBig, out.Size, limit)
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
		out.Flags = kept.List()
	}
	if y := m.InternalDate.UTC().Year(); !m.InternalDate.IsZero() && (y < 1 || y > 9999) {
		out.Date, a.loss.Detail = time.Time{}, "internal date"
	}
	a.Appending = c.StartAppend(ctx, box, out)
	return a
}

// wait waits for the answer to a message.
func (a *appending) wait(ctx context.Context, s *Store, c *conn, box string) (mail.Key, error) {
	if a.err != nil {
		return "", a.err
	}
	_, uid, err := a.Wait(ctx)
	if err != nil {
		if c.Err() == nil {
			err = s.absent(ctx, c, "append", a.name, box, err)
		}
		return "", err
	}
	var key mail.Key
	if uid != 0 {
		key = keyOf(uid)
	}
	if a.loss != (mail.Loss{}) {
		return key, &a.loss
	}
	return key, nil
}

// AppendAll implements mail.BulkAppender. Where the server lets it (LITERAL+), many messages are in flight.
func (s *Store) AppendAll(ctx context.Context, name mail.Name, messages iter.Seq[mail.Outgoing]) iter.Seq2[mail.Appended, error] {
	return func(yield func(mail.Appended, error) bool) {
		b := &bulk{s: s, name: name, yield: yield}
		err := s.change(ctx, name, func(c *conn) error {
			sound := false
			defer func() {
				if !sound {
					c.Close() // answers are on their way that nobody waits for
				}
			}()
			err := b.run(ctx, c, messages)
			sound = len(b.flight) == 0
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
	yield   func(mail.Appended, error) bool
	flight  []*appending // the oldest first
	octets  int          // of flight
	raw     bytes.Buffer // the message that is being sent, as it was read
	crlf    []byte       // the same as it is sent
	stopped bool         // the caller wants no more
}

func (b *bulk) run(ctx context.Context, c *conn, messages iter.Seq[mail.Outgoing]) error {
	box, err := b.s.rawName(ctx, c, b.name)
	if err != nil {
		return fault("append", b.name, errors.Join(mail.ErrNoMailbox, err))
	}
	window := 1
	if c.Capabilities().Has("LITERAL+") {
		window = appendWindow
	}
	for m := range messages {
		a, err := b.next(ctx, c, box, m)
		if err != nil {
			return err
		}
		b.flight = append(b.flight, a)
		b.octets += a.size
		for len(b.flight) >= window || b.octets > appendBytes && len(b.flight) > 0 {
			if err := b.settle(ctx, c, box); err != nil || b.stopped {
				return err
			}
		}
	}
	for len(b.flight) > 0 {
		if err := b.settle(ctx, c, box); err != nil || b.stopped {
			return err
		}
	}
	return nil
}

// next reads a message and sends it. A message that cannot be read is answered with why.
func (b *bulk) next(ctx context.Context, c *conn, box string, m mail.Outgoing) (*appending, error) {
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
	return b.s.send(ctx, c, b.name, box, m.Message, b.crlf), c.Err()
}

// settle answers the oldest message.
func (b *bulk) settle(ctx context.Context, c *conn, box string) error {
	a := b.flight[0]
	key, err := a.wait(ctx, b.s, c, box)
	if c.Err() != nil && a.err == nil {
		return err
	}
	b.flight = b.flight[1:]
	b.octets -= a.size
	b.stopped = !b.yield(mail.Appended{Key: key, Err: appendFault(b.name, err)}, nil)
	return nil
}
