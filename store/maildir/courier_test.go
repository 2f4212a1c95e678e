package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/mail"
	"roost/peer"
)

func putFile(t *testing.T, file, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// Courier's keywords are read from its list and from what changed since, of which the newest counts; a
// change of them makes the token another.
func TestCourierKeywords(t *testing.T) {
	dir := t.TempDir()
	for _, base := range []string{"1.host", "2.host", "3.host", "4.host"} {
		putFile(t, filepath.Join(dir, "cur", base+":2,S"), "Subject: x\n\n")
	}
	putFile(t, filepath.Join(dir, courierFile), "1 77 9\n3 1.host\n5 2.host\n")
	words := filepath.Join(dir, courierKeywords)
	putFile(t, filepath.Join(words, courierList), "Work\nPlay\n\n1.host:0 1\n2.host:1\n3.host:0\ngone.host:7\nnonsense\n")
	putFile(t, filepath.Join(words, ".100.2.host"), "Old\n")
	putFile(t, filepath.Join(words, ".200.2.host"), "Newer\n\nignored\n")
	putFile(t, filepath.Join(words, "3.host"), "")
	putFile(t, filepath.Join(words, ".300.3.host"), "Beaten\n")
	putFile(t, filepath.Join(words, ".tmp.1.x"), "Unfinished\n")
	then := time.Now().Add(-time.Hour)
	for _, file := range []string{"cur", courierFile, courierKeywords} {
		if err := os.Chtimes(filepath.Join(dir, file), then, then); err != nil {
			t.Fatal(err)
		}
	}
	s := openStore(t, dir, Options{})
	ch, err := s.Changes(t.Context(), mail.Inbox, "")
	if err != nil || ch.UIDValidity != 77 {
		t.Fatalf("Changes() = %+v, %v", ch, err)
	}
	for _, m := range ch.Messages {
		want := map[mail.Key]mail.Flags{
			"1.host": mail.FlagsOf(mail.Seen, "Work", "Play"), "2.host": mail.FlagsOf(mail.Seen, "Newer"), "3.host": mail.Seen, "4.host": mail.Seen,
		}[m.Key]
		if m.Flags != want {
			t.Errorf("message %s has flags %q, want %q", m.Key, m.Flags, want)
		}
	}
	if again, err := s.Changes(t.Context(), mail.Inbox, ch.Token); err != nil || again.Full {
		t.Errorf("without a change: Full is %v, %v", again.Full, err)
	}
	putFile(t, filepath.Join(words, "4.host"), "Late\n")
	if again, err := s.Changes(t.Context(), mail.Inbox, ch.Token); err != nil || !again.Full || again.Messages[3].Flags != mail.FlagsOf(mail.Seen, "Late") {
		t.Errorf("after a keyword came: %+v, %v", again, err)
	}
}

// Who makes a lock shows from its first moment who holds it.
func TestLockIsNeverEmpty(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	if err := s.Create(t.Context(), mail.Inbox); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(dir, uidlistFile+".lock")
	done := make(chan bool)
	var watcher sync.WaitGroup
	seen := 0
	watcher.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if text, err := os.ReadFile(lock); err == nil {
				seen++
				if len(text) == 0 {
					t.Error("the lock is there and says nothing")
					return
				}
			}
		}
	})
	for range 2000 {
		release, err := s.lock(t.Context(), ".")
		if err != nil {
			t.Fatal(err)
		}
		release()
	}
	close(done)
	watcher.Wait()
	if seen == 0 {
		t.Error("the lock was never seen")
	}
	left, err := filepath.Glob(filepath.Join(dir, uidlistFile+"*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
}

// quotaOf adds maildirsize up.
func quotaOf(t *testing.T, dir string) (octets, messages int64) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, quotaFile))
	if err != nil {
		t.Fatal(err)
	}
	_, lines, _ := strings.Cut(string(raw), "\n")
	for line := range strings.Lines(lines) {
		var o, m int64
		if n, err := fmt.Sscan(line, &o, &m); n != 2 || err != nil || !strings.HasSuffix(line, "\n") {
			t.Errorf("maildirsize has the line %q", line)
		}
		octets, messages = octets+o, messages+m
	}
	return octets, messages
}

// What comes and goes is accounted for in maildirsize, if it is there, and what is in Trash is not.
func TestQuotaIsKept(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	for _, name := range []mail.Name{mail.Inbox, "box", "Trash"} {
		if err := s.Create(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	raw := []byte("Subject: x\n\n1234567\n") // 20 octets
	add := func(name mail.Name) mail.Key {
		key, err := s.Append(t.Context(), name, mail.Message{Size: -1}, bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	early := add("box")
	if _, err := os.Stat(filepath.Join(dir, quotaFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an Append made %s: %v", quotaFile, err)
	}
	putFile(t, filepath.Join(dir, quotaFile), "1000S,10C\n           20 1\n")
	want := func(what string, messages int64) {
		t.Helper()
		if o, m := quotaOf(t, dir); m != messages || o != 20*messages {
			t.Errorf("after %s, maildirsize says %d octets in %d messages, want %d in %d", what, o, m, 20*messages, messages)
		}
	}
	key := add("INBOX")
	want("Append", 2)
	add("Trash")
	want("Append to Trash", 2)
	moved, err := s.Move(t.Context(), mail.Inbox, []mail.Key{key}, "box")
	if err != nil {
		t.Fatal(err)
	}
	want("Move", 2)
	if moved, err = s.Move(t.Context(), "box", moved, "Trash"); err != nil {
		t.Fatal(err)
	}
	want("Move to Trash", 1)
	if _, err = s.Move(t.Context(), "Trash", moved, "box"); err != nil {
		t.Fatal(err)
	}
	want("Move out of Trash", 2)
	if err := s.Expunge(t.Context(), "box", []mail.Key{early, "gone"}); err != nil {
		t.Fatal(err)
	}
	want("Expunge", 1)
	if err := s.Delete(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	want("Delete", 0)
}

// Dovecot counts by the same file what came from us.
func TestQuotaBesideDovecot(t *testing.T) {
	d := startDovecot(t, peer.DovecotOptions{Extra: "plugin {\n quota = maildir:User quota\n quota_rule = *:storage=1M\n}\n"}, Options{})
	d.append("INBOX", "", mailText("theirs"))
	d.Doveadm(t, "quota", "recalc", "-u", "alice")
	count := func() string {
		for line := range strings.Lines(d.Doveadm(t, "-f", "tab", "quota", "get", "-u", "alice")) {
			if strings.Contains(line, "MESSAGE") {
				return strings.Fields(line)[3]
			}
		}
		return ""
	}
	if got := count(); got != "1" {
		t.Fatalf("Dovecot counts %q messages, want 1", got)
	}
	raw := mailText("ours")
	key, err := d.store.Append(t.Context(), mail.Inbox, mail.Message{Size: int64(len(raw))}, bytes.NewReader(raw))
	d.must("Append", err)
	if got := count(); got != "2" {
		t.Errorf("after our Append, Dovecot counts %q messages, want 2", got)
	}
	d.must("Expunge", d.store.Expunge(t.Context(), mail.Inbox, []mail.Key{key}))
	if got := count(); got != "1" {
		t.Errorf("after our Expunge, Dovecot counts %q messages, want 1", got)
	}
}
