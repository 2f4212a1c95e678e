package storetest

import (
	"bytes"
	"errors"

	"roost/mail"
)

func flagChecks() []check {
	return []check{
		{"flags given to Append are kept, and losses reported", appendFlags},
		{"SetFlags adds and removes on exactly these messages", setFlags},
		{"SetFlags keeps other flags", setFlagsKeeps},
		{"SetFlags passes over keys that are gone", setFlagsGone},
		{"keywords are the same in any case", keywordCase},
		{"a flag change changes neither bytes nor date nor key", flagsOnly},
	}
}

func flagSets() []mail.Flags {
	return []mail.Flags{
		"",
		mail.Seen,
		mail.Answered,
		mail.Deleted,
		mail.Draft,
		mail.Flagged,
		mail.FlagsOf(mail.Answered, mail.Deleted, mail.Draft, mail.Flagged, mail.Seen),
		"Work",
		mail.FlagsOf("$Forwarded", "$MDNSent", "$Junk", "NonJunk"),
		mail.FlagsOf(mail.Flagged, mail.Seen, "$Label1", "project-x", "with.dot", "with_underscore", "a&b"),
		mail.FlagsOf(mail.Seen, "[bracket"),
		`\X-Unknown`,
		mail.FlagsOf("Schlüssel", mail.Seen),
		mail.FlagsOf("k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9", "k10"),
	}
}

// split divides flags into those that the store keeps and those that it does not.
func (c *trial) split(flags mail.Flags) (kept, lost mail.Flags) {
	for f := range flags.All() {
		if c.keeps(f) {
			kept = kept.Plus(mail.FlagsOf(f))
		} else {
			lost = lost.Plus(mail.FlagsOf(f))
		}
	}
	return kept, lost
}

func appendFlags(c *trial) {
	c.create("box")
	for _, flags := range flagSets() {
		kept, lost := c.split(flags)
		raw := text("flags " + string(flags))
		before := byKey(c.list("box"))
		_, err := c.store.Append(c.Context(), "box", mail.Message{Flags: flags, Size: int64(len(raw))}, bytes.NewReader(raw))
		var loss *mail.Loss
		switch {
		case errors.As(err, &loss):
			if loss.Flags != lost {
				c.Errorf("Append with flags %q lost %q, want to lose %q", flags, loss.Flags, lost)
			}
		case err != nil:
			c.Fatalf("Append with flags %q = %v, want nil or a *mail.Loss", flags, err)
		case lost != "":
			c.Errorf("Append with flags %q = nil, want a *mail.Loss of %q", flags, lost)
		}
		for _, m := range c.list("box").Messages {
			if _, old := before[m.Key]; !old && m.Flags != kept {
				c.Errorf("appended with flags %q, listed with %q, want %q", flags, m.Flags, kept)
			}
		}
	}
}

func (c *trial) setFlags(name mail.Name, keys []mail.Key, add, remove mail.Flags) {
	c.Helper()
	if err := c.store.SetFlags(c.Context(), name, keys, add, remove); err != nil {
		c.Fatalf("SetFlags(%q, %q, add %q, remove %q) = %v, want nil", name, keys, add, remove, err)
	}
}

func (c *trial) wantFlags(name mail.Name, key mail.Key, want mail.Flags) {
	c.Helper()
	if got := c.message(name, key).Flags; got != want {
		c.Errorf("message %q of %q has flags %q, want %q", key, name, got, want)
	}
}

func setFlags(c *trial) {
	keys := c.fill("box", "one", "two", "three")
	c.setFlags("box", keys[:2], mail.FlagsOf(mail.Seen, mail.Flagged), "")
	c.wantFlags("box", keys[0], mail.FlagsOf(mail.Seen, mail.Flagged))
	c.wantFlags("box", keys[1], mail.FlagsOf(mail.Seen, mail.Flagged))
	c.wantFlags("box", keys[2], "")
	c.setFlags("box", keys[1:], mail.Answered, mail.FlagsOf(mail.Seen, mail.Draft))
	c.wantFlags("box", keys[0], mail.FlagsOf(mail.Seen, mail.Flagged))
	c.wantFlags("box", keys[1], mail.FlagsOf(mail.Answered, mail.Flagged))
	c.wantFlags("box", keys[2], mail.Answered)
	c.setFlags("box", keys, "", mail.FlagsOf(mail.Answered, mail.Flagged, mail.Seen))
	for _, k := range keys {
		c.wantFlags("box", k, "")
	}
	c.setFlags("box", nil, mail.Seen, "")
	c.setFlags("box", keys, "", "")
	for _, k := range keys {
		c.wantFlags("box", k, "")
	}
}

func setFlagsKeeps(c *trial) {
	if !c.keeps("Work") || !c.keeps("Play") {
		c.Skip("the store keeps no keywords")
	}
	keys := c.fill("box", "one", "two")
	c.setFlags("box", keys, mail.FlagsOf("Work", mail.Seen), "")
	c.setFlags("box", keys[:1], mail.FlagsOf("Play", mail.Deleted), mail.Seen)
	c.wantFlags("box", keys[0], mail.FlagsOf("Work", "Play", mail.Deleted))
	c.wantFlags("box", keys[1], mail.FlagsOf("Work", mail.Seen))
	c.setFlags("box", keys, "", mail.FlagsOf("Work"))
	c.wantFlags("box", keys[0], mail.FlagsOf("Play", mail.Deleted))
	c.wantFlags("box", keys[1], mail.Seen)
	if c.Reopen != nil {
		c.store = c.Reopen(c.t, c.store)
		c.wantFlags("box", keys[0], mail.FlagsOf("Play", mail.Deleted))
	}
}

func setFlagsGone(c *trial) {
	keys := c.fill("box", "one", "two")
	if err := c.store.Expunge(c.Context(), "box", keys[:1]); err != nil {
		c.Fatalf("Expunge = %v, want nil", err)
	}
	c.setFlags("box", []mail.Key{keys[0], "999999999", "no such key", keys[1]}, mail.Seen, "")
	c.wantFlags("box", keys[1], mail.Seen)
	c.wantSubjects("box", "two")
}

func keywordCase(c *trial) {
	if !c.keeps("Work") {
		c.Skip("the store keeps no keywords")
	}
	key := c.fill("box", "one")[0]
	c.setFlags("box", []mail.Key{key}, "Work", "")
	c.setFlags("box", []mail.Key{key}, "WORK", "")
	if got := c.message("box", key).Flags; got.Len() != 1 || !got.Has("work") {
		c.Errorf("after adding Work and WORK, flags are %q, want one keyword", got)
	}
	c.setFlags("box", []mail.Key{key}, "", "work")
	c.wantFlags("box", key, "")
}

func flagsOnly(c *trial) {
	key := c.fill("box", "one")[0]
	before := c.message("box", key)
	c.setFlags("box", []mail.Key{key}, mail.FlagsOf(mail.Seen, mail.Deleted), "")
	after := c.message("box", key)
	if before.UID != after.UID || before.GUID != after.GUID || before.Size != after.Size || !before.InternalDate.Equal(after.InternalDate) {
		c.Errorf("after SetFlags, the message is %+v, before it was %+v", after, before)
	}
	if got := c.body("box", key); !bytes.Equal(got, c.stored(text("one"))) {
		c.Errorf("after SetFlags, Fetch yields %q", got)
	}
}
