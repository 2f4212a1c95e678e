package mbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/store/storetest"
)

// later is a clock by which every file is old enough for a token.
func later() time.Time { return time.Now().Add(time.Hour) }

func open(t *testing.T, path string, options Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// The store keeps every sentence of the contract, but for names that are too long
// for a sidecar beside them.
func TestStore(t *testing.T) {
	settled := func(s *Store) mail.Store {
		s.now = later
		return s
	}
	storetest.Run(t, func(t *testing.T) mail.Store { return settled(open(t, t.TempDir(), Options{Make: true})) }, storetest.Options{
		Settle: func(t *testing.T, _ mail.Store) { storetest.Tick(t) },
		Reopen: func(t *testing.T, s mail.Store) mail.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return settled(open(t, s.(*Store).path, Options{}))
		},
		RefusesName: func(name mail.Name) bool {
			for _, c := range name.Components() {
				if len(spelling.Encode(c)) > maxComponent {
					return true
				}
			}
			return false
		},
	})
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "test.mbox")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// seen is what a mailbox says of a message.
type seen struct {
	Body  string
	Flags mail.Flags
	Date  string
}

func contents(t *testing.T, s *Store, name mail.Name) []seen {
	t.Helper()
	ch, err := s.Changes(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	all := []seen{}
	for _, m := range ch.Messages {
		for f, err := range s.Fetch(t.Context(), name, []mail.Key{m.Key}, mail.Whole) {
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(f.Body)
			if err != nil || int64(len(body)) != m.Size {
				t.Fatalf("read %q: %d octets, %v; listed with %d", m.Key, len(body), err, m.Size)
			}
			all = append(all, seen{string(body), m.Flags, m.InternalDate.Format(time.RFC3339)})
		}
	}
	return all
}

const date = "2011-12-13T14:15:16Z"

// What other programs wrote is read as they meant it.
func TestForeignFormats(t *testing.T) {
	const from = "From alice@example.com Tue Dec 13 14:15:16 2011\n"
	one := func(body string, flags ...string) []seen { return []seen{{body, mail.FlagsOf(flags...), date}} }
	for _, tt := range []struct {
		name, text string
		format     Format
		want       []seen
	}{
		{"empty", "", Auto, []seen{}},
		{"mboxrd", from + "A: 1\n\n>From x\n>>From y\n>from z\n\n", Auto, one("A: 1\n\nFrom x\n>From y\n>from z\n")},
		{"mboxo", from + "A: 1\n\n>From x\n>>From y\n\n", Mboxo, one("A: 1\n\nFrom x\n>>From y\n")},
		{"two", from + "A: 1\n\nx\n\n" + from + "A: 2\n\ny\n\n", Auto, []seen{{"A: 1\n\nx\n", "", date}, {"A: 2\n\ny\n", "", date}}},
		{"no empty line at the end", from + "A: 1\n\nx", Auto, one("A: 1\n\nx")},
		{"From without a date is text", from + "A: 1\n\n\nFrom here on: text\n\n", Auto, one("A: 1\n\n\nFrom here on: text\n")},
		{"From without an empty line is text", from + "A: 1\n\nx\n" + from + "\n", Auto, one("A: 1\n\nx\n" + from)},
		{"CRLF", "From a@b Tue Dec 13 14:15:16 2011\r\nA: 1\r\n\r\nx\r\n\r\nFrom a@b Tue Dec 13 14:15:16 2011\r\nA: 2\r\n\r\n", Auto,
			[]seen{{"A: 1\r\n\r\nx\r\n", "", date}, {"A: 2\r\n", "", date}}},
		{"mboxcl2", from + "Content-Length: 58\n\n\n" + from + "\n>From y\n\n\n" + from + "A: 2\n\n\n", Auto,
			[]seen{{"Content-Length: 58\n\n\n" + from + "\n>From y\n", "", date}, {"A: 2\n\n", "", date}}},
		{"mboxcl", from + "Content-Length: 16\n\n>From x\n>From y\n\n" + from + "A: 2\n\n", Mboxcl,
			[]seen{{"Content-Length: 16\n\nFrom x\nFrom y\n", "", date}, {"A: 2\n", "", date}}},
		{"Content-Length that lies", from + "Content-Length: 3\n\nlonger\n\n" + from + "A: 2\n\n", Auto,
			[]seen{{"Content-Length: 3\n\nlonger\n", "", date}, {"A: 2\n", "", date}}},
		{"Content-Length beyond the end", from + "Content-Length: 9223372036854775807\n\nx\n\n", Auto, one("Content-Length: 9223372036854775807\n\nx\n")},
		{"flags of mutt", from + "Status: RO\nX-Status: AF\nX-Keywords: Work Play\n\nx\n\n", Auto,
			one("Status: RO\nX-Status: AF\nX-Keywords: Work Play\n\nx\n", mail.Seen, mail.Answered, mail.Flagged, "Work", "Play")},
		{"flags of Thunderbird", "From - Tue Dec 13 14:15:16 2011\nX-Mozilla-Status: 0009\nX-Mozilla-Keys: $label1         \n\nx\n\n", Auto,
			one("X-Mozilla-Status: 0009\nX-Mozilla-Keys: $label1         \n\nx\n", mail.Seen, mail.Deleted, "$label1")},
		{"flags in the body", from + "A: 1\n\nStatus: RO\n\n", Auto, one("A: 1\n\nStatus: RO\n")},
		{"date of Gmail", "From 1234567890@xxx Tue Dec 13 15:15:16 +0100 2011\nA: 1\n\n", Auto, one("A: 1\n")},
		{"sender with spaces", "From Alice of Example Tue Dec 13 14:15:16 2011\nA: 1\n\n", Auto, one("A: 1\n")},
		{"state of c-client", from + "Subject: DON'T DELETE THIS MESSAGE\nX-IMAP: 1 2\n\nx\n\n" + from + "A: 1\n\n", Auto, one("A: 1\n")},
		{"blank lines before", "\n\n" + from + "A: 1\n\n", Auto, one("A: 1\n")},
		{"only From_", from, Auto, one("")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, file(t, tt.text), Options{Format: tt.format})
			if diff := cmp.Diff(tt.want, contents(t, s, mail.Inbox)); diff != "" {
				t.Errorf("of %q (-want +got):\n%s", tt.text, diff)
			}
			if len(tt.want) == 0 {
				return
			}
			// After the first write, all is there as it was, with UIDs.
			ch, err := s.Changes(t.Context(), mail.Inbox, "")
			if err != nil || ch.UIDValidity != 0 {
				t.Fatalf("before the first write, UIDVALIDITY is %d, %v", ch.UIDValidity, err)
			}
			if err := s.SetFlags(t.Context(), mail.Inbox, []mail.Key{ch.Messages[0].Key}, "Touched", ""); err != nil {
				t.Fatal(err)
			}
			tt.want[0].Flags = tt.want[0].Flags.Plus("Touched")
			again := open(t, s.path, Options{Format: tt.format})
			if diff := cmp.Diff(tt.want, contents(t, again, mail.Inbox)); diff != "" {
				t.Errorf("after SetFlags (-want +got):\n%s", diff)
			}
			if ch, err := again.Changes(t.Context(), mail.Inbox, ""); err != nil || ch.UIDValidity == 0 || ch.Messages[0].Key != "1" {
				t.Errorf("after SetFlags: %+v, %v", ch, err)
			}
		})
	}
}

// Mail that another program delivers beside ours is listed, under keys that last, and nothing of
// either is changed by what we write.
func TestForeignDelivery(t *testing.T) {
	path := file(t, "From a@b Tue Dec 13 14:15:16 2011\nA: 1\n\nno line end")
	s := open(t, path, Options{})
	if _, err := s.Append(t.Context(), mail.Inbox, mail.Message{Flags: mail.Seen}, strings.NewReader("A: 2\n\nours")); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("From c@d Tue Dec 13 14:15:16 2011\nA: 3\n\ntheirs\n\n"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	bodies := func() (all []string) {
		for _, m := range contents(t, s, mail.Inbox) {
			all = append(all, m.Body+" "+string(m.Flags))
		}
		return all
	}
	want := []string{"A: 1\n\nno line end\n ", "A: 2\n\nours \\Seen", "A: 3\n\ntheirs\n "}
	if diff := cmp.Diff(want, bodies()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	ch, err := s.Changes(t.Context(), mail.Inbox, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Expunge(t.Context(), mail.Inbox, []mail.Key{ch.Messages[0].Key}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[1:], bodies()); diff != "" {
		t.Errorf("after Expunge (-want +got):\n%s", diff)
	}
	after, err := s.Changes(t.Context(), mail.Inbox, "")
	if err != nil || after.Messages[1].Key != ch.Messages[2].Key {
		t.Errorf("a message's key changed from %q to %+v, %v", ch.Messages[2].Key, after.Messages, err)
	}
	if err := s.SetFlags(t.Context(), mail.Inbox, []mail.Key{after.Messages[1].Key}, mail.Flagged, ""); err != nil {
		t.Fatal(err)
	}
	want[2] = "A: 3\n\ntheirs\n \\Flagged"
	if diff := cmp.Diff(want[1:], bodies()); diff != "" {
		t.Errorf("after SetFlags (-want +got):\n%s", diff)
	}
}

// An Append that a crash cut short at any octet leaves no message, and the next one goes on.
func TestTornAppend(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Options{})
	if err := s.Create(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	add := func(s *Store, body string) {
		t.Helper()
		if _, err := s.Append(t.Context(), "box", mail.Message{}, strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(file string) []byte {
		raw, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	put := func(file string, raw []byte) {
		if err := os.WriteFile(filepath.Join(dir, file), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	add(s, "A: 1\n\nFrom one\n")
	before, side := read("box"), read(sidecarOf("box"))
	add(s, "A: 2\n\nFrom two\nand more")
	after := read("box")
	for n := len(before); n <= len(after); n++ {
		put("box", after[:n])
		put(sidecarOf("box"), side)
		again := open(t, dir, Options{})
		var bodies []string
		for _, m := range contents(t, again, "box") {
			bodies = append(bodies, m.Body)
		}
		want := []string{"A: 1\n\nFrom one\n"}
		if n >= len(after)-2 { // it is whole but for what ends it
			want = append(want, "A: 2\n\nFrom two\nand more")
		}
		if diff := cmp.Diff(want, bodies); diff != "" {
			t.Fatalf("cut at %d of %d octets (-want +got):\n%s", n-len(before), len(after)-len(before), diff)
		}
		add(again, "A: 3\n\nx\n")
		got := contents(t, again, "box")
		if last := got[len(got)-1].Body; last != "A: 3\n\nx\n" || got[0].Body != "A: 1\n\nFrom one\n" {
			t.Fatalf("cut at %d octets, after another Append: %q", n-len(before), got)
		}
	}
}

// A message that somebody edited is kept as it is now, under its UID.
func TestEditedMessage(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	if err := s.Create(t.Context(), "box"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), "box", mail.Message{Flags: "Work"}, strings.NewReader("A: 1\n\nlong text\n")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.path, "box")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"x", "a much longer text"} {
		if err := os.WriteFile(path, bytes.Replace(raw, []byte("long text"), []byte(text), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		got := contents(t, s, "box")
		if len(got) != 1 || got[0].Body != "A: 1\n\n"+text+"\n" || got[0].Flags != "Work" {
			t.Errorf("after it was edited: %+v", got)
		}
	}
	if _, err := s.Append(t.Context(), "box", mail.Message{}, strings.NewReader("two")); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, s, "box"); len(got) != 2 || got[0].Body != "A: 1\n\na much longer text\n" {
		t.Errorf("after Append: %+v", got)
	}
}

// A tree as Thunderbird and as Dovecot lay it out; what is no mail is passed over, what is damaged
// is not.
func TestForeignTree(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const text = "From a@b Tue Dec 13 14:15:16 2011\nA: 1\n\nx\n\n"
	put("Inbox", text)
	put("Inbox.msf", "// <!-- <mdb:mork")
	put("Inbox.sbd/Sub", text)
	put("Sent", "")
	put("filterlog.html", "<html>")
	put("lists/go", text)
	put("lists/.imap/go/dovecot.index", "x")
	put("broken.mbox", "no mbox")
	s := open(t, dir, Options{})
	boxes, err := s.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range boxes {
		got = append(got, fmt.Sprint(m.Name, " ", m.NoSelect, " ", m.Err != nil))
	}
	want := []string{"INBOX false false", "INBOX/Sub false false", "Sent false false", "broken.mbox false true", "lists true false", "lists/go false false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Mailboxes() (-want +got):\n%s", diff)
	}
	for _, name := range []mail.Name{"INBOX", "INBOX/Sub", "lists/go"} {
		if got := contents(t, s, name); len(got) != 1 {
			t.Errorf("%s holds %+v", name, got)
		}
	}
	if _, err := s.Changes(t.Context(), "broken.mbox", ""); !errors.Is(err, errNoMbox) {
		t.Errorf("Changes(broken.mbox) = %v, want %v", err, errNoMbox)
	}
	if err := s.Create(t.Context(), "lists/new"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "lists/new")); err != nil {
		t.Errorf("a mailbox below a plain directory was made elsewhere: %v", err)
	}
}

// A writer waits for the dotlock of a living program, however old that is, takes over an old one of whom it knows nothing, and
// gives up with its context.
func TestDotlock(t *testing.T) {
	path := file(t, "")
	s := open(t, path, Options{})
	lock := path + lockSuffix
	if err := os.WriteFile(lock, fmt.Appendln(nil, os.Getpid()), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-lockStale - time.Minute)
	for _, age := range []string{"fresh", "old"} {
		if age == "old" {
			if err := os.Chtimes(lock, old, old); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if _, err := s.Append(ctx, mail.Inbox, mail.Message{}, strings.NewReader("x")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Append beside a %s lock = %v, want %v", age, err, context.DeadlineExceeded)
		}
		cancel()
	}
	if got := contents(t, s, mail.Inbox); len(got) != 0 {
		t.Errorf("it wrote %+v", got)
	}
	if err := os.WriteFile(lock, []byte("1:elsewhere.example.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(lock, old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), mail.Inbox, mail.Message{}, strings.NewReader("x")); err != nil {
		t.Errorf("Append beside a stale lock = %v", err)
	}
	if _, err := os.Stat(lock); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lock was left: %v", err)
	}
}

// Who waited for the lock of a file that was replaced meanwhile, gets the one that took its place.
func TestReplacedWhileWaiting(t *testing.T) {
	path := file(t, "From a@b Tue Dec 13 14:15:16 2011\nA: 1\n\n")
	s := open(t, path, Options{})
	first, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	fresh := path + ".fresh"
	if err := errors.Join(os.WriteFile(fresh, nil, 0o600), os.Rename(fresh, path)); err != nil {
		t.Fatal(err)
	}
	opens := 0
	o, err := s.locked(t.Context(), filepath.Base(path), false, func() (*os.File, error) {
		if opens++; opens == 1 {
			return first, nil
		}
		return os.Open(path)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	if info, err := o.Stat(); err != nil || info.Size() != 0 || opens != 2 {
		t.Errorf("the old file was locked: %v, %v, opened %d times", info, err, opens)
	}
}

// A file that is changed in place while a message is read does not pass for the message.
func TestChangedWhileRead(t *testing.T) {
	path := file(t, "From a@b Tue Dec 13 14:15:16 2011\nA: 1\n\n"+strings.Repeat("x\n", 100_000)+"\n")
	s := open(t, path, Options{})
	ch, err := s.Changes(t.Context(), mail.Inbox, "")
	if err != nil {
		t.Fatal(err)
	}
	for f, err := range s.Fetch(t.Context(), mail.Inbox, []mail.Key{ch.Messages[0].Key}, mail.Whole) {
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 50_000); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(f.Body); !errors.Is(err, errChanged) {
			t.Errorf("reading it = %v, want %v", err, errChanged)
		}
	}
}

func TestSamples(t *testing.T) {
	samples := os.Getenv("ROOST_SAMPLES")
	if samples == "" {
		t.Skip("ROOST_SAMPLES is not set")
	}
	s := open(t, filepath.Join(t.TempDir(), "x.mbox"), Options{Make: true})
	var want []string
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
		want = append(want, string(raw))
		_, err = s.Append(t.Context(), mail.Inbox, mail.Message{}, bytes.NewReader(raw))
		return err
	})
	if err != nil || n == 0 {
		t.Fatalf("%d samples, %v", n, err)
	}
	for i, m := range contents(t, open(t, s.path, Options{}), mail.Inbox) {
		if m.Body != want[i] {
			t.Errorf("message %d came back otherwise", i)
		}
	}
}

// Whatever is quoted comes back, however it is split, and no line of it can be taken for a From_
// line.
func FuzzQuote(f *testing.F) {
	f.Add([]byte("From \n>From x\n>>From\n>>>From y>\nFrom"), 3)
	f.Add([]byte(">"), 1)
	f.Fuzz(func(t *testing.T, raw []byte, n int) {
		n = max(1, min(n, len(raw)))
		var quoted bytes.Buffer
		q := quoter{w: &quoted}
		for rest := raw; len(rest) > 0; {
			piece := rest[:min(n, len(rest))]
			rest = rest[len(piece):]
			if _, err := q.Write(piece); err != nil {
				t.Fatal(err)
			}
		}
		if err := q.finish(); err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(quoted.Bytes(), []byte(fromPrefix)) || bytes.Contains(quoted.Bytes(), []byte("\n"+fromPrefix)) {
			t.Fatalf("%q was quoted as %q", raw, quoted.Bytes())
		}
		back, err := io.ReadAll(&unquoter{r: iotest.OneByteReader(bytes.NewReader(quoted.Bytes()))})
		if err != nil || !bytes.HasPrefix(back, raw) || len(back)-len(raw) > 2 {
			t.Errorf("%q was read back as %q, %v", raw, back, err)
		}
	})
}

// Whatever a file holds, its messages are in order and within it, of the size that reading them
// yields.
func FuzzFind(f *testing.F) {
	const from = "From a@b Tue Dec 13 14:15:16 2011\n"
	f.Add([]byte(from+"Content-Length: 1\nStatus: RO\n\nx\n\n"+from+"\n>From x\n\n"), 0)
	f.Add([]byte("From 1.3@7.roost.invalid Tue Dec 13 14:15:16 2011\nabc\n\n"), 1)
	f.Add([]byte("\r\n"+from+"\r\n\r\n\n"+from), 2)
	f.Fuzz(func(t *testing.T, raw []byte, format int) {
		s := Store{format: Format(((format % 5) + 5) % 5)}
		file := bytes.NewReader(raw)
		list, _, err := find(file, 0, int64(len(raw)), s.format)
		if err != nil {
			if err != errNoMbox {
				t.Fatal(err)
			}
			return
		}
		var last int64
		for i, p := range list {
			if p.start < last || p.body < p.start || p.end < p.body || p.end > int64(len(raw)) {
				t.Fatalf("message %d of %q is %+v, the one before ends at %d", i, raw, p, last)
			}
			last = p.end
			body, err := io.ReadAll(s.body(file, p))
			if err != nil || int64(len(body)) != p.size {
				t.Fatalf("message %d of %q is %+v, but has %d octets, %v", i, raw, p, len(body), err)
			}
		}
	})
}

func FuzzSidecar(f *testing.F) {
	f.Add([]byte("#roost-mbox 1\t5\t7\tid\n1\to\t\\Seen a%25b\n2\t-\ntorn"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		side, err := parseSidecar(bytes.NewReader(raw))
		if err != nil {
			return
		}
		text := sidecarMagic + side.Line()
		for uid, e := range side.entries {
			text += e.line(uid)
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
