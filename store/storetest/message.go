package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing/iotest"
	"time"

	"roost/mail"
)

func messageChecks() []check {
	all := []check{
		{"internal dates are kept to the second, whatever their zone", internalDate},
		{"a message without internal date is dated now", noInternalDate},
		{"a message whose size is not known beforehand is stored", unknownSize},
		{"Size is what Fetch yields", size},
		{"Append returns the key of the new message", appendKey},
		{"equal GUIDs are equal bytes", guids},
		{"the same bytes twice stay two messages", duplicates},
		{"UIDs ascend and are never given again", uids},
		{"a body that cannot be read stores nothing", brokenBody},
	}
	for _, f := range fixtures() {
		all = append(all, check{"bytes come back exactly: " + f.what, func(c *trial) { exactBytes(c, f) }})
	}
	return all
}

type fixture struct {
	what string
	raw  []byte
}

// fixtures are messages that stores have been seen to change or to drop.
func fixtures() []fixture {
	one := func(what, raw string) fixture { return fixture{what, []byte(raw)} }
	const head = "From: alice@example.com\r\nSubject: x\r\n"
	lf := func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }
	return []fixture{
		one("CRLF line ends", head+"\r\none\r\ntwo\r\n"),
		one("LF line ends", lf(head+"\r\none\r\ntwo\r\n")),
		one("mixed line ends", lf(head)+"\r\none\r\ntwo\nthree\r\n"),
		one("lone CR", head+"\r\none\rtwo\r\r\nthree\r\n"),
		one("a CR at the end", head+"\r\none\r"),
		one("lone CRs in the header", "Subject: x\rTo: b\r\rare no line ends\r\n\r\none\r\n"),
		one("nothing but lone CRs", "Subject: x\rTo: b\r\rone"),
		one("NUL", head+"\r\none\x00two\x00\r\n"),
		one("no final line end", head+"\r\none"),
		one("only a header", head+"\r\n"),
		one("a header without the empty line", head),
		one("no header", "\r\nonly a body\r\n"),
		one("no header and no empty line", "only a line\r\n"),
		one("a single octet", "x"),
		one("a single line end", "\r\n"),
		one("nothing", ""),
		one("dot lines", head+"\r\n.\r\n..\r\n.x\r\n\r\n.\r\n"),
		one("From_ lines", "From alice@example.com Tue Dec 13 14:15:16 2011\n"+lf(head)+"\nFrom here on\n>From there\n"),
		one("8-bit octets", head+"\r\nGr\xfc\xdfe \xff\xfe\r\n"),
		one("UTF-8 in the header", "Subject: Grüße 🐓\r\n\r\nx\r\n"),
		one("no Message-ID", head+"\r\nx\r\n"),
		one("a long line", head+"\r\n"+strings.Repeat("long ", 40_000)+"\r\n"),
		one("a long header", "Subject: "+strings.Repeat("x", 70_000)+"\r\n\r\nx\r\n"),
		one("many header lines", strings.Repeat("X-Line: value\r\n", 5_000)+"\r\nx\r\n"),
		one("trailing spaces and empty lines", head+"\r\nx  \t \r\n\r\n\r\n"),
		one("what looks compressed", "\x1f\x8bX is no gzip\r\n\r\nx\r\n"),
		one("every octet", head+"\r\n"+everyOctet()),
	}
}

func everyOctet() string {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return string(b)
}

func exactBytes(c *trial, f fixture) {
	c.create("box")
	if c.Refuses != nil && c.Refuses(f.raw) {
		_, err := c.store.Append(c.Context(), "box", mail.Message{Size: int64(len(f.raw))}, bytes.NewReader(f.raw))
		if err == nil {
			c.Errorf("Append = nil, want an error: the store is said to refuse these bytes")
		}
		c.wantSubjects("box")
		return
	}
	key := c.add("box", mail.Message{Flags: mail.Seen, InternalDate: date}, f.raw)
	want := c.stored(f.raw)
	if got := c.body("box", key); !bytes.Equal(got, want) {
		c.Errorf("Fetch yields %d octets %.200q, want %d octets %.200q", len(got), got, len(want), want)
	}
	if m := c.message("box", key); m.Size >= 0 && m.Size != int64(len(want)) {
		c.Errorf("Size = %d, want %d", m.Size, len(want))
	}
	if c.Reopen != nil {
		c.store = c.Reopen(c.t, c.store)
		if got := c.body("box", key); !bytes.Equal(got, want) {
			c.Errorf("after reopening, Fetch yields %d octets %.200q, want %d octets %.200q", len(got), got, len(want), want)
		}
	}
}

func internalDate(c *trial) {
	c.create("box")
	for _, d := range []time.Time{
		date,
		date.In(time.FixedZone("", 5*3600+1800)),
		date.In(time.FixedZone("", -9*3600)),
		time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Date(2000, 2, 29, 12, 0, 0, 0, time.UTC),
		time.Date(1985, 6, 7, 8, 9, 10, 0, time.FixedZone("", 3600)),
		time.Date(2024, 3, 31, 2, 30, 0, 0, time.FixedZone("", 3600)), // the hour that is not in Berlin
		time.Date(2036, 2, 3, 4, 5, 6, 0, time.UTC),
		time.Date(2020, 1, 2, 3, 4, 5, 999_999_999, time.UTC),
	} {
		if c.LosesDate != nil && c.LosesDate(d) {
			continue
		}
		key := c.add("box", mail.Message{InternalDate: d}, text(d.String()))
		if got, want := c.message("box", key).InternalDate, d.Truncate(time.Second); !got.Equal(want) {
			c.Errorf("appended with InternalDate %v, listed with %v, want %v", d, got, want)
		}
	}
}

func noInternalDate(c *trial) {
	c.create("box")
	key := c.add("box", mail.Message{}, text("x"))
	got := c.message("box", key).InternalDate
	if age := time.Since(got); age < -time.Hour || age > time.Hour {
		c.Errorf("appended without InternalDate, listed with %v, want now", got)
	}
}

func unknownSize(c *trial) {
	c.create("box")
	raw := text("x")
	_, err := c.store.Append(c.Context(), "box", mail.Message{Size: -1}, iotest.OneByteReader(bytes.NewReader(raw)))
	if err != nil {
		c.Fatalf("Append with Size -1 = %v, want nil", err)
	}
	c.wantSubjects("box", "x")
}

func size(c *trial) {
	c.create("box")
	for _, n := range []int{0, 1, 100, 5000} {
		raw := append(text("x"), bytes.Repeat([]byte("line\r\n"), n)...)
		key := c.add("box", mail.Message{}, raw)
		want := int64(len(c.body("box", key)))
		if m := c.message("box", key); m.Size >= 0 && m.Size != want {
			c.Errorf("Size = %d, Fetch yields %d octets", m.Size, want)
		}
	}
}

func appendKey(c *trial) {
	c.create("box")
	known := make(map[mail.Key]string)
	for i := range 5 {
		s := fmt.Sprintf("message %d", i)
		key, err := c.store.Append(c.Context(), "box", mail.Message{Size: -1}, bytes.NewReader(text(s)))
		if err != nil {
			c.Fatalf("Append = %v, want nil", err)
		}
		if key == "" {
			continue // it does not tell
		}
		if old, twice := known[key]; twice {
			c.Errorf("Append returned key %q for %q and for %q", key, old, s)
		}
		known[key] = s
	}
	for key, s := range known {
		if got := subject(c.body("box", key)); got != s {
			c.Errorf("Append returned key %q for %q, which holds %q", key, s, got)
		}
	}
}

func guids(c *trial) {
	keys := c.fill("a", "one", "two", "one", "three")
	c.fill("b", "one", "four")
	if _, err := c.store.Move(c.Context(), "a", keys[3:], "b"); err != nil && !errors.Is(err, mail.ErrUnsupported) {
		c.Fatalf("Move = %v, want nil", err)
	}
	// A GUID that comes from elsewhere must not become a lie.
	c.add("b", mail.Message{GUID: "foreign"}, text("five"))
	c.add("b", mail.Message{GUID: "foreign"}, text("six"))
	bodies := make(map[string][]byte)
	for _, name := range []mail.Name{"a", "b"} {
		listed := c.list(name)
		got := c.bodies(name, keysOf(listed))
		for _, m := range listed.Messages {
			if m.GUID == "" {
				continue
			}
			if old, ok := bodies[m.GUID]; ok && !bytes.Equal(old, got[m.Key]) {
				c.Errorf("GUID %q stands for %q and for %q", m.GUID, old, got[m.Key])
			}
			bodies[m.GUID] = got[m.Key]
		}
	}
}

func duplicates(c *trial) {
	c.fill("box", "twin", "twin", "other")
	c.wantSubjects("box", "twin", "twin", "other")
	first := c.list("box").Messages[0].Key
	if err := c.store.Expunge(c.Context(), "box", []mail.Key{first}); err != nil {
		c.Fatalf("Expunge = %v, want nil", err)
	}
	if got := c.list("box"); len(got.Messages) != 2 {
		c.Errorf("after one of three messages was expunged, %d are listed", len(got.Messages))
	}
}

func uids(c *trial) {
	c.fill("box", "one", "two", "three")
	before := c.list("box")
	if before.UIDValidity == 0 {
		for _, m := range before.Messages {
			if m.UID != 0 {
				c.Errorf("message %q has UID %d, but there is no UIDVALIDITY", m.Key, m.UID)
			}
		}
		c.Skip("the store has no UIDs")
	}
	last := before.Messages[2]
	if err := c.store.Expunge(c.Context(), "box", []mail.Key{last.Key}); err != nil {
		c.Fatalf("Expunge = %v, want nil", err)
	}
	key := c.add("box", mail.Message{}, text("four"))
	after := c.list("box")
	if after.UIDValidity != before.UIDValidity {
		c.Errorf("UIDVALIDITY changed from %d to %d", before.UIDValidity, after.UIDValidity)
	}
	if got := byKey(after)[key].UID; got <= last.UID {
		c.Errorf("a new message got UID %d, but %d was given before", got, last.UID)
	}
	for i, m := range after.Messages[:2] {
		if m.UID != before.Messages[i].UID {
			c.Errorf("a message's UID changed from %d to %d", before.Messages[i].UID, m.UID)
		}
	}
	if box := c.mailbox("box"); box.UIDValidity != 0 && box.UIDValidity != after.UIDValidity {
		c.Errorf("Mailboxes() says UIDVALIDITY %d, Changes says %d", box.UIDValidity, after.UIDValidity)
	}
}

var errBroken = errors.New("the body broke")

func brokenBody(c *trial) {
	c.fill("box", "kept")
	raw := text("broken")
	for what, body := range map[string]io.Reader{
		"at once":    iotest.ErrReader(errBroken),
		"in between": io.MultiReader(bytes.NewReader(raw[:len(raw)/2]), iotest.ErrReader(errBroken)),
		"at the end": io.MultiReader(bytes.NewReader(raw), iotest.ErrReader(errBroken)),
	} {
		_, err := c.store.Append(c.Context(), "box", mail.Message{Size: int64(len(raw))}, body)
		if !errors.Is(err, errBroken) {
			c.Errorf("Append of a body that breaks %s = %v, want %v", what, err, errBroken)
		}
	}
	c.wantSubjects("box", "kept")
	ctx, cancel := context.WithCancel(c.Context())
	_, err := c.store.Append(ctx, "box", mail.Message{Size: -1}, io.MultiReader(bytes.NewReader(raw), cancelReader(cancel)))
	if err == nil {
		c.Errorf("Append whose context is cancelled while the body is read = nil, want an error")
	}
	c.wantSubjects("box", "kept")
}

// cancelReader cancels a context when it is read, and then fails as a
// connection would.
type cancelReader context.CancelFunc

func (cancel cancelReader) Read([]byte) (int, error) {
	cancel()
	return 0, errBroken
}
