package main

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/mail"
)

// letter is all that must survive of a message. Two messages that are alike in all of it are one letter, twice.
type letter struct {
	Mailbox mail.Name
	Print   string // of its bytes
	Size    int64  // octets
	Flags   mail.Flags
	Date    int64 // INTERNALDATE in seconds since 1970
}

func printOf(body []byte) string { return fmt.Sprintf("%x", sha256.Sum256(body))[:24] }

// lettersOf reads all that a source holds, and how often.
func lettersOf(t *testing.T, src mail.Source) (letters map[letter]int, mailboxes []mail.Name) {
	t.Helper()
	boxes, err := src.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	letters = map[letter]int{}
	for _, box := range boxes {
		if box.Err != nil {
			t.Fatalf("mailbox %q: %v", box.Name, box.Err)
		}
		mailboxes = append(mailboxes, box.Name)
		if !box.NoSelect {
			lettersOfBox(t, src, box.Name, letters)
		}
	}
	slices.Sort(mailboxes)
	return letters, mailboxes
}

func lettersOfBox(t *testing.T, src mail.Source, name mail.Name, letters map[letter]int) {
	t.Helper()
	changes, err := src.Changes(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range changes.Failed {
		t.Fatal(err)
	}
	var keys []mail.Key
	by := make(map[mail.Key]*mail.Message)
	for i := range changes.Messages {
		m := &changes.Messages[i]
		keys = append(keys, m.Key)
		by[m.Key] = m
	}
	for f, err := range src.Fetch(t.Context(), name, keys, mail.Whole) {
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.New()
		size, err := io.Copy(hash, f.Body)
		if err != nil {
			t.Fatalf("read message %s of %q: %v", f.Key, name, err)
		}
		m := by[f.Key]
		letters[letter{name, fmt.Sprintf("%x", hash.Sum(nil))[:24], size, m.Flags, m.InternalDate.Unix()}]++
		delete(by, f.Key)
	}
	if len(by) > 0 {
		t.Fatalf("%d messages of %q were not answered for", len(by), name)
	}
}

// tree is a Maildir++ that the test writes itself, file by file as any delivery agent does, and knows by heart.
type tree struct {
	dir   string
	rng   *rand.Rand
	n     int // names given
	files []written
	boxes map[mail.Name]string // and their directories below dir
}

// written is one file of a tree.
type written struct {
	letter
	body   []byte
	subdir string // "cur" or "new"
	name   string
}

// treeFlags are the letters in the names of files, and what they mean with treeKeywords.
var treeFlags = []struct {
	letters string
	flags   mail.Flags
}{
	{"", mail.FlagsOf()},
	{"S", mail.FlagsOf(mail.Seen)},
	{"RS", mail.FlagsOf(mail.Answered, mail.Seen)},
	{"FS", mail.FlagsOf(mail.Flagged, mail.Seen)},
	{"D", mail.FlagsOf(mail.Draft)},
	{"PST", mail.FlagsOf("$Forwarded", mail.Seen, mail.Deleted)},
	{"Sa", mail.FlagsOf(mail.Seen, "Work")},
	{"ab", mail.FlagsOf("Work", "$Label1")},
}

const treeKeywords = "0 Work\n1 $Label1\n"

func newTree(t *testing.T, dir string, rng *rand.Rand) *tree {
	t.Helper()
	w := &tree{dir: dir, rng: rng, boxes: map[mail.Name]string{}}
	for name, sub := range map[mail.Name]string{
		"INBOX": ".", "Archive": ".Archive", "Archive/2026": ".Archive.2026", "Entwürfe": ".Entw&APw-rfe", "Lists": ".Lists", "Lists/go": ".Lists.go",
	} {
		w.create(t, name, sub)
	}
	return w
}

func (w *tree) create(t *testing.T, name mail.Name, dir string) {
	t.Helper()
	var errs []error
	for _, sub := range []string{"cur", "new", "tmp"} {
		errs = append(errs, os.MkdirAll(filepath.Join(w.dir, dir, sub), 0o700))
	}
	errs = append(errs, os.WriteFile(filepath.Join(w.dir, dir, "dovecot-keywords"), []byte(treeKeywords), 0o600))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	w.boxes[name] = dir
}

// names are the mailboxes in order.
func (w *tree) names() []mail.Name { return slices.Sorted(maps.Keys(w.boxes)) }

// letters is what the tree holds.
func (w *tree) letters() map[letter]int {
	all := map[letter]int{}
	for i := range w.files {
		all[w.files[i].letter]++
	}
	return all
}

func (w *tree) path(f *written) string {
	return filepath.Join(w.dir, w.boxes[f.Mailbox], f.subdir, f.name)
}

// put delivers a message: to new without flags, or to cur with those of a row of treeFlags.
func (w *tree) put(t *testing.T, name mail.Name, body []byte, flags int, date time.Time) {
	t.Helper()
	w.n++
	f := written{letter{name, printOf(body), int64(len(body)), treeFlags[flags].flags, date.Unix()}, body, "cur", w.base() + ":2," + treeFlags[flags].letters}
	if flags == 0 && w.rng.IntN(2) == 0 {
		f.subdir, f.name = "new", w.base()
	}
	temp := filepath.Join(w.dir, w.boxes[name], "tmp", w.base())
	err := os.WriteFile(temp, body, 0o600)
	if err == nil {
		err = os.Chtimes(temp, date, date)
	}
	if err == nil {
		err = os.Rename(temp, w.path(&f))
	}
	if err != nil {
		t.Fatal(err)
	}
	w.files = append(w.files, f)
}

// base is the present base name.
func (w *tree) base() string { return fmt.Sprintf("%d.M%dP1.host", 1_700_000_000+w.n, w.n) }

// deliver puts count messages that are made up into mailboxes.
func (w *tree) deliver(t *testing.T, count int) {
	t.Helper()
	names := w.names()
	for range count {
		name := names[w.rng.IntN(len(names))]
		if len(w.files) > 0 && w.rng.IntN(12) == 0 { // the very same again, perhaps with other flags
			twin := w.files[w.rng.IntN(len(w.files))]
			w.put(t, twin.Mailbox, twin.body, w.rng.IntN(len(treeFlags)), time.Unix(twin.Date, 0))
			continue
		}
		w.put(t, name, w.message(), w.rng.IntN(len(treeFlags)), time.Unix(1_600_000_000+w.rng.Int64N(1e8), 0))
	}
}

// message makes up a message, some with an attachment that several have.
func (w *tree) message() []byte {
	var b strings.Builder
	id := w.rng.Uint64()
	fmt.Fprintf(&b, "From: Bob <bob@example.org>\nTo: alice@example.com\nSubject: note %x\nMessage-ID: <%x@example.org>\n", id, id)
	if w.rng.IntN(8) > 0 {
		fmt.Fprintf(&b, "\n%s", strings.Repeat(fmt.Sprintf("The line of %x.\n", id), w.rng.IntN(100)))
		return []byte(b.String())
	}
	attachment := make([]byte, 10_000+w.rng.IntN(4)*20_000)
	source := rand.NewChaCha8([32]byte{byte(w.rng.IntN(6))})
	source.Read(attachment)
	fmt.Fprintf(&b, "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nSee the file.\n--b\n"+
		"Content-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n%s\n--b--\n", base64.StdEncoding.EncodeToString(attachment))
	return []byte(b.String())
}

// change does to the tree what users and their programs do in a while.
func (w *tree) change(t *testing.T) {
	t.Helper()
	w.deliver(t, 5+w.rng.IntN(20))
	names := w.names()
	for i := 0; i < len(w.files); i++ {
		f := &w.files[i]
		was := w.path(f)
		switch w.rng.IntN(40) {
		case 0: // expunge
			if err := os.Remove(was); err != nil {
				t.Fatal(err)
			}
			w.files = slices.Delete(w.files, i, i+1)
			i--
			continue
		case 1, 2: // other flags
			row := treeFlags[w.rng.IntN(len(treeFlags))]
			base, _, _ := strings.Cut(f.name, ":")
			f.subdir, f.name, f.Flags = "cur", base+":2,"+row.letters, row.flags
		case 3: // move
			f.Mailbox = names[w.rng.IntN(len(names))]
		default:
			continue
		}
		if err := os.Rename(was, w.path(f)); err != nil {
			t.Fatal(err)
		}
	}
	switch w.n++; w.rng.IntN(4) {
	case 0:
		w.create(t, mail.Name(fmt.Sprintf("Box %d", w.n)), fmt.Sprintf(".Box %d", w.n))
	case 1:
		if old := names[len(names)-1]; old != mail.Inbox {
			w.rename(t, old)
		}
	}
}

// rename gives a mailbox without children another name.
func (w *tree) rename(t *testing.T, old mail.Name) {
	t.Helper()
	if slices.ContainsFunc(w.names(), func(n mail.Name) bool { return n.Below(old) && n != old }) {
		return
	}
	name, dir := mail.Name(fmt.Sprintf("Renamed %d", w.n)), fmt.Sprintf(".Renamed %d", w.n)
	if err := os.Rename(filepath.Join(w.dir, w.boxes[old]), filepath.Join(w.dir, dir)); err != nil {
		t.Fatal(err)
	}
	delete(w.boxes, old)
	w.boxes[name] = dir
	for i := range w.files {
		if w.files[i].Mailbox == old {
			w.files[i].Mailbox = name
		}
	}
}
