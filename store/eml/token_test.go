package eml

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"roost/mail"
	"roost/store/storetest"
)

// Every change to a directory makes its token another, also one that leaves size and time of
// modification as they were; nothing but a change does.
func TestTokenTellsEveryChange(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "box/a.eml", "one")
	put(t, dir, "box/notes.txt", "no mail")
	s := open(t, dir)
	s.now = later
	file := filepath.Join(dir, "box/a.eml")
	for _, step := range []struct {
		what    string
		changes bool
		do      func() error
	}{
		{"nothing", false, func() error { return nil }},
		{"a file that is no mail", false, func() error { return os.WriteFile(filepath.Join(dir, "box/notes.txt"), []byte("x"), 0o600) }},
		{"an edit that keeps size and mtime", true, func() error {
			info, err := os.Stat(file)
			if err != nil {
				return err
			}
			put(t, dir, "box/a.eml", "two")
			return os.Chtimes(file, info.ModTime(), info.ModTime())
		}},
		{"another file", true, func() error { put(t, dir, "box/b.eml", "two"); return nil }},
		{"another name", true, func() error { return os.Rename(filepath.Join(dir, "box/b.eml"), filepath.Join(dir, "box/c.eml")) }},
		{"a flag", true, func() error { return s.SetFlags(t.Context(), "box", []mail.Key{"c.eml"}, mail.Seen, "") }},
		{"a file less", true, func() error { return os.Remove(filepath.Join(dir, "box/c.eml")) }},
	} {
		storetest.Tick(t)
		before, err := s.Changes(t.Context(), "box", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		after, err := s.Changes(t.Context(), "box", before.Token)
		if err != nil || after.Full != step.changes || (after.Token != before.Token) != step.changes {
			t.Errorf("after %s: Full is %v, token %q, %v; before, it was %q", step.what, after.Full, after.Token, err, before.Token)
		}
		if !step.changes && (after.Method != "unchanged" || after.UIDValidity != before.UIDValidity || after.UIDNext != before.UIDNext) {
			t.Errorf("after %s, Changes tell %+v", step.what, after)
		}
	}
}

// What changed less than two seconds ago may change again without a trace, so its token is void.
func TestYoungToken(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "box/a.eml", "one")
	s := open(t, dir)
	clock := time.Now()
	s.now = func() time.Time { return clock }
	for _, tt := range []struct {
		after time.Duration
		full  bool
	}{{time.Second, true}, {time.Minute, false}} {
		clock = time.Now().Add(tt.after)
		first, err := s.Changes(t.Context(), "box", "")
		if err != nil {
			t.Fatal(err)
		}
		clock = clock.Add(time.Hour)
		if again, err := s.Changes(t.Context(), "box", first.Token); err != nil || again.Full != tt.full {
			t.Errorf("listed %v after the change, Full is %v the next time, want %v; %v", tt.after, again.Full, tt.full, err)
		}
	}
}

// One file that somebody else puts beside ours costs no other message its UID, and gets one itself as
// soon as it is written to.
func TestForeignFileAmongOurs(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Create(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), "box", mail.Message{}, text("ours")); err != nil {
		t.Fatal(err)
	}
	put(t, dir, "box/theirs.eml", "theirs")
	ch, err := s.Changes(t.Context(), "box", "")
	if err != nil || ch.UIDValidity == 0 || len(ch.Messages) != 2 || ch.Messages[0].UID != 1 || ch.Messages[1].UID != 0 || ch.Messages[1].Key != "theirs.eml" {
		t.Fatalf("Changes() = %+v, %v", ch, err)
	}
	boxes, err := s.Mailboxes(t.Context())
	if err != nil || boxes[0].UIDValidity != ch.UIDValidity || boxes[0].UIDNext != 2 {
		t.Errorf("Mailboxes() = %+v, %v", boxes, err)
	}
	if err := s.SetFlags(t.Context(), "box", []mail.Key{"theirs.eml"}, mail.Seen, ""); err != nil {
		t.Fatal(err)
	}
	again, err := s.Changes(t.Context(), "box", "")
	if err != nil || again.UIDValidity != ch.UIDValidity || again.Messages[1].UID != 2 {
		t.Errorf("after SetFlags: %+v, %v", again, err)
	}
}

// That UIDs are kept outlives a rename, another mailbox's rename, and the store.
func TestNumberLasts(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for _, name := range []mail.Name{"box", "other"} {
		if err := s.Create(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	add := func(name mail.Name, wanted, want uint32) {
		t.Helper()
		key, err := s.Append(t.Context(), name, mail.Message{UID: wanted}, text("x"))
		if err != nil || key != keyOf(want) {
			t.Errorf("Append with UID %d = %q, %v, want UID %d", wanted, key, err, want)
		}
	}
	if err := s.Number(t.Context(), "box", 4711, 1000); err != nil {
		t.Fatal(err)
	}
	add("box", 5, 5)
	if err := s.Rename(t.Context(), "other", "elsewhere"); err != nil {
		t.Fatal(err)
	}
	add("box", 7, 7)
	if err := s.Rename(t.Context(), "box", "renamed"); err != nil {
		t.Fatal(err)
	}
	add("renamed", 9, 9)
	if err := s.Expunge(t.Context(), "renamed", []mail.Key{"9"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Subscribe(t.Context(), "renamed", true); err != nil { // writes the sidecar anew
		t.Fatal(err)
	}
	s.Close()
	s = open(t, dir)
	add("renamed", 9, 1000) // 9 was given before
	add("elsewhere", 50, 1)
	add("renamed", 2000, 2000)
}

// No two messages have one UID, whatever a sidecar says; the second has none.
func TestUIDGivenTwice(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"a.eml", "b.eml", "0000000003.eml"} {
		put(t, dir, "box/"+file, file)
	}
	line := entry{uid: 3, date: time.Unix(1323785716, 0)}
	put(t, dir, "box/"+sidecarFile, sidecarMagic+"1\t7\t4\tid\n"+line.line("a.eml")+line.line("b.eml"))
	ch, err := open(t, dir).Changes(t.Context(), "box", "")
	if err != nil || len(ch.Messages) != 3 {
		t.Fatalf("Changes() = %+v, %v", ch, err)
	}
	seen := make(map[mail.Key]bool)
	for i, m := range ch.Messages {
		if (m.UID == 3) != (i == 0) || seen[m.Key] {
			t.Errorf("message %d is %+v", i, m)
		}
		seen[m.Key] = true
	}
	if got := contents(t, open(t, dir), "box"); len(got) != 3 || got["3"] != "0000000003.eml" || got["a.eml"] != "a.eml" || got["b.eml"] != "b.eml" {
		t.Errorf("it holds %q", got)
	}
}
