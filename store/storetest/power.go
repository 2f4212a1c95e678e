package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"roost/mail"
)

// Checks of what only some stores can. A store that cannot skips them.

func powerChecks() []check {
	return []check{
		{"Number makes Append keep UIDs", number},
		{"Number of a mailbox with messages is ErrExist and changes nothing", numberExisting},
		{"AppendAll answers each message in order", appendAll},
		{"AppendAll goes on behind a message that cannot be read", appendAllBroken},
		{"AppendAll can be broken off", appendAllBreak},
		{"Subscribe is seen in the list", subscribe},
		{"CreateRole gives a role", createRole},
		{"Identity tells stores apart", identity},
	}
}

func number(c *trial) {
	n, ok := c.store.(mail.Numberer)
	if !ok {
		c.Skip("the store is no Numberer")
	}
	c.create("box")
	if err := n.Number(c.Context(), "box", 4711, 100); err != nil {
		c.Fatalf("Number(box, 4711, 100) = %v, want nil", err)
	}
	if got := c.list("box"); got.UIDValidity != 4711 || got.UIDNext != 100 {
		c.Errorf("after Number(box, 4711, 100), UIDVALIDITY is %d, UIDNEXT %d", got.UIDValidity, got.UIDNext)
	}
	for _, step := range []struct{ uid, want uint32 }{{5, 5}, {17, 17}, {17, 100}, {3, 101}, {0, 102}, {500, 500}, {0, 501}} {
		key := c.add("box", mail.Message{UID: step.uid, InternalDate: date}, text(fmt.Sprintf("wants %d, gets %d", step.uid, step.want)))
		if got := c.message("box", key).UID; got != step.want {
			c.Errorf("Append with UID %d got UID %d, want %d", step.uid, got, step.want)
		}
	}
	if c.Reopen != nil {
		c.store = c.Reopen(c.t, c.store)
	}
	got := c.list("box")
	if got.UIDValidity != 4711 || got.UIDNext != 502 {
		c.Errorf("at the end, UIDVALIDITY is %d, UIDNEXT %d; want 4711, 502", got.UIDValidity, got.UIDNext)
	}
	want := []uint32{5, 17, 100, 101, 102, 500, 501}
	bodies := c.bodies("box", keysOf(got))
	for i, m := range got.Messages {
		if i >= len(want) || m.UID != want[i] {
			c.Errorf("message %d has UID %d, want UIDs %d", i, m.UID, want)
			break
		}
		var wants, gets uint32
		if fmt.Sscanf(subject(bodies[m.Key]), "wants %d, gets %d", &wants, &gets); gets != m.UID {
			c.Errorf("UID %d is the message with subject %q", m.UID, subject(bodies[m.Key]))
		}
	}
	c.wantError("Number of what is not there", c.store.(mail.Numberer).Number(c.Context(), "nowhere", 1, 1), "nowhere", mail.ErrNoMailbox)
}

func numberExisting(c *trial) {
	n, ok := c.store.(mail.Numberer)
	if !ok {
		c.Skip("the store is no Numberer")
	}
	c.fill("box", "one")
	before := c.list("box")
	c.wantError("Number", n.Number(c.Context(), "box", 4711, 100), "box", mail.ErrExist)
	after := c.list("box")
	if after.UIDValidity != before.UIDValidity || after.UIDNext != before.UIDNext || after.Messages[0].UID != before.Messages[0].UID {
		c.Errorf("a refused Number changed UIDVALIDITY %d, UIDNEXT %d to %d, %d", before.UIDValidity, before.UIDNext, after.UIDValidity, after.UIDNext)
	}
}

// outgoing is a message that says subject; its bytes break if it is empty.
func outgoing(subject string) mail.Outgoing {
	raw := text(subject)
	return mail.Outgoing{
		Message: mail.Message{Flags: mail.Seen, InternalDate: date, Size: int64(len(raw))},
		Open: func(context.Context) (io.ReadCloser, error) {
			if subject == "" {
				return nil, errBroken
			}
			return io.NopCloser(bytes.NewReader(raw)), nil
		},
	}
}

func outgoings(subjects ...string) iter.Seq[mail.Outgoing] {
	return func(yield func(mail.Outgoing) bool) {
		for _, s := range subjects {
			if !yield(outgoing(s)) {
				return
			}
		}
	}
}

func appendAll(c *trial) {
	b, ok := c.store.(mail.BulkAppender)
	if !ok {
		c.Skip("the store is no BulkAppender")
	}
	c.create("box")
	var subjects []string
	for i := range 300 {
		subjects = append(subjects, fmt.Sprintf("message %d", i))
	}
	var keys []mail.Key
	for a, err := range b.AppendAll(c.Context(), "box", outgoings(subjects...)) {
		if err != nil || a.Err != nil {
			c.Fatalf("AppendAll = %v, %v; want nil, nil", a.Err, err)
		}
		keys = append(keys, a.Key)
	}
	if len(keys) != len(subjects) {
		c.Fatalf("AppendAll of %d messages answered %d", len(subjects), len(keys))
	}
	c.wantSubjects("box", subjects...)
	listed := byKey(c.list("box"))
	var told []mail.Key
	for _, k := range keys {
		if k != "" {
			told = append(told, k)
		}
	}
	bodies := c.bodies("box", told)
	for i, k := range keys {
		if k == "" {
			continue
		}
		if got := subject(bodies[k]); got != subjects[i] {
			c.Errorf("answer %d has key %q, which holds %q, want %q", i, k, got, subjects[i])
		}
		if m := listed[k]; m.Flags != mail.Seen || !m.InternalDate.Equal(date) {
			c.Errorf("message %q has flags %q and date %v, want %q and %v", k, m.Flags, m.InternalDate, mail.Seen, date)
		}
	}
	for a, err := range b.AppendAll(c.Context(), "box", outgoings()) {
		c.Errorf("AppendAll of no messages answered %+v, %v", a, err)
	}
	failed := false
	for a, err := range b.AppendAll(c.Context(), "nowhere", outgoings("x")) {
		failed = failed || errors.Is(err, mail.ErrNoMailbox) || errors.Is(a.Err, mail.ErrNoMailbox)
	}
	if !failed {
		c.Errorf("AppendAll to what is not there did not answer with %v", mail.ErrNoMailbox)
	}
}

func appendAllBroken(c *trial) {
	b, ok := c.store.(mail.BulkAppender)
	if !ok {
		c.Skip("the store is no BulkAppender")
	}
	c.create("box")
	subjects := []string{"one", "", "three", "", "five"}
	i := 0
	for a, err := range b.AppendAll(c.Context(), "box", outgoings(subjects...)) {
		if err != nil {
			c.Fatalf("AppendAll = %v, want nil", err)
		}
		if broken := subjects[i] == ""; broken != errors.Is(a.Err, errBroken) || !broken && a.Err != nil {
			c.Errorf("answer %d is %v; broken is %v", i, a.Err, broken)
		}
		i++
	}
	if i != len(subjects) {
		c.Errorf("AppendAll of %d messages answered %d", len(subjects), i)
	}
	c.wantSubjects("box", "one", "three", "five")
}

func appendAllBreak(c *trial) {
	b, ok := c.store.(mail.BulkAppender)
	if !ok {
		c.Skip("the store is no BulkAppender")
	}
	c.create("box")
	answered := 0
	for a, err := range b.AppendAll(c.Context(), "box", outgoings("one", "two", "three", "four")) {
		if err != nil || a.Err != nil {
			c.Fatalf("AppendAll = %v, %v; want nil, nil", a.Err, err)
		}
		if answered++; answered == 2 {
			break
		}
	}
	got := c.subjects("box")
	if len(got) < 2 {
		c.Errorf("AppendAll answered 2 messages, %q are there", got)
	}
	c.add("box", mail.Message{}, text("five"))
}

func subscribe(c *trial) {
	s, ok := c.store.(mail.Subscriber)
	if !ok {
		c.Skip("the store is no Subscriber")
	}
	names := []mail.Name{"box", "box/below", "Entwürfe & more", "other"}
	c.create(names...)
	c.wantSubscribed(names, 0, 0, 0, 0)
	for _, name := range names[:3] {
		for range 2 {
			if err := s.Subscribe(c.Context(), name, true); err != nil {
				c.Fatalf("Subscribe(%q, true) = %v, want nil", name, err)
			}
		}
	}
	c.wantSubscribed(names, 1, 1, 1, 0)
	if err := s.Subscribe(c.Context(), "box", false); err != nil {
		c.Fatalf("Subscribe(box, false) = %v, want nil", err)
	}
	if c.Reopen != nil {
		c.store = c.Reopen(c.t, c.store)
	}
	c.wantSubscribed(names, 0, 1, 1, 0)
}

func (c *trial) wantSubscribed(names []mail.Name, want ...int) {
	c.Helper()
	all := c.mailboxes()
	for i, name := range names {
		if got := all[name].Subscribed; got != (want[i] == 1) {
			c.Errorf("Subscribed of %q is %v, want %v", name, got, want[i] == 1)
		}
	}
}

func createRole(c *trial) {
	r, ok := c.store.(mail.RoleCreator)
	if !ok {
		c.Skip("the store is no RoleCreator")
	}
	err := r.CreateRole(c.Context(), "papers/old", mail.RoleArchive)
	if errors.Is(err, mail.ErrUnsupported) {
		c.Skip("the store cannot give roles")
	}
	if err != nil {
		c.Fatalf("CreateRole(papers/old) = %v, want nil", err)
	}
	if got := c.mailbox("papers/old").Role; got != mail.RoleArchive {
		c.Errorf("after CreateRole, the role is %q, want %q", got, mail.RoleArchive)
	}
	c.wantError("CreateRole again", r.CreateRole(c.Context(), "papers/old", mail.RoleArchive), "papers/old", mail.ErrExist)
}

func identity(c *trial) {
	i, ok := c.store.(mail.Identifier)
	if !ok {
		c.Skip("the store is no Identifier")
	}
	mine := i.Identity()
	if mine == "" {
		c.Errorf("Identity is empty")
	}
	if other := c.open(c.t).(mail.Identifier).Identity(); other == mine {
		c.Errorf("two stores have the same Identity %q", mine)
	}
	if c.Reopen != nil {
		c.store = c.Reopen(c.t, c.store)
		if again := c.store.(mail.Identifier).Identity(); again != mine {
			c.Errorf("after reopening, Identity is %q, before it was %q", again, mine)
		}
	}
}
