package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"roost/mail"
)

// The steps that checks are made of. Each ends the check if it fails.

// date is an InternalDate that no store can make up.
var date = time.Date(2011, 12, 13, 14, 15, 16, 0, time.UTC)

// text is a small message that differs from those with another subject.
func text(subject string) []byte {
	return fmt.Appendf(nil, "From: alice@example.com\r\nTo: bob@example.com\r\nSubject: %s\r\n\r\nHello Bob,\r\n%s\r\n", subject, subject)
}

func (c *trial) create(names ...mail.Name) {
	c.Helper()
	for _, name := range names {
		if err := c.store.Create(c.Context(), name); err != nil {
			c.Fatalf("Create(%q) = %v, want nil", name, err)
		}
	}
}

// add appends a message and returns its key, which it finds out by listing if
// the store does not tell it.
func (c *trial) add(name mail.Name, m mail.Message, raw []byte) mail.Key {
	c.Helper()
	var before map[mail.Key]mail.Message
	m.Size = int64(len(raw))
	key, err := c.store.Append(c.Context(), name, m, bytes.NewReader(raw))
	if err != nil {
		c.Fatalf("Append(%q) = %v, want nil", name, err)
	}
	if key != "" {
		return key
	}
	// Not told: it is the one whose bytes are these and that is listed last.
	before = byKey(c.list(name))
	for k, got := range c.bodies(name, keysOf(c.list(name))) {
		if bytes.Equal(got, c.stored(raw)) && (key == "" || before[k].UID > before[key].UID) {
			key = k
		}
	}
	if key == "" {
		c.Fatalf("the message appended to %q is not there", name)
	}
	return key
}

// fill creates a mailbox with one message for each subject and returns their keys.
func (c *trial) fill(name mail.Name, subjects ...string) []mail.Key {
	c.Helper()
	if name != mail.Inbox {
		c.create(name)
	}
	keys := make([]mail.Key, len(subjects))
	for i, s := range subjects {
		keys[i] = c.add(name, mail.Message{InternalDate: date}, text(s))
	}
	return keys
}

// list is the whole mailbox.
func (c *trial) list(name mail.Name) mail.Changes {
	c.Helper()
	return c.changes(name, "")
}

// changes asks for Changes and holds the answer against what is true of each.
func (c *trial) changes(name mail.Name, since mail.Token) mail.Changes {
	c.Helper()
	got, err := c.store.Changes(c.Context(), name, since)
	if err != nil {
		c.Fatalf("Changes(%q, %q) = %v, want nil", name, since, err)
	}
	if since == "" && !got.Full {
		c.Fatalf("Changes(%q, \"\") is not Full", name)
	}
	if got.Method == "" {
		c.Errorf("Changes(%q).Method is empty", name)
	}
	if got.Full && (got.Vanished.Len() > 0 || got.Present != nil) {
		c.Errorf("Changes(%q) is Full and names what is gone", name)
	}
	if len(got.Failed) > 0 {
		c.Errorf("Changes(%q) failed for %v", name, got.Failed)
	}
	if got.Full && got.Count >= 0 && got.Count != int64(len(got.Messages)) {
		c.Errorf("Changes(%q).Count = %d, but %d are listed", name, got.Count, len(got.Messages))
	}
	seen := make(map[mail.Key]bool)
	var last uint32
	for _, m := range got.Messages {
		if seen[m.Key] {
			c.Errorf("Changes(%q) lists key %q twice", name, m.Key)
		}
		seen[m.Key] = true
		if m.Key == "" {
			c.Errorf("Changes(%q) lists a message without a key", name)
		}
		if m.UID == 0 {
			continue
		}
		if m.UID <= last {
			c.Errorf("Changes(%q) lists UID %d after %d", name, m.UID, last)
		}
		if last = m.UID; got.UIDNext != 0 && m.UID >= got.UIDNext {
			c.Errorf("Changes(%q) lists UID %d, UIDNEXT is %d", name, m.UID, got.UIDNext)
		}
	}
	return got
}

func keysOf(ch mail.Changes) []mail.Key {
	keys := make([]mail.Key, len(ch.Messages))
	for i, m := range ch.Messages {
		keys[i] = m.Key
	}
	return keys
}

func byKey(ch mail.Changes) map[mail.Key]mail.Message {
	all := make(map[mail.Key]mail.Message, len(ch.Messages))
	for _, m := range ch.Messages {
		all[m.Key] = m
	}
	return all
}

// message is what a full listing says of one message.
func (c *trial) message(name mail.Name, key mail.Key) mail.Message {
	c.Helper()
	m, ok := byKey(c.list(name))[key]
	if !ok {
		c.Fatalf("%q does not list message %q", name, key)
	}
	return m
}

// bodies fetches messages that are all there.
func (c *trial) bodies(name mail.Name, keys []mail.Key) map[mail.Key][]byte {
	c.Helper()
	got := make(map[mail.Key][]byte, len(keys))
	for f, err := range c.store.Fetch(c.Context(), name, keys, mail.Whole) {
		if err != nil {
			c.Fatalf("Fetch(%q) = %v, want nil", name, err)
		}
		body, err := io.ReadAll(f.Body)
		if err != nil {
			c.Fatalf("read message %q of %q: %v", f.Key, name, err)
		}
		if f.Size >= 0 && f.Size != int64(len(body)) {
			c.Errorf("Fetch(%q, %q).Size = %d, but %d octets came", name, f.Key, f.Size, len(body))
		}
		if _, twice := got[f.Key]; twice {
			c.Errorf("Fetch(%q) answered key %q twice", name, f.Key)
		}
		got[f.Key] = body
	}
	for _, k := range keys {
		if _, ok := got[k]; !ok {
			c.Errorf("Fetch(%q) did not answer key %q", name, k)
		}
	}
	if len(got) > len(keys) {
		c.Errorf("Fetch(%q) of %d keys answered %d", name, len(keys), len(got))
	}
	return got
}

func (c *trial) body(name mail.Name, key mail.Key) []byte {
	c.Helper()
	return c.bodies(name, []mail.Key{key})[key]
}

// subjects are those of the messages in a mailbox, sorted. They are what the
// oracle of most checks is made of.
func (c *trial) subjects(name mail.Name) []string {
	c.Helper()
	var all []string
	for _, body := range c.bodies(name, keysOf(c.list(name))) {
		all = append(all, subject(body))
	}
	slices.Sort(all)
	return all
}

func subject(raw []byte) string {
	_, rest, _ := strings.Cut(string(raw), "Subject: ")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSuffix(line, "\r")
}

func (c *trial) wantSubjects(name mail.Name, want ...string) {
	c.Helper()
	want = slices.Sorted(slices.Values(want))
	if got := c.subjects(name); !slices.Equal(got, want) {
		c.Errorf("%q holds %q, want %q", name, got, want)
	}
}

// mailboxes lists the mailboxes by name, and checks their order.
func (c *trial) mailboxes() map[mail.Name]mail.Mailbox {
	c.Helper()
	list, err := c.store.Mailboxes(c.Context())
	if err != nil {
		c.Fatalf("Mailboxes() = %v, want nil", err)
	}
	all := make(map[mail.Name]mail.Mailbox, len(list))
	for _, m := range list {
		if _, twice := all[m.Name]; twice {
			c.Errorf("Mailboxes() lists %q twice", m.Name)
		}
		if m.Name == "" || m.Name != mail.NameOf(m.Name.Components()...) {
			c.Errorf("Mailboxes() lists %q, which is no canonical name", m.Name)
		}
		for other := range all {
			if other.Below(m.Name) {
				c.Errorf("Mailboxes() lists %q before its parent %q", other, m.Name)
			}
		}
		all[m.Name] = m
	}
	return all
}

func (c *trial) mailbox(name mail.Name) mail.Mailbox {
	c.Helper()
	m, ok := c.mailboxes()[name]
	if !ok {
		c.Fatalf("Mailboxes() does not list %q", name)
	}
	return m
}

// wantError says that err, of the call described, must be an *mail.Error about
// this mailbox, not about one message, and be target.
func (c *trial) wantError(call string, err error, name mail.Name, target error) {
	c.Helper()
	if !errors.Is(err, target) {
		c.Errorf("%s = %v, want %v", call, err, target)
		return
	}
	var e *mail.Error
	if !errors.As(err, &e) {
		c.Errorf("%s = %v, which is no *mail.Error", call, err)
		return
	}
	if e.Mailbox != name || e.Key != "" {
		c.Errorf("%s is an error of mailbox %q, key %q; want %q and no key", call, e.Mailbox, e.Key, name)
	}
}

// wantGone says that a mailbox is not there.
func (c *trial) wantGone(name mail.Name) {
	c.Helper()
	_, err := c.store.Changes(c.Context(), name, "")
	c.wantError(fmt.Sprintf("Changes(%q)", name), err, name, mail.ErrNoMailbox)
	if m, listed := c.mailboxes()[name]; listed && !m.NoSelect {
		c.Errorf("Mailboxes() lists %q, which is not there", name)
	}
}
