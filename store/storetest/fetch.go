package storetest

import (
	"bytes"
	"errors"
	"io"

	"roost/mail"
)

func fetchChecks() []check {
	return []check{
		{"Fetch answers each key once, what is gone with ErrGone", fetchGone},
		{"Fetch of no keys answers nothing", fetchNothing},
		{"Fetch can be broken off", fetchBreak},
		{"Fetch goes on if a body is not read", fetchUnread},
		{"Fetch changes no flags", fetchChangesNothing},
		{"Header is the header with the empty line that ends it", fetchHeader},
	}
}

func fetchGone(c *trial) {
	keys := c.fill("box", "one", "two", "three", "four")
	gone := map[mail.Key]bool{keys[1]: true, "999999999": true, "no such key": true, "../../etc/passwd": true, "a\x00b": true}
	if err := c.store.Expunge(c.Context(), "box", keys[1:2]); err != nil {
		c.Fatalf("Expunge = %v, want nil", err)
	}
	asked := []mail.Key{"999999999", keys[3], keys[1], keys[0], "no such key", "../../etc/passwd", keys[2], "a\x00b"}
	want := map[mail.Key]string{keys[0]: "one", keys[2]: "three", keys[3]: "four"}
	answers := make(map[mail.Key]int)
	for f, err := range c.store.Fetch(c.Context(), "box", asked, mail.Whole) {
		if err != nil {
			key, ok := mail.KeyOf(err)
			if !ok {
				c.Fatalf("Fetch = %v, want only errors with a key", err)
			}
			answers[key]++
			if !gone[key] || !errors.Is(err, mail.ErrGone) {
				c.Errorf("Fetch of %q = %v; gone is %v", key, err, gone[key])
			}
			var e *mail.Error
			if errors.As(err, &e) && e.Mailbox != "box" {
				c.Errorf("Fetch of %q names mailbox %q, want box", key, e.Mailbox)
			}
			continue
		}
		answers[f.Key]++
		body, err := io.ReadAll(f.Body)
		if err != nil || subject(body) != want[f.Key] {
			c.Errorf("Fetch of %q yields %q, %v; want %q", f.Key, subject(body), err, want[f.Key])
		}
	}
	for _, k := range asked {
		if answers[k] != 1 {
			c.Errorf("Fetch answered key %q %d times, want once", k, answers[k])
		}
	}
	if len(answers) != len(asked) {
		c.Errorf("Fetch of %d keys answered %d", len(asked), len(answers))
	}
}

func fetchNothing(c *trial) {
	c.fill("box", "one")
	for f, err := range c.store.Fetch(c.Context(), "box", nil, mail.Whole) {
		c.Errorf("Fetch of no keys answered %q, %v", f.Key, err)
	}
}

func fetchBreak(c *trial) {
	keys := c.fill("box", "one", "two", "three")
	for range c.store.Fetch(c.Context(), "box", keys, mail.Whole) {
		break
	}
	c.wantSubjects("box", "one", "two", "three")
	c.add("box", mail.Message{}, text("four"))
	c.wantSubjects("box", "one", "two", "three", "four")
}

func fetchUnread(c *trial) {
	keys := c.fill("box", "one", "two", "three", "four")
	got := 0
	for f, err := range c.store.Fetch(c.Context(), "box", keys, mail.Whole) {
		if err != nil {
			c.Fatalf("Fetch = %v, want nil", err)
		}
		if got++; got%2 == 0 {
			io.CopyN(io.Discard, f.Body, 3)
			continue
		}
		body, err := io.ReadAll(f.Body)
		if err != nil || !bytes.Contains(body, []byte("Hello Bob")) {
			c.Errorf("Fetch of %q yields %q, %v", f.Key, body, err)
		}
	}
	if got != len(keys) {
		c.Errorf("Fetch answered %d of %d keys", got, len(keys))
	}
}

func fetchChangesNothing(c *trial) {
	c.fill("box", "one", "two")
	c.settle()
	before := c.list("box")
	c.bodies("box", keysOf(before))
	for range c.store.Fetch(c.Context(), "box", keysOf(before), mail.Header) {
	}
	for _, m := range c.list("box").Messages {
		if m.Flags != "" {
			c.Errorf("after Fetch, message %q has flags %q, want none", m.Key, m.Flags)
		}
	}
	if after := c.list("box"); after.Token != before.Token {
		c.Errorf("Fetch changed the token from %q to %q", before.Token, after.Token)
	}
}

func fetchHeader(c *trial) {
	c.create("box")
	for _, raw := range [][]byte{
		text("CRLF"),
		bytes.ReplaceAll(text("LF"), []byte("\r\n"), []byte("\n")),
		[]byte("Subject: folded\r\n and on\r\n\r\nbody\r\n\r\nmore\r\n"),
		append([]byte("X-Long: "), append(bytes.Repeat([]byte("x"), 100_000), "\r\n\r\nbody\r\n"...)...),
		[]byte("Subject: only a header\r\n\r\n"),
		[]byte("Subject: lone CRs\rTo: b\r\rare no line ends\r\n\r\nbody\r\n"),
		[]byte("Subject: nothing\rbut CRs\r\rat all"),
	} {
		if c.Refuses != nil && c.Refuses(raw) {
			continue
		}
		key := c.add("box", mail.Message{}, raw)
		whole := c.stored(raw)
		want := whole
		for _, end := range []string{"\r\n\r\n", "\n\n"} {
			if i := bytes.Index(whole, []byte(end)); i >= 0 {
				want = whole[:i+len(end)]
				break
			}
		}
		for f, err := range c.store.Fetch(c.Context(), "box", []mail.Key{key}, mail.Header) {
			if err != nil {
				c.Fatalf("Fetch of a header = %v, want nil", err)
			}
			got, err := io.ReadAll(f.Body)
			if err != nil || !bytes.Equal(got, want) {
				c.Errorf("Fetch of a header yields %d octets %.100q, %v; want %d octets %.100q", len(got), got, err, len(want), want)
			}
			if f.Size >= 0 && f.Size != int64(len(got)) {
				c.Errorf("Fetch of a header says Size %d, %d octets came", f.Size, len(got))
			}
		}
	}
}
