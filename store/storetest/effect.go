package storetest

import (
	"bytes"
	"errors"
	"slices"

	"roost/mail"
)

func effectChecks() []check {
	return []check{
		{"Expunge removes exactly these messages", expunge},
		{"Move takes messages with their bytes, flags and dates", move},
		{"Move returns the new keys in the order asked", moveKeys},
		{"Move to what is not there moves nothing", moveNowhere},
		{"what was done is there after reopening", reopen},
	}
}

func expunge(c *trial) {
	keys := c.fill("box", "one", "two", "three", "four")
	c.setFlags("box", keys[1:3], mail.Deleted, "")
	err := c.store.Expunge(c.Context(), "box", []mail.Key{keys[2], "999999999", keys[0], "no such key"})
	if errors.Is(err, mail.ErrUnsupported) {
		c.wantSubjects("box", "one", "two", "three", "four")
		c.Skip("the store cannot expunge by key")
	}
	if err != nil {
		c.Fatalf("Expunge = %v, want nil", err)
	}
	c.wantSubjects("box", "two", "four")
	c.wantFlags("box", keys[1], mail.Deleted)
	if err := c.store.Expunge(c.Context(), "box", nil); err != nil {
		c.Errorf("Expunge of no keys = %v, want nil", err)
	}
	if err := c.store.Expunge(c.Context(), "box", keys[2:3]); err != nil {
		c.Errorf("Expunge of what is gone = %v, want nil", err)
	}
	c.wantSubjects("box", "two", "four")
}

func move(c *trial) {
	keys := c.fill("from", "one", "two", "three")
	c.fill("to", "zero")
	flags, _ := c.split(mail.FlagsOf(mail.Flagged, mail.Seen, "Work"))
	c.setFlags("from", keys[1:2], flags, "")
	if _, err := c.store.Move(c.Context(), "from", keys[1:3], "to"); err != nil {
		c.Fatalf("Move = %v, want nil", err)
	}
	c.wantSubjects("from", "one")
	c.wantSubjects("to", "zero", "two", "three")
	listed := c.list("to")
	bodies := c.bodies("to", keysOf(listed))
	for _, m := range listed.Messages {
		if !m.InternalDate.Equal(date) {
			c.Errorf("after Move, message %q is dated %v, want %v", m.Key, m.InternalDate, date)
		}
		if want := flags; subject(bodies[m.Key]) == "two" && m.Flags != want {
			c.Errorf("after Move, message %q has flags %q, want %q", m.Key, m.Flags, want)
		}
		if want := c.stored(text(subject(bodies[m.Key]))); !bytes.Equal(bodies[m.Key], want) {
			c.Errorf("after Move, message %q is %q, want %q", m.Key, bodies[m.Key], want)
		}
	}
	if moved, err := c.store.Move(c.Context(), "from", nil, "to"); err != nil || len(moved) != 0 {
		c.Errorf("Move of no keys = %q, %v; want none, nil", moved, err)
	}
}

func moveKeys(c *trial) {
	keys := c.fill("from", "one", "two", "three", "four")
	c.create("to")
	if err := c.store.Expunge(c.Context(), "from", keys[1:2]); err != nil {
		c.Fatalf("Expunge = %v, want nil", err)
	}
	asked := []mail.Key{keys[2], "no such key", keys[1], keys[0]}
	moved, err := c.store.Move(c.Context(), "from", asked, "to")
	if err != nil {
		c.Fatalf("Move = %v, want nil", err)
	}
	if len(moved) != len(asked) {
		c.Fatalf("Move of %d keys returned %d", len(asked), len(moved))
	}
	for i, want := range []string{"three", "", "", "one"} {
		switch key := moved[i]; {
		case want == "" && key != "":
			c.Errorf("Move of %q, which is gone, returned key %q", asked[i], key)
		case want != "" && key != "" && subject(c.body("to", key)) != want:
			c.Errorf("Move of %q returned key %q, which holds %q", want, key, subject(c.body("to", key)))
		}
	}
	c.wantSubjects("from", "four")
	c.wantSubjects("to", "three", "one")
}

func moveNowhere(c *trial) {
	keys := c.fill("from", "one", "two")
	_, err := c.store.Move(c.Context(), "from", keys, "nowhere")
	if !errors.Is(err, mail.ErrNoMailbox) {
		c.Errorf("Move to what is not there = %v, want %v", err, mail.ErrNoMailbox)
	}
	c.wantSubjects("from", "one", "two")
}

func reopen(c *trial) {
	if c.Reopen == nil {
		c.Skip("not to be reopened")
	}
	keys := c.fill("box/below", "one", "two", "three")
	flags, _ := c.split(mail.FlagsOf(mail.Seen, "Work", "Play"))
	c.setFlags("box/below", keys[:1], flags, "")
	if err := c.store.Expunge(c.Context(), "box/below", keys[1:2]); err != nil {
		c.Fatalf("Expunge = %v, want nil", err)
	}
	c.settle()
	list, box := c.list("box/below"), c.mailbox("box/below")
	c.store = c.Reopen(c.t, c.store)
	if got := c.mailbox("box/below"); got.ID != box.ID || got.UIDValidity != box.UIDValidity || got.Token != box.Token {
		c.Errorf("after reopening, the mailbox is %+v, before it was %+v", got, box)
	}
	again := c.list("box/below")
	if !slices.EqualFunc(again.Messages, list.Messages, sameMessage) {
		c.Errorf("after reopening, messages are %+v, before they were %+v", again.Messages, list.Messages)
	}
	if since := c.changes("box/below", list.Token); since.Token != list.Token {
		c.Errorf("after reopening, the token is %q, before it was %q", since.Token, list.Token)
	}
	c.wantSubjects("box/below", "one", "three")
}

func sameMessage(a, b mail.Message) bool {
	return a.Key == b.Key && a.UID == b.UID && a.GUID == b.GUID && a.Flags == b.Flags && a.Size == b.Size &&
		a.InternalDate.Equal(b.InternalDate)
}
