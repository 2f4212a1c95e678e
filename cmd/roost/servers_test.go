package main

import (
	"bytes"
	"maps"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/peer"
)

// Mail goes from a Maildir into the repository, from there to a real server over IMAP, and from the server into the
// repository again: the bytes are those with CRLF line ends, and flags, keywords and dates are the same.
func TestServersHoldWhatWasRestored(t *testing.T) {
	program := build(t)
	for _, format := range []string{"maildir", "sdbox", "mdbox"} {
		t.Run("dovecot "+format, func(t *testing.T) {
			s := peer.Dovecot(t, peer.DovecotOptions{Format: format})
			testServer(t, newDesk(t, program, 1), "imap://alice@"+s.IMAPAddr+"?tls=none")
		})
	}
	t.Run("cyrus", func(t *testing.T) {
		s := peer.Cyrus(t)
		testServer(t, newDesk(t, program, 1), "imap://u1@"+s.IMAPAddr+"?tls=none")
	})
}

func testServer(t *testing.T, d *desk, url string) {
	d.env = append(d.env, "ROOST_STORE_PASSWORD="+peer.Password)
	w := newTree(t, filepath.Join(d.dir, "mail"), d.rng)
	w.deliver(t, 150)
	testThroughServer(t, d, w, url)
}

// Public mail, good and broken, comes out of a server as it went in.
func TestServersHoldCorpora(t *testing.T) {
	program := build(t)
	corpora := func(d *desk) *tree {
		d.env = append(d.env, "ROOST_STORE_PASSWORD="+peer.Password)
		w := newEmptyTree(t, filepath.Join(d.dir, "mail"), 1)
		w.putSamples(t, 25)
		return w
	}
	t.Run("dovecot", func(t *testing.T) {
		d := newDesk(t, program, 1)
		w := corpora(d)
		s := peer.Dovecot(t, peer.DovecotOptions{Format: "mdbox"})
		testThroughServer(t, d, w, "imap://alice@"+s.IMAPAddr+"?tls=none")
	})
	t.Run("cyrus", func(t *testing.T) {
		d := newDesk(t, program, 1)
		w := corpora(d)
		s := peer.Cyrus(t)
		testThroughServer(t, d, w, "imap://u1@"+s.IMAPAddr+"?tls=none")
	})
}

// testThroughServer restores a tree to the server at url, where it must be in full.
func testThroughServer(t *testing.T, d *desk, w *tree, url string) {
	t.Helper()
	d.run(t, "backup", "--from", "maildir:"+w.dir, "-u", "alice@example.com")
	restore := []string{"restore", "latest:alice@example.com", "--in-place", "--to", url}
	d.run(t, restore...)
	again := []string{"backup", "--from", url, "-u", "served"}
	d.run(t, again...)
	d.served(t, w)
	d.run(t, restore...) // which adds nothing
	d.run(t, again...)
	d.served(t, w)
	d.check(t, true)
	d.checkByRestic(t)
}

// served compares the newest snapshot, which is of a server, with what the test wrote.
func (d *desk) served(t *testing.T, w *tree) {
	t.Helper()
	want := map[letter]int{}
	for i := range w.files {
		f := &w.files[i]
		body := bytes.ReplaceAll(bytes.ReplaceAll(f.body, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		want[letter{f.Mailbox, printOf(body), int64(len(body)), f.Flags, f.Date}]++
	}
	list := d.snapshots(t)
	got, names := lettersOf(t, list[len(list)-1])
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("at the server (-written +served):\n%s", diff)
	}
	there := map[mail.Name]bool{}
	for _, name := range names {
		there[name] = true
	}
	for name := range maps.Keys(w.boxes) {
		if !there[name] {
			t.Errorf("mailbox %q is not at the server, which has %q", name, names)
		}
	}
}
