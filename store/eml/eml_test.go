package eml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/store/storetest"
	"roost/store/tree"
)

// The store keeps every sentence of the contract.
func TestStore(t *testing.T) {
	open := func(t *testing.T, dir string) *Store {
		s, err := Open(t.Context(), dir, Options{Make: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		s.now = later
		return s
	}
	storetest.Run(t, func(t *testing.T) mail.Store { return open(t, t.TempDir()) }, storetest.Options{
		Settle: func(t *testing.T, _ mail.Store) { storetest.Tick(t) },
		Reopen: func(t *testing.T, s mail.Store) mail.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, s.(*Store).path)
		},
	})
}

// later is a clock by which every file is old enough for a token.
func later() time.Time { return time.Now().Add(time.Hour) }

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// contents lists the bodies of a mailbox by key.
func contents(t *testing.T, s *Store, name mail.Name) map[mail.Key]string {
	t.Helper()
	ch, err := s.Changes(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	var keys []mail.Key
	for _, m := range ch.Messages {
		keys = append(keys, m.Key)
	}
	all := make(map[mail.Key]string)
	for f, err := range s.Fetch(t.Context(), name, keys, mail.Whole) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(f.Body)
		if err != nil {
			t.Fatal(err)
		}
		all[f.Key] = string(body)
	}
	return all
}

// A tree that somebody else made is read as it is, and reading changes nothing in it.
func TestForeignTree(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "root.eml", "in the root")
	put(t, dir, "notes.txt", "no mail")
	put(t, dir, "Odd:Name/a b.EML", "one")
	put(t, dir, "Odd:Name/.hidden.eml", "no mail")
	put(t, dir, ".git/x.eml", "no mail")
	put(t, dir, "up/down/0000000007.eml", "seven")
	if err := os.Symlink("notes.txt", filepath.Join(dir, "up/down/link.eml")); err != nil {
		t.Fatal(err)
	}
	s := open(t, dir)
	boxes, err := s.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range boxes {
		names = append(names, fmt.Sprint(m.Name, " ", m.NoSelect))
	}
	if diff := cmp.Diff([]string{"INBOX false", "Odd:Name false", "up true", "up/down false"}, names); diff != "" {
		t.Errorf("mailboxes (-want +got):\n%s", diff)
	}
	for name, want := range map[mail.Name]map[mail.Key]string{
		"INBOX": {"root.eml": "in the root"}, "Odd:Name": {"a b.EML": "one"}, "up/down": {"0000000007.eml": "seven"},
	} {
		if diff := cmp.Diff(want, contents(t, s, name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	ch, err := s.Changes(t.Context(), "up/down", "")
	if err != nil || len(ch.Failed) != 1 || ch.Failed[0].Key != "link.eml" {
		t.Errorf("a symbolic link is not reported as failed: %+v, %v", ch.Failed, err)
	}
	if _, err := os.Stat(filepath.Join(dir, lockFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading made a lock file")
	}

	// The first write gives all of them UIDs; their old keys still lead to them.
	if err := s.SetFlags(t.Context(), "Odd:Name", []mail.Key{"a b.EML"}, mail.Seen, ""); err != nil {
		t.Fatal(err)
	}
	if ch, err = s.Changes(t.Context(), "Odd:Name", ""); err != nil || ch.UIDValidity == 0 || ch.Messages[0].Key != "1" || ch.Messages[0].Flags != mail.Seen {
		t.Errorf("after SetFlags: %+v, %v", ch, err)
	}
	put(t, dir, "Odd:Name/new.eml", "two") // and one more comes
	if diff := cmp.Diff(map[mail.Key]string{"1": "one", "new.eml": "two"}, contents(t, s, "Odd:Name")); diff != "" {
		t.Errorf("with a new file (-want +got):\n%s", diff)
	}
}

// Two directories of one name are an error of that mailbox, never silence.
func TestAmbiguousName(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "root.eml", "x")
	put(t, dir, "INBOX/1.eml", "y")
	boxes, err := open(t, dir).Mailboxes(t.Context())
	if err != nil || len(boxes) != 1 || boxes[0].Err == nil {
		t.Errorf("Mailboxes() = %+v, %v, want one with an error", boxes, err)
	}
}

// A sidecar that a crash or somebody else damaged costs at most what the damaged lines said.
func TestDamagedSidecar(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Create(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"one", "two"} {
		if _, err := s.Append(t.Context(), "box", mail.Message{Flags: mail.Seen}, strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "box", sidecarFile)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := os.WriteFile(file, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		got := contents(t, open(t, dir), "box")
		if len(got) != 2 {
			t.Fatalf("with %d octets of the sidecar, %q are listed", n, got)
		}
		again := open(t, dir)
		if _, err := again.Append(t.Context(), "box", mail.Message{}, strings.NewReader("three")); err != nil {
			t.Fatalf("with %d octets of the sidecar: %v", n, err)
		}
		ch, err := again.Changes(t.Context(), "box", "")
		if err != nil || len(ch.Messages) != 3 || ch.UIDValidity == 0 {
			t.Fatalf("with %d octets of the sidecar, after Append: %+v, %v", n, ch, err)
		}
		if err := again.Expunge(t.Context(), "box", []mail.Key{ch.Messages[2].Key}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, []byte("#roost-eml 2\tx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Changes(t.Context(), "box", ""); err == nil {
		t.Error("a sidecar of a later version was read")
	}
}

// A file that was edited loses its GUID, and nothing else.
func TestEditedFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if err := s.Create(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), "box", mail.Message{Flags: "Work"}, strings.NewReader("one")); err != nil {
		t.Fatal(err)
	}
	before, _ := s.Changes(t.Context(), "box", "")
	put(t, dir, "box/0000000001.eml", "two!")
	after, err := s.Changes(t.Context(), "box", "")
	if err != nil || before.Messages[0].GUID == "" || after.Messages[0].GUID != "" || after.Messages[0].Flags != "Work" || after.Messages[0].Size != 4 {
		t.Errorf("before %+v, after %+v, %v", before.Messages, after.Messages, err)
	}
}

// Many flag changes do not let the sidecar grow without bound.
func TestSidecarStaysSmall(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	side := sidecar{Header: tree.Header{Validity: 1, Next: 2, ID: "x"}, entries: map[string]entry{"0000000001.eml": {uid: 1}}}
	put(t, dir, "box/0000000001.eml", "one")
	if err := s.rewrite("box", &side); err != nil {
		t.Fatal(err)
	}
	grown := strings.Repeat(side.entries["0000000001.eml"].line("0000000001.eml"), 2*slack)
	put(t, dir, "box/"+sidecarFile, sidecarMagic+side.Line()+grown)
	if err := s.SetFlags(t.Context(), "box", []mail.Key{"1"}, mail.Seen, ""); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "box", sidecarFile)); err != nil || info.Size() > 200 {
		t.Errorf("the sidecar has %d octets, %v", info.Size(), err)
	}
	if ch, err := s.Changes(t.Context(), "box", ""); err != nil || ch.Messages[0].Flags != mail.Seen {
		t.Errorf("Changes() = %+v, %v", ch, err)
	}
}

func TestSamples(t *testing.T) {
	samples := os.Getenv("ROOST_SAMPLES")
	if samples == "" {
		t.Skip("ROOST_SAMPLES is not set")
	}
	s := open(t, t.TempDir())
	if err := s.Create(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	n := 0
	err := filepath.WalkDir(samples, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if n++; n%10 != 0 {
			return nil
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		key, err := s.Append(t.Context(), "box", mail.Message{}, bytes.NewReader(raw))
		if err != nil {
			return err
		}
		for f, err := range s.Fetch(t.Context(), "box", []mail.Key{key}, mail.Whole) {
			if err != nil {
				return err
			}
			if got, err := io.ReadAll(f.Body); err != nil || !bytes.Equal(got, raw) {
				t.Errorf("%s came back otherwise, %v", path, err)
			}
		}
		return nil
	})
	if err != nil || n == 0 {
		t.Errorf("%d samples, %v", n, err)
	}
}

func FuzzSidecar(f *testing.F) {
	f.Add([]byte("#roost-eml 1\t5\t7\tid\n0000000001.eml\t1\t3\t2011-12-13T14:15:16Z\tg\to\t\\Seen a%25b\na.eml\t-\ntorn"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		side, err := parseSidecar(bytes.NewReader(raw))
		if err != nil {
			return
		}
		text := sidecarMagic + side.Line()
		for file, e := range side.entries {
			text += e.line(file)
		}
		again, err := parseSidecar(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(side.entries, again.entries, cmp.AllowUnexported(entry{})); diff != "" {
			t.Errorf("read, written and read again (-first +again):\n%s", diff)
		}
	})
}

func text(s string) io.Reader { return strings.NewReader(s) }
