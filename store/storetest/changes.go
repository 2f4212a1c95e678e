package storetest

import (
	"fmt"
	"maps"
	"slices"

	"roost/mail"
)

func changesChecks() []check {
	return []check{
		{"Changes since a token tell all that happened", changesFold},
		{"Changes tell nothing if nothing happened", changesNothing},
		{"a token of another mailbox or store, or of none, is void", changesVoid},
		{"Mailbox.Token changes if, and only if, the mailbox does", mailboxToken},
		{"a token stays good when another mailbox changes", changesElsewhere},
		{"an old token still tells all", changesOld},
		{"a message that came and went leaves no trace", changesCameAndWent},
		{"Mailboxes and Changes agree", statusAgrees},
	}
}

// fold applies changes to what was known, as the contract says.
func fold(known map[mail.Key]mail.Message, ch mail.Changes) map[mail.Key]mail.Message {
	if ch.Full {
		return byKey(ch)
	}
	known = maps.Clone(known)
	for k, m := range known {
		if ch.Vanished.Contains(m.UID) || ch.Present != nil && !ch.Present.Contains(m.UID) {
			delete(known, k)
		}
	}
	for _, m := range ch.Messages {
		known[m.Key] = m
	}
	return known
}

// wantKnown holds what was folded against a full listing.
func (c *trial) wantKnown(name mail.Name, known map[mail.Key]mail.Message, after string) {
	c.Helper()
	full := byKey(c.list(name))
	for k, want := range full {
		got, ok := known[k]
		switch {
		case !ok:
			c.Errorf("after %s, Changes did not tell message %q", after, k)
		case got.Flags != want.Flags:
			c.Errorf("after %s, Changes told flags %q of message %q, want %q", after, got.Flags, k, want.Flags)
		case got.UID != want.UID || got.GUID != want.GUID || !got.InternalDate.Equal(want.InternalDate):
			c.Errorf("after %s, Changes told %+v, want %+v", after, got, want)
		}
	}
	for k := range known {
		if _, ok := full[k]; !ok {
			c.Errorf("after %s, Changes did not tell that message %q is gone", after, k)
		}
	}
}

func changesFold(c *trial) {
	keys := c.fill("box", "one", "two", "three", "four")
	c.create("other")
	state := c.list("box")
	known := byKey(state)
	steps := []struct {
		what string
		do   func() error
	}{
		{"Append", func() error {
			keys = append(keys, c.add("box", mail.Message{Flags: mail.Seen}, text("five")))
			return nil
		}},
		{"SetFlags", func() error {
			return c.store.SetFlags(c.Context(), "box", keys[1:3], mail.FlagsOf(mail.Flagged, mail.Answered), "")
		}},
		{"SetFlags back", func() error { return c.store.SetFlags(c.Context(), "box", keys[1:3], "", mail.Answered) }},
		{"Expunge of one", func() error { return c.store.Expunge(c.Context(), "box", keys[:1]) }},
		{"Expunge of the last", func() error { return c.store.Expunge(c.Context(), "box", keys[4:5]) }},
		{"Move away", func() error { _, err := c.store.Move(c.Context(), "box", keys[2:3], "other"); return err }},
		{"Append of a twin", func() error { c.add("box", mail.Message{}, text("two")); return nil }},
		{"Expunge of all", func() error { return c.store.Expunge(c.Context(), "box", keysOf(c.list("box"))) }},
		{"Append again", func() error { c.add("box", mail.Message{}, text("six")); return nil }},
	}
	for _, step := range steps {
		c.settle()
		if err := step.do(); err != nil {
			c.Fatalf("%s = %v, want nil", step.what, err)
		}
		state = c.changes("box", state.Token)
		known = fold(known, state)
		c.wantKnown("box", known, step.what)
	}
	c.wantSubjects("box", "six")
}

func changesNothing(c *trial) {
	c.fill("box", "one", "two")
	c.settle()
	before := c.list("box")
	if before.Token == "" {
		c.Skip("the store gives no tokens")
	}
	again := c.changes("box", before.Token)
	if again.Token != before.Token {
		c.Errorf("nothing happened, but the token changed from %q to %q", before.Token, again.Token)
	}
	if !again.Full && (len(again.Messages) > 0 || again.Vanished.Len() > 0) {
		c.Errorf("nothing happened, but Changes tell %d messages and %d gone", len(again.Messages), again.Vanished.Len())
	}
	c.wantKnown("box", fold(byKey(before), again), "nothing")
}

func changesVoid(c *trial) {
	c.fill("box", "one", "two")
	c.fill("other", "three")
	foreign := &trial{reporter: c.reporter, t: c.t, open: c.open, store: c.open(c.t), Options: c.Options}
	foreign.fill("box", "not", "ours", "at all")
	c.settle()
	foreign.settle()
	tokens := []mail.Token{
		c.list("other").Token, foreign.list("box").Token,
		"garbage", "\x00\xff", "1", "0", "1 2 3 4 5 6 7 8", "18446744073709551616",
		c.list("box").Token + "0", "0" + c.list("box").Token,
	}
	for _, token := range tokens {
		got := c.changes("box", token)
		if !got.Full {
			c.Errorf("Changes(box, %q) is not Full, but the token is void", token)
		}
		if len(got.Messages) != 2 {
			c.Errorf("Changes(box, %q) lists %d messages, want 2", token, len(got.Messages))
		}
	}
}

func mailboxToken(c *trial) {
	keys := c.fill("box", "one", "two", "three")
	c.create("other")
	c.settle()
	if c.mailbox("box").Token == "" {
		c.Skip("the store gives no tokens with its list")
	}
	steps := []struct {
		what    string
		changes bool
		do      func() error
	}{
		{"nothing", false, func() error { return nil }},
		{"a listing", false, func() error { c.list("box"); return nil }},
		{"Append", true, func() error { c.add("box", mail.Message{}, text("four")); return nil }},
		{"SetFlags", true, func() error { return c.store.SetFlags(c.Context(), "box", keys[:1], mail.Seen, "") }},
		{"SetFlags of what is set", false, func() error { return c.store.SetFlags(c.Context(), "box", keys[:1], mail.Seen, "") }},
		{"Expunge", true, func() error { return c.store.Expunge(c.Context(), "box", keys[1:2]) }},
		{"Expunge of what is gone", false, func() error { return c.store.Expunge(c.Context(), "box", keys[1:2]) }},
		{"Append elsewhere", false, func() error { c.add("other", mail.Message{}, text("five")); return nil }},
		{"Move", true, func() error { _, err := c.store.Move(c.Context(), "box", keys[2:3], "other"); return err }},
	}
	for _, step := range steps {
		c.settle()
		before := c.list("box").Token
		if err := step.do(); err != nil {
			c.Fatalf("%s = %v, want nil", step.what, err)
		}
		after := c.mailbox("box").Token
		switch {
		case step.changes && after == before:
			c.Errorf("%s changed the mailbox, but Mailbox.Token equals the token of Changes before", step.what)
		case !step.changes && after != before:
			c.Errorf("%s did not change the mailbox, but Mailbox.Token is %q, the token of Changes was %q", step.what, after, before)
		}
	}
}

func changesElsewhere(c *trial) {
	c.fill("box", "one")
	c.fill("other", "two")
	c.settle()
	state := c.list("box")
	c.add("other", mail.Message{}, text("three"))
	c.create("third")
	c.wantKnown("box", fold(byKey(state), c.changes("box", state.Token)), "a change elsewhere")
}

func changesOld(c *trial) {
	keys := c.fill("box", "one", "two", "three")
	first := c.list("box")
	for i := range 10 {
		c.settle()
		keys = append(keys, c.add("box", mail.Message{}, text(fmt.Sprint(i))))
		if i%2 == 0 {
			if err := c.store.Expunge(c.Context(), "box", keys[i:i+1]); err != nil {
				c.Fatalf("Expunge = %v, want nil", err)
			}
		}
	}
	c.setFlags("box", keys[3:5], mail.Seen, "")
	c.wantKnown("box", fold(byKey(first), c.changes("box", first.Token)), "many changes")
}

func changesCameAndWent(c *trial) {
	c.fill("box", "one")
	c.settle()
	first := c.list("box")
	key := c.add("box", mail.Message{}, text("short-lived"))
	if err := c.store.Expunge(c.Context(), "box", []mail.Key{key}); err != nil {
		c.Fatalf("Expunge = %v, want nil", err)
	}
	got := c.changes("box", first.Token)
	if slices.Contains(keysOf(got), key) {
		c.Errorf("Changes lists message %q, which is gone", key)
	}
	c.wantKnown("box", fold(byKey(first), got), "a message came and went")
}

func statusAgrees(c *trial) {
	c.fill("box", "one", "two", "three")
	c.settle()
	box, ch := c.mailbox("box"), c.list("box")
	if box.Count >= 0 && box.Count != 3 {
		c.Errorf("Mailbox.Count = %d, want 3", box.Count)
	}
	if box.UIDValidity != 0 && box.UIDValidity != ch.UIDValidity {
		c.Errorf("Mailbox.UIDValidity = %d, Changes.UIDValidity = %d", box.UIDValidity, ch.UIDValidity)
	}
	if box.UIDNext != 0 && ch.UIDNext != 0 && box.UIDNext != ch.UIDNext {
		c.Errorf("Mailbox.UIDNext = %d, Changes.UIDNext = %d", box.UIDNext, ch.UIDNext)
	}
	if box.HighestModSeq != 0 && ch.HighestModSeq != 0 && box.HighestModSeq != ch.HighestModSeq {
		c.Errorf("Mailbox.HighestModSeq = %d, Changes.HighestModSeq = %d", box.HighestModSeq, ch.HighestModSeq)
	}
	if box.Token != "" && box.Token != ch.Token {
		c.Errorf("Mailbox.Token = %q, Changes.Token = %q", box.Token, ch.Token)
	}
}
