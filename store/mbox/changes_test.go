package mbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roost/mail"
	"roost/store/storetest"
)

func text(s string) io.Reader { return strings.NewReader(s) }

// readSoFar is how many octets this process read.
func readSoFar(t *testing.T) (n int64) {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip("the system does not count what a process reads")
	}
	if _, err := fmt.Sscanf(string(raw), "rchar: %d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// A file that did not change is not read, and of one that grew only what is new, also by a store that
// saw neither before.
func TestOnlyTheNewPartIsRead(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if err := s.Create(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		if _, err := s.Append(t.Context(), "box", mail.Message{}, text(strings.Repeat("a line of text\n", 100_000))); err != nil {
			t.Fatal(err)
		}
	}
	list := func(since mail.Token) (mail.Changes, int64) {
		t.Helper()
		s := open(t, dir, Options{})
		s.now = later
		before := readSoFar(t)
		ch, err := s.Changes(t.Context(), "box", since)
		if err != nil {
			t.Fatal(err)
		}
		return ch, readSoFar(t) - before
	}
	full, n := list("")
	if !full.Full || len(full.Messages) != 8 || n < 12_000_000 {
		t.Fatalf("at first, %d messages were listed, Full %v, %d octets read", len(full.Messages), full.Full, n)
	}
	if ch, n := list(full.Token); ch.Full || ch.Method != "unchanged" || ch.UIDNext != full.UIDNext || ch.UIDValidity != full.UIDValidity || n > 64<<10 {
		t.Errorf("without a change: %+v, %d octets read", ch, n)
	}
	if _, err := s.Append(t.Context(), "box", mail.Message{Flags: mail.Seen}, text("nine")); err != nil {
		t.Fatal(err)
	}
	ch, n := list(full.Token)
	if ch.Full || ch.Method != "appended" || len(ch.Messages) != 1 || ch.Messages[0].UID != 9 || ch.Messages[0].Flags != mail.Seen || ch.UIDNext != 10 || n > 512<<10 {
		t.Errorf("after an Append: %+v, %d octets read", ch, n)
	}
	if again, _ := list(ch.Token); again.Method != "unchanged" || again.UIDNext != 10 {
		t.Errorf("after that: %+v", again)
	}
}

// edit changes a file and keeps its time of modification, as mutt does.
func edit(path, old, new string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(raw), old, new, 1)), 0o600); err != nil {
		return err
	}
	return os.Chtimes(path, info.ModTime(), info.ModTime())
}

func grow(path, text string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// What happened is told, whoever did it and however it was hidden; what was appended alone is told
// as that only if nothing else can have happened.
func TestTokenTellsEveryChange(t *testing.T) {
	const from = "From a@b Tue Dec 13 14:15:16 2011\n"
	dir := t.TempDir()
	ours, theirs := filepath.Join(dir, "ours"), filepath.Join(dir, "theirs")
	if err := os.WriteFile(theirs, []byte(from+"A: 1\nX-Mozilla-Status: 0000\n\nx\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir, Options{})
	s.now = later
	if err := s.Create(t.Context(), "ours"); err != nil {
		t.Fatal(err)
	}
	add := func(body string) error {
		_, err := s.Append(t.Context(), "ours", mail.Message{}, text(body))
		return err
	}
	if err := add("A: 1\n\none\n"); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		what   string
		box    mail.Name
		method string
		do     func() error
	}{
		{"nothing", "ours", "unchanged", func() error { return nil }},
		{"nothing", "theirs", "unchanged", func() error { return nil }},
		{"a flag set in place", "theirs", "scan", func() error { return edit(theirs, "0000", "0001") }},
		{"a flag set in place, and mail", "theirs", "scan", func() error {
			return errors.Join(edit(theirs, "0001", "0000"), grow(theirs, from+"A: 2\n\ny\n\n"))
		}},
		{"an edit in place", "ours", "scan", func() error { return edit(ours, "one", "two") }},
		{"mail", "ours", "appended", func() error { return add("A: 2\n\nFrom two") }},
		{"more mail", "ours", "appended", func() error { return errors.Join(add("A: 3\n"), add("A: 4\n\n")) }},
		{"mail, and an edit in place before it", "ours", "scan", func() error { return errors.Join(edit(ours, "A: 3", "B: 3"), add("A: 4b\n")) }},
		{"mail, and a flag before it", "ours", "scan", func() error {
			return errors.Join(add("A: 5\n"), s.SetFlags(t.Context(), "ours", []mail.Key{"1"}, mail.Seen, ""))
		}},
		{"mail, and a flag of it", "ours", "appended", func() error {
			return errors.Join(add("A: 6\n"), s.SetFlags(t.Context(), "ours", []mail.Key{"7"}, mail.Seen, ""))
		}},
		{"a flag", "ours", "scan", func() error { return s.SetFlags(t.Context(), "ours", []mail.Key{"7"}, "", mail.Seen) }},
		{"mail, and one expunged", "ours", "scan", func() error {
			return errors.Join(s.Expunge(t.Context(), "ours", []mail.Key{"2"}), add("A: 7\n"), add("A: 8\n\n"+strings.Repeat("x\n", 100)))
		}},
		{"mail that came and went", "ours", "scan", func() error {
			return errors.Join(add("A: 9\n"), s.Expunge(t.Context(), "ours", []mail.Key{"9"}))
		}},
		{"mail copied from another file of ours", "ours", "scan", func() error {
			return grow(ours, "From 999.2@5.roost.invalid Tue Dec 13 14:15:16 2011\nx\n\n")
		}},
		{"mail of another program", "ours", "scan", func() error { return grow(ours, from+"A: 10\n\ny\n\n") }},
	} {
		storetest.Tick(t)
		reader := open(t, dir, Options{})
		reader.now = later
		before, err := reader.Changes(t.Context(), step.box, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		after, err := reader.Changes(t.Context(), step.box, before.Token)
		if err != nil || after.Method != step.method || after.Full != (step.method == "scan") {
			t.Errorf("after %s in %s: method %q, Full %v, %v; want %q", step.what, step.box, after.Method, after.Full, err, step.method)
		}
		if (after.Token == before.Token) != (step.method == "unchanged") {
			t.Errorf("after %s in %s, the token went from %q to %q", step.what, step.box, before.Token, after.Token)
		}
	}
}

// What changed less than two seconds ago may change again without a trace, so its token is void, and
// what was read of it is not believed.
func TestYoungToken(t *testing.T) {
	path := file(t, "From a@b Tue Dec 13 14:15:16 2011\nStatus: O\n\nx\n\n")
	s := open(t, path, Options{})
	clock := time.Now()
	s.now = func() time.Time { return clock }
	for _, tt := range []struct {
		after  time.Duration
		method string
	}{{time.Second, "scan"}, {time.Minute, "unchanged"}} {
		clock = time.Now().Add(tt.after)
		first, err := s.Changes(t.Context(), mail.Inbox, "")
		if err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		if known := s.places[path[len(filepath.Dir(path))+1:]]; known == nil || known.settled != (tt.method == "unchanged") {
			t.Errorf("read %v after the change, it is remembered as %+v", tt.after, known)
		}
		s.mu.Unlock()
		clock = clock.Add(time.Hour)
		if again, err := s.Changes(t.Context(), mail.Inbox, first.Token); err != nil || again.Method != tt.method {
			t.Errorf("listed %v after the change, the next method is %q, want %q; %v", tt.after, again.Method, tt.method, err)
		}
	}
}

// Cut short at any octet, AppendAll leaves its first messages whole and nothing of the others; then it
// can be done again.
func TestTornAppendAll(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if err := s.Create(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	bodies := []string{"A: 1\n\nFrom one\n", "A: 2\n\ntwo and more", "A: 3\n\nthree\n"}
	read := func(file string) []byte {
		raw, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	side := read(sidecarOf("box"))
	appendAll(t, s, bodies...)
	whole := read("box")
	for n := range len(whole) + 1 {
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "box"), whole[:n], 0o600), os.WriteFile(filepath.Join(dir, sidecarOf("box")), side, 0o600)); err != nil {
			t.Fatal(err)
		}
		again := open(t, dir, Options{})
		got := contents(t, again, "box")
		for i, m := range got {
			if m.Body != bodies[i] {
				t.Fatalf("cut at %d octets, message %d is %q", n, i, m.Body)
			}
		}
		appendAll(t, again, bodies[len(got):]...)
		if got := contents(t, again, "box"); len(got) != len(bodies) || got[2].Body != bodies[2] {
			t.Fatalf("cut at %d octets and done again: %+v", n, got)
		}
	}
}

func appendAll(t *testing.T, s *Store, bodies ...string) {
	t.Helper()
	for a, err := range s.AppendAll(t.Context(), "box", outgoing(bodies...)) {
		if err := errors.Join(a.Err, err); err != nil {
			t.Fatal(err)
		}
	}
}

// Killed at any moment of a rename, a program leaves the file with its sidecar under one of the names.
func TestRenameKeepsTheSidecar(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if err := s.Create(t.Context(), "old"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), "old", mail.Message{Flags: mail.Seen}, text("x")); err != nil {
		t.Fatal(err)
	}
	// The directory of children, where the file is to go, cannot take it: the rename of the file fails.
	if err := os.MkdirAll(filepath.Join(dir, "new", "held"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.renameFile("old", "new"); err == nil {
		t.Fatal("renameFile took the place of a directory")
	}
	check := func(name mail.Name) {
		t.Helper()
		if ch, err := s.Changes(t.Context(), name, ""); err != nil || ch.UIDValidity == 0 || ch.Messages[0].Flags != mail.Seen {
			t.Errorf("%s: %+v, %v", name, ch, err)
		}
	}
	check("old")
	if err := os.RemoveAll(filepath.Join(dir, "new")); err != nil {
		t.Fatal(err)
	}
	// Killed between the two: both sidecars are there, and the one that is nobody's is no obstacle.
	raw, err := os.ReadFile(filepath.Join(dir, sidecarOf("old")))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, sidecarOf("new")), append(raw, "1\t-\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Rename(t.Context(), "old", "new"); err != nil {
		t.Fatal(err)
	}
	check("new")
	if _, err := os.Stat(filepath.Join(dir, sidecarOf("old"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old sidecar was left: %v", err)
	}
}

// That UIDs are kept outlives the store.
func TestNumberLasts(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if err := s.Create(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	if err := s.Number(t.Context(), "box", 4711, 1000); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ wanted, want uint32 }{{5, 5}, {9, 9}, {9, 1000}, {2000, 2000}} {
		key, err := s.Append(t.Context(), "box", mail.Message{UID: step.wanted}, text("x"))
		if err != nil || key != keyOf(step.want) {
			t.Errorf("Append with UID %d = %q, %v, want %d", step.wanted, key, err, step.want)
		}
		if step.want == 9 {
			if err := errors.Join(s.Expunge(t.Context(), "box", []mail.Key{"9"}), s.Subscribe(t.Context(), "box", true)); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
		s = open(t, dir, Options{})
	}
}

func outgoing(bodies ...string) iter.Seq[mail.Outgoing] {
	return func(yield func(mail.Outgoing) bool) {
		for _, body := range bodies {
			m := mail.Outgoing{Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(text(body)), nil }}
			if !yield(m) {
				return
			}
		}
	}
}
