package storetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"

	"roost/mail"
)

func strainChecks() []check {
	return []check{
		{"a large message comes back exactly", largeMessage},
		{"many messages come back exactly", manyMessages},
		{"a store is safe for concurrent use", concurrent},
		{"a cancelled context stops every method and changes nothing", cancelled},
	}
}

func largeMessage(c *trial) {
	n := c.Large
	if n == 0 {
		n = 8 << 20
	}
	raw := append(text("large"), bytes.Repeat([]byte("0123456789 abcdefghijklmnopqrstuvwxyz\r\n"), n/39)...)
	raw = append(raw, bytes.Repeat([]byte("x"), n/4)...) // one long line
	c.create("box")
	key := c.add("box", mail.Message{}, raw)
	if got, want := c.body("box", key), c.stored(raw); sha256.Sum256(got) != sha256.Sum256(want) {
		c.Errorf("a message of %d octets came back as %d others", len(want), len(got))
	}
}

func manyMessages(c *trial) {
	n := c.Many
	if n == 0 {
		n = 500
	}
	c.create("box")
	for i := range n {
		raw := text(fmt.Sprint(i))
		if _, err := c.store.Append(c.Context(), "box", mail.Message{InternalDate: date, Size: int64(len(raw))}, bytes.NewReader(raw)); err != nil {
			c.Fatalf("Append of message %d = %v, want nil", i, err)
		}
	}
	listed := c.list("box")
	if len(listed.Messages) != n {
		c.Fatalf("%d messages are listed, want %d", len(listed.Messages), n)
	}
	seen := make(map[string]bool)
	for k, body := range c.bodies("box", keysOf(listed)) {
		s := subject(body)
		if seen[s] || !bytes.Equal(body, c.stored(text(s))) {
			c.Errorf("message %q is %q; seen before is %v", k, body, seen[s])
		}
		seen[s] = true
	}
}

// concurrent lets eight clients work at once, each on messages of its own.
func concurrent(c *trial) {
	const clients, rounds = 8, 6
	c.create("box", "other")
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for j := range rounds {
				if err := c.clientRound(fmt.Sprintf("client %d round %d", i, j), j); err != nil {
					c.Errorf("client %d, round %d: %v", i, j, err)
					return
				}
			}
		})
	}
	wg.Wait()
	var box, other []string
	for i := range clients {
		for j := range rounds {
			switch s := fmt.Sprintf("client %d round %d", i, j); j % 3 {
			case 0:
				box = append(box, s)
			case 1:
				other = append(other, s)
			}
		}
	}
	c.wantSubjects("box", box...)
	c.wantSubjects("other", other...)
	for _, m := range c.list("box").Messages {
		if m.Flags != mail.Flagged {
			c.Errorf("message %q has flags %q, want %q", m.Key, m.Flags, mail.Flagged)
		}
	}
}

// clientRound appends a message, flags it, reads it, and leaves, moves or
// expunges it.
func (c *trial) clientRound(s string, round int) error {
	ctx, raw := c.Context(), text(s)
	key, err := c.store.Append(ctx, "box", mail.Message{Size: int64(len(raw))}, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	if key == "" {
		return errors.New("a store used by several at once must tell the key of a message")
	}
	keys := []mail.Key{key}
	if err := c.store.SetFlags(ctx, "box", keys, mail.Flagged, ""); err != nil {
		return err
	}
	if _, err := c.store.Mailboxes(ctx); err != nil {
		return err
	}
	ch, err := c.store.Changes(ctx, "box", "")
	if err != nil {
		return err
	}
	if m, ok := byKey(ch)[key]; !ok || m.Flags != mail.Flagged {
		return fmt.Errorf("listed is %v, with flags %q; want true, %q", ok, m.Flags, mail.Flagged)
	}
	for f, err := range c.store.Fetch(ctx, "box", keys, mail.Whole) {
		if err != nil {
			return err
		}
		body, err := io.ReadAll(f.Body)
		if err != nil || !bytes.Equal(body, c.stored(raw)) {
			return fmt.Errorf("fetched %q, %v", body, err)
		}
	}
	switch round % 3 {
	case 1:
		_, err = c.store.Move(ctx, "box", keys, "other")
	case 2:
		err = c.store.Expunge(ctx, "box", keys)
	}
	return err
}

func cancelled(c *trial) {
	keys := c.fill("box", "one", "two")
	c.create("other")
	before := c.mailboxes()
	ctx, cancel := context.WithCancel(c.Context())
	cancel()
	want := func(call string, err error) {
		c.Helper()
		if !errors.Is(err, context.Canceled) {
			c.Errorf("%s with a cancelled context = %v, want %v", call, err, context.Canceled)
		}
	}
	_, err := c.store.Mailboxes(ctx)
	want("Mailboxes", err)
	_, err = c.store.Changes(ctx, "box", "")
	want("Changes", err)
	want("Create", c.store.Create(ctx, "new"))
	want("Rename", c.store.Rename(ctx, "box", "renamed"))
	want("Delete", c.store.Delete(ctx, "other"))
	_, err = c.store.Append(ctx, "box", mail.Message{Size: -1}, bytes.NewReader(text("three")))
	want("Append", err)
	want("SetFlags", c.store.SetFlags(ctx, "box", keys, mail.Seen, ""))
	want("Expunge", c.store.Expunge(ctx, "box", keys))
	_, err = c.store.Move(ctx, "box", keys, "other")
	want("Move", err)
	for _, err := range c.store.Fetch(ctx, "box", keys, mail.Whole) {
		want("Fetch", err)
		if _, one := mail.KeyOf(err); one {
			c.Errorf("Fetch with a cancelled context answered key by key: %v", err)
		}
	}
	c.wantSubjects("box", "one", "two")
	for _, k := range keys {
		c.wantFlags("box", k, "")
	}
	if after := c.mailboxes(); len(after) != len(before) {
		c.Errorf("calls with a cancelled context changed %d mailboxes to %d", len(before), len(after))
	}
}
