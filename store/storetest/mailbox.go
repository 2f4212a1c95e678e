package storetest

import (
	"bytes"
	"errors"
	"fmt"

	"roost/mail"
)

func mailboxChecks() []check {
	return []check{
		{"a new store is empty", newStore},
		{"Create makes a mailbox and its missing parents", createParents},
		{"Create of what is there is ErrExist and harms nothing", createExisting},
		{"Rename takes the mailbox and all below it", rename},
		{"Rename to what is there is ErrExist and harms nothing", renameExisting},
		{"Rename of what is not there is ErrNoMailbox", renameMissing},
		{"Rename takes a mailbox nowhere below itself", renameBelowSelf},
		{"Delete removes the mailbox and its messages, not those below it", deleteMailbox},
		{"Delete of what is not there is ErrNoMailbox", deleteMissing},
		{"a mailbox made again is another one", recreate},
		{"what is asked of a mailbox that is not there is ErrNoMailbox", noMailbox},
		{"mailboxes do not share messages", apart},
	}
}

func newStore(c *trial) {
	for name, m := range c.mailboxes() {
		if m.Err != nil {
			c.Errorf("Mailboxes() lists %q with error %v", name, m.Err)
		}
		if m.NoSelect {
			continue
		}
		if m.Count > 0 {
			c.Errorf("a new store says that %q holds %d messages", name, m.Count)
		}
		if got := c.list(name); len(got.Messages) != 0 {
			c.Errorf("a new store holds %d messages in %q", len(got.Messages), name)
		}
	}
}

func createParents(c *trial) {
	c.create("one/two/three")
	all := c.mailboxes()
	for _, name := range []mail.Name{"one", "one/two", "one/two/three"} {
		m, ok := all[name]
		if !ok {
			c.Errorf("after Create(one/two/three), Mailboxes() does not list %q", name)
		}
		if name == "one/two/three" && m.NoSelect {
			c.Errorf("Create made %q a mailbox that holds no messages", name)
		}
	}
	got := c.list("one/two/three")
	if !got.Full || len(got.Messages) != 0 {
		c.Errorf("a new mailbox lists %d messages (Full %v), want none", len(got.Messages), got.Full)
	}
	c.create("one/two/four")
	c.fill("one/two/five", "below")
	c.wantSubjects("one/two/five", "below")
}

func createExisting(c *trial) {
	c.fill("box", "kept")
	c.wantError("Create(box) again", c.store.Create(c.Context(), "box"), "box", mail.ErrExist)
	c.wantSubjects("box", "kept")
	if _, there := c.mailboxes()[mail.Inbox]; there {
		for _, spelling := range []string{"INBOX", "inbox", "InBoX"} {
			err := c.store.Create(c.Context(), mail.NameOf(spelling))
			c.wantError("Create("+spelling+")", err, mail.Inbox, mail.ErrExist)
		}
	}
}

func rename(c *trial) {
	keys := c.fill("old", "first", "second")
	c.fill("old/below", "third")
	c.fill("old/below/deep", "fourth")
	c.fill("older", "other")
	before := c.mailbox("old")
	if err := c.store.Rename(c.Context(), "old", "away/new"); err != nil {
		c.Fatalf("Rename(old, away/new) = %v, want nil", err)
	}
	c.wantGone("old")
	c.wantGone("old/below")
	c.wantSubjects("away/new", "first", "second")
	c.wantSubjects("away/new/below", "third")
	c.wantSubjects("away/new/below/deep", "fourth")
	c.wantSubjects("older", "other")
	after := c.mailbox("away/new")
	if before.ID != "" && after.ID != before.ID {
		c.Errorf("Rename changed the mailbox's ID from %q to %q", before.ID, after.ID)
	}
	if before.UIDValidity != 0 && before.UIDValidity == after.UIDValidity {
		if got := c.body("away/new", keys[1]); !bytes.Equal(got, c.stored(text("second"))) {
			c.Errorf("after Rename under the same UIDVALIDITY, key %q is %q", keys[1], got)
		}
	}
	c.fill("old", "made again") // its name is free
	c.wantSubjects("old", "made again")
}

func renameExisting(c *trial) {
	c.fill("a", "in a")
	c.fill("b", "in b")
	c.wantError("Rename(a, b)", c.store.Rename(c.Context(), "a", "b"), "a", mail.ErrExist)
	c.wantSubjects("a", "in a")
	c.wantSubjects("b", "in b")
}

func renameMissing(c *trial) {
	c.wantError("Rename(nowhere, somewhere)", c.store.Rename(c.Context(), "nowhere", "somewhere"), "nowhere", mail.ErrNoMailbox)
	if _, listed := c.mailboxes()["somewhere"]; listed {
		c.Errorf("Rename of what is not there made a mailbox")
	}
}

func renameBelowSelf(c *trial) {
	c.fill("a", "in a")
	if err := c.store.Rename(c.Context(), "a", "a/b"); err != nil {
		c.wantSubjects("a", "in a")
	} else { // some servers can
		c.wantSubjects("a/b", "in a")
	}
}

func deleteMailbox(c *trial) {
	c.fill("top", "goes")
	c.fill("top/below", "stays")
	c.fill("other", "stays too")
	c.fill("gone", "goes too")
	names := []mail.Name{"top", "gone"}
	if c.KeepsParents {
		c.wantError("Delete(top)", c.store.Delete(c.Context(), "top"), "top", mail.ErrUnsupported)
		c.wantSubjects("top", "goes")
		c.wantSubjects("top/below", "stays")
		names = names[1:]
	}
	for _, name := range names {
		if err := c.store.Delete(c.Context(), name); err != nil {
			c.Fatalf("Delete(%q) = %v, want nil", name, err)
		}
		c.wantGone(name)
	}
	if _, listed := c.mailboxes()["gone"]; listed {
		c.Errorf("Mailboxes() lists %q, which was deleted and has nothing below it", "gone")
	}
	c.wantSubjects("top/below", "stays")
	c.wantSubjects("other", "stays too")
	if c.KeepsParents {
		return
	}
	c.create("top") // its name is free
	c.wantSubjects("top")
	c.wantSubjects("top/below", "stays")
}

func deleteMissing(c *trial) {
	c.wantError("Delete(nowhere)", c.store.Delete(c.Context(), "nowhere"), "nowhere", mail.ErrNoMailbox)
}

func recreate(c *trial) {
	keys := c.fill("box", "first life")
	c.settle()
	before := c.list("box")
	if err := c.store.Delete(c.Context(), "box"); err != nil {
		c.Fatalf("Delete(box) = %v, want nil", err)
	}
	c.fill("box", "second life", "and more")
	after := c.changes("box", before.Token)
	if !after.Full {
		c.Errorf("Changes with the token of a deleted mailbox is not Full")
	}
	c.wantSubjects("box", "second life", "and more")
	if before.UIDValidity != 0 && before.UIDValidity == after.UIDValidity && byKey(after)[keys[0]].UID != 0 {
		c.Errorf("UID %s means two messages under UIDVALIDITY %d", keys[0], after.UIDValidity)
	}
	if c.mailbox("box").Token == before.Token && before.Token != "" {
		c.Errorf("the token %q means two mailboxes", before.Token)
	}
}

func noMailbox(c *trial) {
	ctx, name := c.Context(), mail.Name("not/there")
	keys := c.fill("there", "stays")
	_, err := c.store.Changes(ctx, name, "")
	c.wantError("Changes", err, name, mail.ErrNoMailbox)
	_, err = c.store.Append(ctx, name, mail.Message{Size: -1}, bytes.NewReader(text("x")))
	c.wantError("Append", err, name, mail.ErrNoMailbox)
	c.wantError("SetFlags", c.store.SetFlags(ctx, name, keys, mail.Seen, ""), name, mail.ErrNoMailbox)
	c.wantError("Expunge", c.store.Expunge(ctx, name, keys), name, mail.ErrNoMailbox)
	_, err = c.store.Move(ctx, name, keys, "there")
	c.wantError("Move from it", err, name, mail.ErrNoMailbox)
	if _, err = c.store.Move(ctx, "there", keys, name); !errors.Is(err, mail.ErrNoMailbox) {
		c.Errorf("Move to it = %v, want %v", err, mail.ErrNoMailbox)
	}
	answers := 0
	for _, err := range c.store.Fetch(ctx, name, keys, mail.Whole) {
		answers++
		c.wantError("Fetch", err, name, mail.ErrNoMailbox)
	}
	if answers != 1 {
		c.Errorf("Fetch answered %d times, want once, with an error", answers)
	}
	c.wantSubjects("there", "stays")
	if _, listed := c.mailboxes()[name]; listed {
		c.Errorf("asking for %q made it", name)
	}
}

func apart(c *trial) {
	for i := range 3 {
		name := mail.NameOf(fmt.Sprintf("box %d", i))
		c.fill(name, fmt.Sprintf("only in %d", i))
	}
	for i := range 3 {
		c.wantSubjects(mail.NameOf(fmt.Sprintf("box %d", i)), fmt.Sprintf("only in %d", i))
	}
}
