package imap

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	wire "roost/imap"
	"roost/mail"
)

// How much goes in one APPEND (MULTIAPPEND, RFC 3502). A server makes all of it durable at once, and we keep it until then.
const (
	bundleMessages = 64
	bundleOctets   = 4 << 20
)

// bundle is messages for one APPEND, which stores all of them or none.
type bundle struct {
	items  []*appending    // in order; those with an err are answered in their turn, and not sent
	octets []byte          // of the messages, one behind the other
	sent   *wire.Appending // nil: not in flight
}

// bundles tells whether messages can go in bundles.
func (s *Store) bundles(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.noBundles && c.Capabilities().Has("MULTIAPPEND")
}

func (s *Store) forgetBundles(why error) {
	s.options.Log.Info("appending one by one from now on", "host", s.options.Host, "cause", why.Error())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noBundles = true
}

// inBundles stores messages in bundles. While one is in flight the next is filled, but not sent: if the server refuses the
// first, its messages go one by one, and are to stand in front of those of the second.
func (b *bulk) inBundles(ctx context.Context, c *conn, messages iter.Seq[mail.Outgoing]) error {
	for m := range messages {
		a, err := b.next(ctx, c, m)
		if err != nil {
			return err
		}
		if !b.filling.hasRoom(a) {
			if err := b.turn(ctx, c); err != nil || b.stopped {
				return err
			}
		}
		b.filling.add(a, b.crlf)
	}
	for range 2 { // the one in flight, and the last
		if err := b.turn(ctx, c); err != nil || b.stopped {
			return err
		}
	}
	return nil
}

func (u *bundle) hasRoom(a *appending) bool {
	fits := a.err != nil || int64(len(u.octets))+a.out.Size <= bundleOctets
	return len(u.items) == 0 || len(u.items) < bundleMessages && fits
}

// add takes a message; raw is copied.
func (u *bundle) add(a *appending, raw []byte) {
	u.items = append(u.items, a)
	if a.err == nil {
		u.octets = append(u.octets, raw...)
	}
}

// outgoing are the messages that can be sent.
func (u *bundle) outgoing() []wire.Outgoing {
	var all []wire.Outgoing
	octets := u.octets
	for _, a := range u.items {
		if a.err == nil {
			out := a.out
			out.Body = bytes.NewReader(octets[:out.Size])
			octets = octets[out.Size:]
			all = append(all, out)
		}
	}
	return all
}

// empty makes room for other messages.
func (u *bundle) empty() {
	clear(u.items)
	u.items, u.octets, u.sent = u.items[:0], u.octets[:0], nil
	if cap(u.octets) > 2*bundleOctets {
		u.octets = nil
	}
}

// turn answers the bundle in flight and sends the one that was filled.
func (b *bulk) turn(ctx context.Context, c *conn) error {
	if err := b.landBundle(ctx, c); err != nil || b.stopped {
		return err
	}
	b.filling, b.flying = b.flying, b.filling
	out := b.flying.outgoing()
	if len(out) > 1 && !b.counted {
		b.counted, b.count = true, messagesIn(ctx, c, b.box)
	}
	if len(out) > 0 && c.Err() == nil {
		b.flying.sent = c.StartAppend(ctx, b.box, out...)
	}
	return c.Err()
}

// landBundle waits for the answer to the bundle in flight, and answers its messages. If the connection is lost, what
// became of them is not known, and they are not sent again.
func (b *bulk) landBundle(ctx context.Context, c *conn) error {
	u := b.flying
	var uids []uint32
	if u.sent != nil {
		var err error
		if _, uids, err = u.sent.Wait(ctx); c.Err() != nil {
			return err
		}
		u.sent = nil
		if err != nil {
			return b.oneByOne(ctx, c, u, err)
		}
	}
	told := len(uids) > 0
	for _, a := range u.items {
		var key mail.Key
		err := a.err
		if err == nil {
			b.stored(1)
			err = a.told()
			if told {
				key, uids = keyOf(uids[0]), uids[1:]
			}
		}
		if b.answer(key, err); b.stopped {
			break
		}
	}
	u.empty()
	return nil
}

// oneByOne sends the messages of a bundle again that the server has refused, each by itself, so that a bad one does not
// keep the others out.
func (b *bulk) oneByOne(ctx context.Context, c *conn, u *bundle, refusal error) error {
	if !refused(refusal) { // not now, it says; next time with smaller commands
		b.s.forgetBundles(refusal)
		return refusal
	}
	c.note(refusal)
	if now := messagesIn(ctx, c, b.box); b.counted && b.count >= 0 && now > b.count {
		// A server is to store all or none (RFC 3502, 2), but there is more than there was.
		b.s.forgetBundles(refusal)
		return fmt.Errorf("%w: of several messages some may be stored, though the server refused them: %w", mail.ErrConnect, refusal)
	}
	before := b.refused
	octets := u.octets
	for _, a := range u.items {
		var raw []byte
		if a.err == nil {
			raw, octets = octets[:a.out.Size], octets[a.out.Size:]
		}
		if err := b.launch(ctx, c, a, raw); err != nil || b.stopped {
			return err
		}
	}
	if err := b.land(ctx, c); err != nil || b.stopped {
		return err
	}
	if b.refused == before {
		b.s.forgetBundles(refusal) // it was no message's fault
	}
	b.stored(int64(len(u.items) - (b.refused - before)))
	u.empty()
	return nil
}

func (b *bulk) stored(n int64) {
	if b.counted && b.count >= 0 {
		b.count += n
	}
}

// messagesIn asks how many messages there are; -1: the server does not say.
func messagesIn(ctx context.Context, c *conn, box string) int64 {
	count := int64(-1)
	err := c.Status(ctx, []string{box}, []string{"MESSAGES"}, func(_ string, st wire.MailboxStatus, err error) {
		if err == nil {
			count = st.Messages
		}
	})
	if err != nil {
		return -1
	}
	return count
}
