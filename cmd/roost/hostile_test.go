package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/backup"
	"roost/mail"
	"roost/repo"
	"roost/store/memory"
)

// hostileMail are messages that break what others believe of mail.
func hostileMail() map[string][]byte {
	var nested bytes.Buffer
	for i := range 10_000 {
		fmt.Fprintf(&nested, "Content-Type: multipart/mixed; boundary=\"b%d\"\r\n\r\n--b%d\r\n", i, i)
	}
	return map[string][]byte{
		"empty":                  {},
		"a line end":             []byte("\r\n"),
		"a lone LF":              []byte("\n"),
		"a lone CR":              []byte("\r"),
		"a NUL":                  {0},
		"no header":              []byte("\n\nOnly a text.\n"),
		"no blank line":          []byte("Subject: nothing follows\n"),
		"no final newline":       []byte("Subject: cut\n\nThe end is miss"),
		"no Message-ID":          []byte("From: bob@example.org\n\nText.\n"),
		"a header and no value":  []byte("Subject\n\nText.\n"),
		"mbox":                   []byte("From bob@example.org Mon Jan  1 00:00:00 2001\nSubject: x\n\n>From here\nFrom there\n"),
		"lone CRs":               []byte("Subject: a\rTo: b\r\rText\r.\r\r\n"),
		"CR CR LF":               []byte("Subject: a\r\r\n\r\r\nText\r\r\n"),
		"mixed line ends":        []byte("Subject: a\r\nTo: b\n\r\nText\n.\r\n"),
		"NULs":                   []byte("Subject: \x00a\x00\n\n\x00\x00\nText\x00\n"),
		"all octets":             allOctets(),
		"dots":                   []byte("Subject: dots\r\n\r\n.\r\n..\r\n.\r\n"),
		"8 bit":                  []byte("Subject: \xe4\xf6\xfc \xff\xfe\n\n\xc3\x28 \xa0\xa1\n"),
		"a BOM":                  []byte("\xef\xbb\xbfSubject: a\n\nText.\n"),
		"a header of 1 MB":       []byte("Subject: " + strings.Repeat("long ", 200_000) + "\n\nText.\n"),
		"100,000 header fields":  []byte(strings.Repeat("X-A: b\n", 100_000) + "\nText.\n"),
		"a line of 50 MB":        append([]byte("Subject: one line\n\n"), bytes.Repeat([]byte("0123456789abcdef"), 50<<16)...),
		"nested 10,000 deep":     nested.Bytes(),
		"100,000 empty parts":    []byte("Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n", 100_000)),
		"a boundary of nothing":  []byte("Content-Type: multipart/mixed; boundary=\"\"\n\n--\n--\n----\n"),
		"an endless base64":      []byte("Content-Type: application/zip\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat("QUJD", 500_000)),
		"an endless comment":     []byte("Date: " + strings.Repeat("(", 100_000) + "\n\nText.\n"),
		"a date before all mail": []byte("Date: Thu, 1 Jan 0001 00:00:00 +9999\n\nText.\n"),
	}
}

func allOctets() []byte {
	all := []byte("Subject: octets\n\n")
	for i := range 256 {
		all = append(all, byte(i))
	}
	return all
}

// hostileBoxes are directories that are no ordinary names of mailboxes, and yet hold mail.
func hostileBoxes() []string {
	return []string{".bad&name", ".&", ".&-", ".ctrl\x01\x1b[31m", ".8bit\xff\xfe", ".utf8 \u00e9\u202e", ".line\nend", ".a.", ".a..b", ".*", ".%", ".con", ".x\\y", ".&AC8-",
		"." + strings.Repeat("n", 200)}
}

// maxHeap is what roost may take, in octets, whatever the mail is like.
const maxHeap = 250 << 20

// Whatever stands in a Maildir comes out of restic and of a restore octet by octet, in bounded memory.
func TestHostileMail(t *testing.T) {
	long(t)
	d := newDesk(t, build(t), 1)
	d.env = append(d.env, "GODEBUG=gctrace=1")
	w := newEmptyTree(t, filepath.Join(d.dir, "mail"), 1)
	hostile := hostileMail()
	for _, name := range slices.Sorted(maps.Keys(hostile)) {
		w.put(t, mail.Inbox, hostile[name], w.rng.IntN(len(treeFlags)), time.Unix(1_200_000_000, 0))
	}
	backup := []string{"backup", "--from", "maildir:" + w.dir, "-u", "alice@example.com"}
	d.run(t, backup...)
	d.newestHolds(t, w)
	if out := d.run(t, backup...); !strings.Contains(out, "nothing changed") {
		t.Errorf("an unchanged Maildir is backed up again: %s", out)
	}
	d.checkByRestic(t, "--read-data")
	out := filepath.Join(d.dir, "by restic")
	d.restic.Run(t, "restore", "latest", "--target", out)
	d.compareFiles(t, w, out)

	restored := filepath.Join(d.dir, "restored")
	restore := []string{"restore", "latest", "--in-place", "--to", "maildir:" + restored}
	d.run(t, restore...)
	d.maildirHolds(t, restored, w)
	d.run(t, restore...)
	d.maildirHolds(t, restored, w)
	d.run(t, "index", "latest") // which reads the headers
	d.run(t, "check", "--read-data")
	if t.Logf("the heap had %d MB", d.heap>>20); d.heap == 0 || d.heap > maxHeap {
		t.Errorf("the heap had %d MB, want 1 to %d MB", d.heap>>20, maxHeap>>20)
	}
}

// A directory may have any name that the file system lets stand: its mail is saved and restored.
func TestHostileDirectories(t *testing.T) {
	long(t)
	d := newDesk(t, build(t), 1)
	source, restored := filepath.Join(d.dir, "mail"), filepath.Join(d.dir, "restored")
	var want, got []string // prints
	for i, box := range append(hostileBoxes(), ".") {
		for _, sub := range []string{"cur", "new", "tmp"} {
			if err := os.MkdirAll(filepath.Join(source, box, sub), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		body := fmt.Appendf(nil, "Subject: in %q\n\nText.\n", box)
		if err := os.WriteFile(filepath.Join(source, box, "cur", fmt.Sprintf("%d.M1P1.host:2,S", i)), body, 0o600); err != nil {
			t.Fatal(err)
		}
		want = append(want, printOf(body))
	}
	d.run(t, "backup", "--from", "maildir:"+source, "-u", "alice@example.com")
	d.run(t, "restore", "latest", "--in-place", "--to", "maildir:"+restored)
	d.run(t, "ls", "latest")
	letters, _ := maildirLetters(t, restored)
	for l, n := range letters {
		got = append(got, slices.Repeat([]string{l.Print}, n)...)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("prints (-written +restored):\n%s", diff)
	}
	before, _ := maildirLetters(t, source)
	if diff := cmp.Diff(before, letters); diff != "" {
		t.Errorf("-source +restored:\n%s", diff)
	}
	d.checkByRestic(t, "--read-data")
}

// A server may call a mailbox what it likes: nothing is written outside of the destination, and the names stay apart.
func TestHostileNames(t *testing.T) {
	long(t)
	d := newDesk(t, build(t), 1)
	source := memory.New(memory.Options{ID: "hostile"})
	want := map[string]bool{} // bodies
	for _, parts := range [][]string{
		{".."}, {"..", "..", "outside"}, {"."}, {"a", "..", "..", "..", "outside"}, {"/"}, {"/etc/passwd"}, {"a/b"}, {"a", "b"}, {"a.b"}, {"cur"}, {"new"}, {"tmp", "cur"},
		{"INBOX", "cur"}, {"\x00"}, {"a\x00b"}, {"\r\n"}, {"\x1b[31mred"}, {"\xff\xfe"}, {"caf\u00e9"}, {"cafe\u0301"}, {"%2F"}, {"%"}, {" "}, {"a "}, {"~"}, {"-rf"}, {"NUL"},
		{strings.Repeat("n", 250)}, {"latest"}, {"account.json"}, {"msg-0000000000"}, {"&"}, {"&AOk-"}, {"\u202e"},
	} {
		name := mail.NameOf(parts...)
		if err := source.Create(t.Context(), name); err != nil && !errors.Is(err, mail.ErrExist) {
			t.Fatalf("%q: %v", name, err)
		}
		body := fmt.Sprintf("Subject: in %q\r\n\r\nText.\r\n", name)
		if _, err := source.Append(t.Context(), name, mail.Message{Size: int64(len(body))}, strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		want[printOf([]byte(body))] = true
	}
	err := d.repo.Write(t.Context(), repo.WriteOptions{}, func(ctx context.Context, s *repo.Session) error {
		_, err := backup.Run(ctx, source, d.repo, s, backup.Options{Account: "../../alice"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, layout := range []string{"", ":LAYOUT=fs", ":UTF-8"} {
		deep := filepath.Join(d.dir, "into"+strings.Trim(strings.ReplaceAll(layout, "=", " "), ":"), "a", "b", "c", "d")
		args := []string{"restore", "latest", "--in-place", "--to", "maildir:" + filepath.Join(deep, "mail") + layout}
		if err := os.MkdirAll(deep, 0o700); err != nil {
			t.Fatal(err)
		}
		d.run(t, args...)
		d.run(t, args...)
		got := map[string]bool{}
		err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || !strings.Contains(filepath.ToSlash(path), "/cur/") || !strings.HasPrefix(path, deep) {
				return err
			}
			body, err := os.ReadFile(path)
			if print := printOf(body); want[print] {
				if got[print] {
					t.Errorf("%s: a second file of %.60q", layout, body)
				}
				got[print] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-written +restored):\n%s", layout, diff)
		}
		d.nothingBeside(t, deep)
	}
	d.checkByRestic(t, "--read-data")
	out := filepath.Join(d.dir, "x", "y", "by restic")
	d.restic.Run(t, "restore", "latest", "--target", out)
	d.nothingBeside(t, filepath.Dir(out))
}

// nothingBeside fails if a directory, or one above it below the desk, holds anything but what leads to one thing in it.
func (d *desk) nothingBeside(t *testing.T, dir string) {
	t.Helper()
	for ; dir != d.dir; dir = filepath.Dir(dir) {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("%s holds %v, %v, want one entry", dir, entries, err)
		}
	}
}
