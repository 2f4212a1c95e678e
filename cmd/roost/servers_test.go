package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"roost/peer"
)

// Mail goes from a Maildir into the repository, from there to a real server over IMAP, and from the server into the
// repository again: the bytes are those with CRLF line ends, and flags, keywords and dates are the same.
func TestServersHoldWhatWasRestored(t *testing.T) {
	long(t)
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

// kept is a body as IMAP holds it, with CRLF line ends.
func kept(body []byte) []byte {
	lf, crlf := []byte("\n"), []byte("\r\n")
	return bytes.ReplaceAll(bytes.ReplaceAll(body, crlf, lf), lf, crlf)
}

// keptByDovecot is kept without the CR that stands before a CRLF or at the end.
func keptByDovecot(body []byte) []byte {
	return bytes.TrimSuffix(bytes.ReplaceAll(kept(body), []byte("\r\r\n"), []byte("\r\n")), []byte("\r"))
}

// keptByCyrus is kept with an X for each octet of the header that is not ASCII (munge8bit in its imapd.conf).
func keptByCyrus(body []byte) []byte {
	body = kept(body)
	header, _, _ := bytes.Cut(body, []byte("\r\n\r\n"))
	for i := range header {
		if header[i] >= 0x80 {
			body[i] = 'X'
		}
	}
	return body
}

// Public mail, good and broken, comes out of a server as that keeps it, and what a server refuses stands in the books.
func TestServersHoldCorpora(t *testing.T) {
	long(t)
	root, program := corporaDir(t), build(t)
	servers := []struct {
		name  string
		start func(t *testing.T) (url string)
		kept  func(body []byte) []byte
		most  int // messages that it refuses
	}{
		{"dovecot", func(t *testing.T) string {
			return "imap://alice@" + peer.Dovecot(t, peer.DovecotOptions{Format: "mdbox"}).IMAPAddr + "?tls=none"
		}, keptByDovecot, 1}, // one has a NUL
		{"cyrus", func(t *testing.T) string {
			return "imap://u1@" + peer.Cyrus(t).IMAPAddr + "?tls=none"
		}, keptByCyrus, 8}, // others do not begin with a header field
	}
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			d := newDesk(t, program, 1)
			d.env = append(d.env, "ROOST_STORE_PASSWORD="+peer.Password)
			w := newEmptyTree(t, filepath.Join(d.dir, "mail"), 1)
			w.putSamples(t, root, 25)
			url := s.start(t)
			d.run(t, "backup", "--from", "maildir:"+w.dir, "-u", "alice@example.com")
			for _, run := range []string{"first", "second"} { // the second adds nothing
				cmd := exec.CommandContext(t.Context(), d.program, "restore", "latest:alice@example.com", "--in-place", "--to", url)
				cmd.Env = d.env
				out, _ := cmd.CombinedOutput()
				if code := cmd.ProcessState.ExitCode(); code != exitIncomplete {
					t.Fatalf("%s restore: exit code %d, want %d:\n%s", run, code, exitIncomplete, out)
				}
				d.run(t, "backup", "--from", url, "-u", "served")
				missing := d.missing(t, w, s.kept)
				told := fmt.Sprintf("INCOMPLETE: %s not stored", count(int64(missing), "message"))
				if missing > s.most || !strings.Contains(string(out), told) {
					t.Fatalf("%s restore: %d messages are not at the server, want at most %d; it said:\n%s", run, missing, s.most, out)
				}
				told = fmt.Sprintf("%d not kept in full", w.altered(s.kept))
				if !strings.Contains(string(out), told) {
					t.Errorf("%s restore: it does not say %q:\n%s", run, told, out)
				}
			}
			d.check(t, true)
			d.checkByRestic(t)
		})
	}
}

// altered counts the messages that a server keeps otherwise than with CRLF line ends.
func (w *tree) altered(serverKeeps func(body []byte) []byte) (n int) {
	for i := range w.files {
		if body := w.files[i].body; !bytes.Equal(serverKeeps(body), kept(body)) {
			n++
		}
	}
	return n
}

// testThroughServer restores a tree to the server at url, where it must be in full.
func testThroughServer(t *testing.T, d *desk, w *tree, url string) {
	t.Helper()
	d.run(t, "backup", "--from", "maildir:"+w.dir, "-u", "alice@example.com")
	restore := []string{"restore", "latest:alice@example.com", "--in-place", "--to", url}
	again := []string{"backup", "--from", url, "-u", "served"}
	for _, args := range [][]string{restore, again, restore, again} { // the second restore adds nothing
		d.run(t, args...)
		if args[0] == "restore" {
			continue
		}
		if missing := d.missing(t, w, kept); missing > 0 {
			t.Fatalf("%d messages are not at the server", missing)
		}
	}
	d.check(t, true)
	d.checkByRestic(t)
}

// missing counts the messages that the test wrote, as the server keeps them, and that the newest snapshot, which is of a server, does not hold. It
// must hold nothing else.
func (d *desk) missing(t *testing.T, w *tree, kept func(body []byte) []byte) (messages int) {
	t.Helper()
	want := map[letter]int{}
	for i := range w.files {
		f := &w.files[i]
		body := kept(f.body)
		want[letter{f.Mailbox, printOf(body), int64(len(body)), f.Flags, f.Date}]++
	}
	sn, _ := d.newest(t)
	got, names := lettersOf(t, sn)
	for l, n := range got {
		if n > want[l] {
			t.Errorf("at the server there are %d of %+v, want %d", n, l, want[l])
		}
	}
	for l, n := range want {
		if n > got[l] {
			messages += n - got[l]
		}
	}
	for _, name := range w.names() {
		if !slices.Contains(names, name) {
			t.Errorf("mailbox %q is not at the server, which has %q", name, names)
		}
	}
	return messages
}
