package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"roost/blob"
	"roost/mail"
	"roost/repo"
	"roost/store"
)

// forger has the key of a repository, and writes snapshots by hand.
type forger struct {
	*roost
	dir  string // everything of this test
	repo *repo.Repo
}

// newForger makes a repository with a snapshot of alice: an INBOX of two messages, one of 5 KB, and Work of one.
func newForger(t *testing.T) *forger {
	t.Helper()
	f := &forger{roost: newRoost(t), dir: t.TempDir()}
	src, err := store.Open(t.Context(), "maildir:"+filepath.Join(f.dir, "alice"), store.Options{Make: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, box := range []mail.Name{mail.Inbox, "Work"} {
		if err := src.Create(t.Context(), box); err != nil && !errors.Is(err, mail.ErrExist) {
			t.Fatal(err)
		}
	}
	for i, box := range []mail.Name{mail.Inbox, mail.Inbox, "Work"} {
		body := append(message1(fmt.Sprintf("subject-%d", i)), bytes.Repeat([]byte("text\r\n"), 900*i)...)
		if _, err := src.Append(t.Context(), box, mail.Message{Size: int64(len(body)), Flags: mail.FlagsOf(mail.Seen)}, bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
	f.exits(exitOK, "backup", "--from", "maildir:"+filepath.Join(f.dir, "alice"), "-u", "alice", "-q")
	home := f.env["HOME"]
	key, err := os.ReadFile(filepath.Join(home, ".config/roost/repository.key"))
	if err != nil {
		t.Fatal(err)
	}
	bucket := blob.NewLocal(filepath.Join(home, ".local/share/roost/repository"), blob.LocalOptions{})
	if f.repo, err = repo.Open(t.Context(), bucket, repo.NewPassword(strings.TrimSpace(string(key)))); err != nil {
		t.Fatal(err)
	}
	return f
}

// forge stores a snapshot that differs from the last one in the directory at path, which edit changes.
func (f *forger) forge(path string, edit func(*pen)) {
	f.Helper()
	last, err := f.repo.LatestSnapshot(f.Context(), repo.SnapshotFilter{})
	if err != nil {
		f.Fatal(err)
	}
	err = f.repo.Write(f.Context(), repo.WriteOptions{}, func(ctx context.Context, s *repo.Session) error {
		root := f.rebuild(s, *last.Tree, strings.Split(path, "/"), edit)
		forged := *last
		forged.Tree, forged.Time = &root, last.Time.AddDate(1, 0, 0)
		_, err := s.SaveSnapshot(ctx, forged)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
}

func (f *forger) rebuild(s *repo.Session, id repo.ID, path []string, edit func(*pen)) repo.ID {
	f.Helper()
	old, err := f.repo.LoadTree(f.Context(), id)
	if err != nil {
		f.Fatal(err)
	}
	t := &repo.Tree{Nodes: slices.Clone(old.Nodes)}
	if len(path) == 0 {
		edit(&pen{f, s, t})
	} else {
		n := t.Find(path[0])
		if n == nil {
			f.Fatalf("no %s in %v", path[0], t.Nodes)
		}
		below := f.rebuild(s, *n.Subtree, path[1:], edit)
		n.Subtree = &below
	}
	t.Sort()
	id, _, _, err = s.SaveTree(f.Context(), t)
	if err != nil {
		f.Fatal(err)
	}
	return id
}

// pen writes in one directory.
type pen struct {
	*forger
	session *repo.Session
	tree    *repo.Tree
}

// write gives a file other bytes.
func (p *pen) write(name string, text []byte) {
	p.Helper()
	n := p.tree.Find(name)
	if n == nil {
		p.Fatalf("no %s in %v", name, p.tree.Nodes)
	}
	n.Content, n.Size = nil, uint64(len(text))
	for piece := range slices.Chunk(text, repo.MaxBlob) {
		id, _, _, err := p.session.SaveBlob(p.Context(), repo.DataBlob, piece, repo.Text)
		if err != nil {
			p.Fatal(err)
		}
		n.Content = append(n.Content, id)
	}
}

// read is what stands in a file.
func (p *pen) read(name string) string {
	p.Helper()
	var text []byte
	for _, id := range p.tree.Find(name).Content {
		b, err := p.repo.LoadBlob(p.Context(), repo.DataBlob, id, nil)
		if err != nil {
			p.Fatal(err)
		}
		text = append(text, b...)
	}
	return string(text)
}

const (
	inboxShard = "alice/mail/INBOX/msg-0000000000/0000000000"
	inboxMeta  = "alice/meta/INBOX/msg-0000000000"
	second     = "0000000002.eml"
)

// Whoever has the key may put what he likes into a snapshot. What no run writes is refused with an error that says why, by each
// command that meets it; nobody's memory or files suffer, and no command crashes.
func TestCraftedSnapshotsAreRefused(t *testing.T) {
	boxes := func(change func(string) string) func(*pen) {
		return func(p *pen) { p.write("mailboxes.jsonl", []byte(change(p.read("mailboxes.jsonl")))) }
	}
	for _, c := range []struct {
		name, path string
		edit       func(*pen)
		code       int    // of a restore
		why        string // that the restore tells
	}{
		{"less than no messages", "alice", boxes(func(s string) string { return strings.Replace(s, `"messages":2`, `"messages":-2`, 1) }), exitFailed, "less than nothing"},
		{"more messages than memory", "alice", boxes(func(s string) string { return strings.Replace(s, `"messages":2`, `"messages":4611686018427387904`, 1) }), exitIncomplete, "out of balance"},
		{"a mailbox twice", "alice", boxes(func(s string) string { return s + s }), exitFailed, "stands twice"},
		{"a mailbox without name", "alice", boxes(func(s string) string { return strings.Replace(s, `"name":"INBOX"`, `"name":""`, 1) }), exitFailed, "without a name"},
		{"a line without end", "alice", boxes(func(s string) string { return `{"name":"` + strings.Repeat("a", 5<<20) + `"}` }), exitFailed, "too long"},
		{"lists in lists", "alice", func(p *pen) { p.write("account.json", bytes.Repeat([]byte("["), 1<<20)) }, exitFailed, "account.json"},
		{"another layout", "alice", func(p *pen) { p.write("account.json", []byte(`{"layout":99}`)) }, exitFailed, "use a newer roost"},
		{"a file longer than it says", "alice", func(p *pen) { p.tree.Find("mailboxes.jsonl").Size = 1 << 60 }, exitFailed, "too many"},
		{"a message that is longer", inboxShard, func(p *pen) { p.tree.Find(second).Size -= 100 }, exitIncomplete, "not the size"},
		{"a message that is shorter", inboxShard, func(p *pen) { p.tree.Find(second).Size += 100 }, exitIncomplete, "not the size"},
		{"a long message that is shorter", inboxShard, func(p *pen) { p.tree.Find(second).Size = 5 << 20 }, exitIncomplete, "not the size"},
		{"a message that is without end", inboxShard, func(p *pen) {
			p.write(second, make([]byte, 1<<20))
			n := p.tree.Find(second)
			n.Content, n.Size = slices.Repeat(n.Content, 1<<16), 1000
		}, exitIncomplete, "not the size"},
		{"a message of a size that is none", inboxShard, func(p *pen) { p.tree.Find(second).Size = 1<<64 - 1 }, exitIncomplete, ""},
		{"a message that is a directory", inboxShard, func(p *pen) {
			n := p.tree.Find(second)
			empty, _, _, err := p.session.SaveTree(p.Context(), &repo.Tree{})
			if err != nil {
				p.Fatal(err)
			}
			n.Type, n.Content, n.Subtree = repo.DirNode, nil, &empty
		}, exitIncomplete, ""},
		{"a message with a hostile name", inboxShard, func(p *pen) { p.tree.Find(second).Name = `..\..\evil.eml` }, exitIncomplete, "evil"},
		{"flags that are none", inboxMeta, func(p *pen) { p.write("0000000000.flags", []byte("1\t\\Seen\r\nA1 LOGOUT\n")) }, exitIncomplete, "flags"},
		{"flags of another place", inboxMeta, func(p *pen) { p.tree.Find("0000000000.flags").Name = "4294967295.flags" }, exitIncomplete, "wrong bucket"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newForger(t)
			f.forge(c.path, c.edit)
			dest := filepath.Join(f.dir, "x", "y", "restored")
			if err := os.MkdirAll(filepath.Dir(dest), 0o700); err != nil {
				t.Fatal(err)
			}
			defer nothingBeside(t, filepath.Join(f.dir, "x"), 2)
			f.exits(c.code, "restore", "latest:alice", "--to", "maildir:"+dest, "--in-place")
			if out := f.stdout.String() + f.stderr.String(); !strings.Contains(out, c.why) {
				t.Errorf("restore says\n%s\nwant %q", out, c.why)
			}
			if testing.Short() {
				return
			}
			for _, args := range [][]string{{"ls", "latest:alice"}, {"ls", "latest:alice", "INBOX"}, {"index", "latest:alice", "--deleted"}, {"stats", "latest:alice"},
				{"cat", "latest:alice", "INBOX", "2"}, {"ledger", "latest:alice"}, {"problems"}, {"snapshots"}, {"check", "--read-data"},
				{"erase", "alice", "--message-id", "<x@y>", "--dry-run"}, {"backup", "--from", "maildir:" + filepath.Join(f.dir, "alice"), "-u", "alice"}} {
				f.survives(args...)
			}
		})
	}
}

// survives runs a command that may fail, but not crash.
func (f *forger) survives(args ...string) {
	f.Helper()
	f.stdout.Reset()
	f.stderr.Reset()
	a := newApp(strings.NewReader(""), &f.stdout, &f.stderr, func(name string) string { return f.env[name] })
	if code := a.run(f.Context(), args); code != exitOK && f.stderr.Len() == 0 && f.stdout.Len() == 0 {
		f.Errorf("roost %s exits with %d and says nothing", strings.Join(args, " "), code)
	}
}

// nothingBeside fails if dir, or a directory below it to that depth, holds more than one thing.
func nothingBeside(t *testing.T, dir string, depth int) {
	t.Helper()
	for ; depth > 0; depth-- {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) > 1 {
			t.Errorf("%s holds %v, %v, want at most one entry", dir, entries, err)
			return
		}
		if len(entries) == 0 {
			return
		}
		dir = filepath.Join(dir, entries[0].Name())
	}
}

// Mailboxes of a forged snapshot may have any name: restored to files, nothing is written outside of the destination.
func TestForgedMailboxNamesStayInside(t *testing.T) {
	for _, name := range []string{"../../evil", "/etc/evil", "a/../../../evil", `..\..\evil`, ".", "..", "a//../b", "C:/evil", "evil\x00/../../x", "cur", "a/tmp/../../new"} {
		t.Run(strings.ReplaceAll(name, "/", "_"), func(t *testing.T) {
			t.Parallel()
			f := newForger(t)
			f.forge("alice", func(p *pen) {
				text, err := json.Marshal(name)
				if err != nil {
					t.Fatal(err)
				}
				p.write("mailboxes.jsonl", []byte(strings.Replace(p.read("mailboxes.jsonl"), `"name":"Work"`, `"name":`+string(text), 1)))
			})
			for _, kind := range []string{"maildir", "eml", "mbox"} {
				top := filepath.Join(f.dir, kind)
				dest := filepath.Join(top, "x", "y", "restored")
				if err := os.MkdirAll(filepath.Dir(dest), 0o700); err != nil {
					t.Fatal(err)
				}
				f.survives("restore", "latest:alice", "--to", kind+":"+dest, "--in-place")
				f.survives("restore", "latest:alice", "--to", kind+":"+dest, "--root", name)
				nothingBeside(t, top, 3)
			}
			if _, err := os.Stat("/etc/evil"); err == nil {
				t.Error("/etc/evil is there")
			}
		})
	}
}
