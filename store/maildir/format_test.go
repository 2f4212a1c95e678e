package maildir

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"roost/mail"
)

// A file name says base, flags and sizes, whoever wrote it.
func TestFileName(t *testing.T) {
	k := &keywords{0: "Work", 2: "Play"}
	for _, c := range []struct {
		name, base string
		flags      mail.Flags
		size       int64 // -1: not said
	}{
		{"1.M2P3.host,S=12,W=13:2,FS", "1.M2P3.host,S=12,W=13", mail.FlagsOf(mail.Flagged, mail.Seen), 12},
		{"1.M2P3.host:2,DFPRSTac", "1.M2P3.host", mail.FlagsOf(mail.Draft, mail.Flagged, "$Forwarded", mail.Answered, mail.Seen, mail.Deleted, "Work", "Play"), -1},
		{"1.M2P3.host:2,Sb", "1.M2P3.host", mail.Seen, -1},
		{"1.M2P3.host", "1.M2P3.host", "", -1},
		{"1.M2P3.host:2,", "1.M2P3.host", "", -1},
		{"1.M2P3.host:2,S,more", "1.M2P3.host", mail.Seen, -1},
		{"1.M2P3.host:1,S", "1.M2P3.host", "", -1},
		{"1.2_3.host,U=7;2,S", "1.2_3.host,U=7", mail.Seen, -1},
		{"1.2_3.host!2,S", "1.2_3.host", mail.Seen, -1},
		{"odd name, S=5:2,S", "odd name, S=5", mail.Seen, -1},
		{"1,S=x:2,S", "1,S=x", mail.Seen, -1},
		{"1,S=99999999999999999999", "1,S=99999999999999999999", "", -1},
	} {
		base := c.name[:baseLen(c.name)]
		_, letters, _ := splitInfo(c.name)
		size, ok := field(base, 'S')
		if !ok {
			size = -1
		}
		if base != c.base || flagsOf(letters, k) != c.flags || size != c.size {
			t.Errorf("%q is base %q, flags %q, size %d; want %q, %q, %d", c.name, base, flagsOf(letters, k), size, c.base, c.flags, c.size)
		}
	}
}

// Letters that we do not know stay; a flag is removed by all its letters.
func TestChangeLetters(t *testing.T) {
	k := &keywords{0: "Work", 3: "$Forwarded"}
	for _, c := range []struct {
		letters       string
		add, remove   mail.Flags
		want          string
		lost          mail.Flags
		keywordLetter *keywords
	}{
		{"", mail.FlagsOf(mail.Seen, mail.Answered, "work"), "", "RSa", "", k},
		{"FSXz", mail.Draft, mail.Seen, "DFXz", "", k},
		{"PSd", "", "$Forwarded", "S", "", k},
		{"S", "$Forwarded", "", "Sd", "", k},
		{"S", "$Forwarded", "", "PS", "", nil},
		{"S", mail.FlagsOf("Other", `\Odd`), "", "S", mail.FlagsOf("Other", `\Odd`), k},
		{"S", mail.Seen, mail.Seen, "S", "", k},
	} {
		got, lost := changeLetters(c.letters, c.add, c.remove, c.keywordLetter)
		if got != c.want || lost != c.lost {
			t.Errorf("changeLetters(%q, add %q, remove %q) = %q, lost %q; want %q, %q", c.letters, c.add, c.remove, got, lost, c.want, c.lost)
		}
	}
}

// Keywords beyond the 26th, and those that IMAP cannot say, get no letter.
func TestLearn(t *testing.T) {
	var k keywords
	if k.learn(mail.FlagsOf("a(b", `c"d`, "ümlaut", "100%")) {
		t.Errorf("learn gave letters to keywords that are no atoms: %q", k)
	}
	for i := range 30 {
		k.learn(mail.FlagsOf(fmt.Sprintf("k%02d", i)))
	}
	if k.letter("k00") != 'a' || k.letter("K25") != 'z' || k.letter("k26") != 0 {
		t.Errorf("letters of k00, K25, k26 are %q, %q, %q; want a, z, none", k.letter("k00"), k.letter("K25"), k.letter("k26"))
	}
}

const sampleList = "3 V1323785716 N42 G8a5e3c2fb05e1c4f0e7300008b5f6c2d Xextra\n" +
	"1 :1323785716.M20046P12Q3.host,S=1204,W=1230\n" +
	"7 Gold.guid W1230 :1323785799.M1P12Q4.host,S=1204\n" +
	"7 :again\n" +
	"bad\n" +
	"9 S5  W6 :name with: colon\n" +
	"10 :a/b\n" +
	"50 :last\n" +
	"51 :torn"

// A uidlist is read as Dovecot reads it; lines that make no sense cost only themselves.
func TestUIDList(t *testing.T) {
	var got []string
	n, err := parseUIDList(strings.NewReader(sampleList), func(r record) {
		got = append(got, fmt.Sprintf("%d %s %q", r.uid, r.name, r.guid()))
	})
	if err != nil {
		t.Fatalf("parseUIDList = %v, want nil", err)
	}
	want := []string{
		`1 1323785716.M20046P12Q3.host,S=1204,W=1230 ""`,
		`7 1323785799.M1P12Q4.host,S=1204 "old.guid"`,
		`9 name with ""`,
		`50 last ""`,
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("records differ (-want +got):\n%s", diff)
	}
	if n.uidValidity != 1323785716 || n.next() != 51 || n.guid != "8a5e3c2fb05e1c4f0e7300008b5f6c2d" || n.extra != " Xextra" {
		t.Errorf("header is %+v, UIDNEXT %d", n, n.next())
	}
	for _, bad := range []string{"", "\n", "2 V1 N1\n", "3 V0 N1\n", "3 V1\n", "3 N1\n", "1 x y\n", "3 V1 N99999999999\n", "torn"} {
		if _, err := parseUIDList(strings.NewReader(bad), func(record) {}); !errors.Is(err, errUIDList) {
			t.Errorf("parseUIDList(%q) = %v, want %v", bad, err, errUIDList)
		}
	}
}

// The end of a list is found without reading it all, also behind long or broken lines.
func TestNumbersOf(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	var long bytes.Buffer
	long.WriteString("3 V5 N2 Gx\n")
	for i := range 1000 {
		fmt.Fprintf(&long, "%d :%d%s\n", i+1, i, strings.Repeat("n", 100))
	}
	for _, c := range []struct {
		text string
		next uint32
		torn bool
	}{
		{sampleList, 52, true},
		{long.String(), 1001, false},
		{long.String() + strings.Repeat("garbage\n", 10_000), 1001, false},
		{"3 V5 N7 Gx\n", 7, false},
		{"1 5 7\n3 name\n", 7, false},
	} {
		if err := os.WriteFile(filepath.Join(dir, uidlistFile), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		n, err := s.numbersOf(".")
		if err != nil || n.next() != c.next || n.torn != c.torn {
			t.Errorf("numbersOf(%.40q...) = UIDNEXT %d, torn %v, %v; want %d, %v", c.text, n.next(), n.torn, err, c.next, c.torn)
		}
	}
}

// Each name has one directory inside the root, and that directory has that name.
func TestNames(t *testing.T) {
	for _, o := range []Options{{}, {UTF8: true}, {FS: true}, {FS: true, UTF8: true}} {
		dirs := make(map[string]mail.Name)
		for _, components := range [][]string{
			{"INBOX"}, {"INBOX", "a"}, {"a", "b"}, {"a.b"}, {"a/b"}, {"a%2Fb"}, {"a%b"}, {".."}, {"."}, {"..", "..", "etc"}, {""}, {"", ""}, {"a", ""},
			{"%-"}, {"%"}, {"Entwürfe"}, {"R&D"}, {"&AOQ-"}, {"a\x00b"}, {"a\xffb"}, {"cur"}, {"new", "tmp"}, {".hidden"}, {"dovecot-uidlist"}, {"🐓"}, {"~"}, {" "},
			{"x", "INBOX"}, {"/"}, {"\\"}, {"maildirfolder"},
		} {
			name := mail.NameOf(components...)
			if name == "" {
				continue
			}
			dir := o.dirOf(name)
			if old, taken := dirs[dir]; taken {
				t.Errorf("%+v: %q and %q have the same directory %q", o, old, name, dir)
			}
			dirs[dir] = name
			if got, ok := o.nameOf(dir); !ok || got != name {
				t.Errorf("%+v: %q is in %q, where %q is; regular is %v", o, name, dir, got, ok)
			}
			if !filepath.IsLocal(dir) || dir != filepath.Clean(dir) || !o.FS && dir != "." && (strings.Contains(dir, "/") || dir == "..") {
				t.Errorf("%+v: %q has the directory %q", o, name, dir)
			}
		}
	}
}

// A Maildir of other programs is read whole, and reading writes nothing.
func TestForeign(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("cur/1.courier:2,S", "one")
	write("new/2.courier", "two")
	write("new/1.courier", "another one") // two files with one base name
	write("cur/.hidden", "no mail")
	write("cur/dir/x", "no mail")
	write(courierFile, "1 77 5\n1 1.courier\n")
	write(courierSubscribed, "INBOX\nINBOX.Sent\n")
	write(".Sent/cur/1.mbsync,U=9:2,F", "three")
	write(".Sent/"+mbsyncFile, "88\n12\n")
	write(".B\xfcro/cur/1:2,", "not UTF-7")
	write(".B&APw-ro/cur/1:2,", "UTF-7")
	write(".Caf\u00e9/new/1", "UTF-8")
	write("..DOVECOT-TRASHED/cur/1", "gone")
	write(".notmuch/x", "no mailbox")
	write("maildirsize", "")
	before := treeText(t, dir)

	s := openStore(t, dir, Options{})
	got := make(map[string][]string)
	list, err := s.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		ch, err := s.Changes(t.Context(), m.Name, "")
		if err != nil {
			t.Fatal(err)
		}
		var keys []mail.Key
		for _, msg := range ch.Messages {
			keys = append(keys, msg.Key)
			got[string(m.Name)] = append(got[string(m.Name)], fmt.Sprintf("%s %d %s", msg.Key, msg.UID, msg.Flags))
		}
		fetched := 0
		for _, err := range s.Fetch(t.Context(), m.Name, keys, mail.Whole) {
			if err != nil {
				t.Errorf("Fetch(%q) = %v", m.Name, err)
			}
			fetched++
		}
		if fetched != len(keys) {
			t.Errorf("Fetch(%q) answered %d of %d", m.Name, fetched, len(keys))
		}
		if m.Subscribed != (m.Name == "INBOX" || m.Name == "Sent") {
			t.Errorf("%q is subscribed: %v", m.Name, m.Subscribed)
		}
	}
	want := map[string][]string{
		"INBOX":     {`1.courier 1 \Seen`, "2.courier 0 ", "new/1.courier 0 "},
		"Sent":      {`1.mbsync,U=9 9 \Flagged`},
		"B%FCro":    {"1 0 "},
		"Büro":      {"1 0 "},
		"Caf\u00e9": {"1 0 "},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("mailboxes differ (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(before, treeText(t, dir)); diff != "" {
		t.Errorf("reading changed the tree (-before +after):\n%s", diff)
	}
}

// tree is the names and mtimes of everything below dir.
func treeText(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil {
			all = append(all, fmt.Sprintf("%s %d %s", path, info.Size(), info.ModTime()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A lock of a process that is gone, or that is old, is taken over; one that is
// held is waited for.
func TestDotlock(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	if err := s.Create(t.Context(), mail.Inbox); err != nil {
		t.Fatal(err)
	}
	lock := filepath.Join(dir, uidlistFile+".lock")
	for what, c := range map[string]struct {
		text string
		age  time.Duration
	}{
		"a process that is gone": {fmt.Sprintf("%d:%s", 1<<30, s.host), 10 * time.Second},
		"another host, long ago": {"1:elsewhere", time.Hour},
		"nobody, long ago":       {"", time.Hour},
	} {
		if err := os.WriteFile(lock, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-c.age)
		if err := os.Chtimes(lock, then, then); err != nil {
			t.Fatal(err)
		}
		release, err := s.lock(t.Context(), ".")
		if err != nil {
			t.Errorf("lock over one of %s = %v, want nil", what, err)
			continue
		}
		text, err := os.ReadFile(lock)
		if want := fmt.Sprintf("%d:%s", os.Getpid(), s.host); err != nil || string(text) != want {
			t.Errorf("the lock holds %q, %v; want %q", text, err, want)
		}
		release()
		if _, err := os.Stat(lock); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the lock is there after release: %v", err)
		}
	}
	var w watch
	for what, text := range map[string]string{
		"this host":    fmt.Sprintf("%d:%s", os.Getppid(), s.host),
		"another host": "1:elsewhere",
	} {
		if err := os.WriteFile(lock, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if s.isStale(filepath.Base(lock), uidlistFile, &w, lockStale) {
			t.Errorf("a young lock of a process on %s is taken for stale", what)
		}
	}
}

// A uidlist of version 1 becomes one of version 3 when a record is added.
func TestUpgradeUIDList(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir, Options{})
	if err := s.Create(t.Context(), mail.Inbox); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, uidlistFile), []byte("1 77 5\n3 old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	raw := []byte("Subject: x\n\nx\n")
	if _, err := s.Append(t.Context(), mail.Inbox, mail.Message{Size: -1}, bytes.NewReader(raw)); err != nil {
		t.Fatalf("Append = %v, want nil", err)
	}
	var uids []uint32
	n, err := s.readUIDList(".", func(r record) { uids = append(uids, r.uid) })
	if err != nil || n.version != 3 || n.uidValidity != 77 || !slices.Equal(uids, []uint32{3, 5}) {
		t.Errorf("the list is %+v with UIDs %d, %v; want version 3, UIDVALIDITY 77, UIDs 3, 5", n, uids, err)
	}
}

// A base name is an identity only if it was made to be one.
func TestUniqueNames(t *testing.T) {
	for base, want := range map[string]bool{
		"1323785716.M20046P12Q3.host,S=1204,W=1230": true,  // Dovecot
		"1323785716.12345_0.mail.example.com":       true,  // mbsync
		"1323785716_0.1234.host,U=3":                true,  // offlineimap
		"1323785716.R1234.host":                     true,  // mutt
		"999999999.123.host":                        true,  // qmail, 2001
		"1":                                         false, // by hand
		"mail.txt":                                  false,
		"20260101.report.eml":                       false, // a date
		"1323785716":                                false,
		"1323785716.eml":                            false,
		"1323785716..host":                          false,
		"1323785716.M20046P12Q3.":                   false,
		"":                                          false,
	} {
		if got := isUnique(base); got != want {
			t.Errorf("isUnique(%q) = %v, want %v", base, got, want)
		}
	}
}
