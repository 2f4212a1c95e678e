package tree

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func root(t *testing.T) *os.Root {
	t.Helper()
	r, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// A line that is written is read back as it was; one of an older program is read too.
func TestHeader(t *testing.T) {
	for _, h := range []Header{
		{Validity: 1, Next: 1},
		{Validity: 5, Next: 7, ID: "a\tb%"},
		{Validity: 5, Next: 7, ID: "x", Role: `\Sent`},
		{Validity: 5, Next: 7, Subscribed: true},
		{Validity: 5, Next: 7, Keeps: true},
		{Validity: 5, Next: 7, Role: `\Sent`, Subscribed: true, Keeps: true, Last: 9},
	} {
		line := h.Line()
		got, err := ParseHeader(strings.TrimSuffix(line, "\n"))
		if err != nil || got != h {
			t.Errorf("ParseHeader(%q) = %+v, %v, want %+v", line, got, err, h)
		}
	}
	if got, err := ParseHeader("1\t5\t7\tx"); err != nil || got != (Header{Validity: 5, Next: 7, ID: "x"}) {
		t.Errorf("ParseHeader of four columns = %+v, %v", got, err)
	}
	if _, err := ParseHeader("2\t5\t7\tx"); err == nil {
		t.Error("ParseHeader read version 2")
	}
	if got, err := ParseHeader("1\tx\t7\tid"); err != nil || got.Validity != 0 {
		t.Errorf("ParseHeader of a damaged line = %+v, %v, want UIDVALIDITY 0", got, err)
	}
}

// A file is replaced as a whole or not at all, and nothing is left over.
func TestReplace(t *testing.T) {
	r := root(t)
	put := func(text string, fail error) error {
		_, err := Replace(r, "file", func(w *bufio.Writer) error {
			io.WriteString(w, text)
			return fail
		})
		return err
	}
	if err := put("one", nil); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := put(strings.Repeat("two", 10_000), broken); !errors.Is(err, broken) {
		t.Errorf("Replace = %v, want %v", err, broken)
	}
	if got, err := r.ReadFile("file"); string(got) != "one" {
		t.Errorf("after a failed Replace, it holds %.20q, %v", got, err)
	}
	if _, err := Add(r, "file", " and two"); err != nil {
		t.Fatal(err)
	}
	if got, _ := r.ReadFile("file"); string(got) != "one and two" {
		t.Errorf("after Add, it holds %q", got)
	}
	entries, err := os.ReadDir(r.Name())
	if err != nil || len(entries) != 1 {
		t.Errorf("left over: %v, %v", entries, err)
	}
}

// No UIDVALIDITY is given twice, whatever the clock says and a crash left.
func TestNextValidity(t *testing.T) {
	r := root(t)
	for i, tt := range []struct {
		now  int64
		want uint32
	}{{1000, 1000}, {1000, 1001}, {500, 1002}, {2000, 2000}} {
		if got, err := NextValidity(r, "last", tt.now); err != nil || got != tt.want {
			t.Errorf("call %d: NextValidity at %d = %d, %v, want %d", i, tt.now, got, err, tt.want)
		}
	}
	if err := r.WriteFile("last", []byte("dam"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := NextValidity(r, "last", 3000); err != nil || got != 3000 {
		t.Errorf("with a damaged file: %d, %v", got, err)
	}
}

// A file has another stamp after each change, and a settled one only when a further change shows.
func TestStamp(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	stamp := func() Stamp {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		return StampOf(info)
	}
	if err := os.WriteFile(file, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	first, now := stamp(), time.Now()
	if got, ok := ParseStamp(string(first.Append(nil))); !ok || got != first {
		t.Errorf("written and read back, %+v is %+v, %v", first, got, ok)
	}
	if first.Settled(now) || !first.Settled(now.Add(3*time.Second)) || first.Settled(now.Add(-time.Hour)) {
		t.Errorf("a file of now is settled: now %v, in 3 s %v, an hour ago %v", first.Settled(now), first.Settled(now.Add(3*time.Second)), first.Settled(now.Add(-time.Hour)))
	}
	if err := os.WriteFile(file, []byte("two!"), 0o600); err != nil {
		t.Fatal(err)
	}
	if again := stamp(); again == first || !again.SameFile(first) || again.Size() != 4 {
		t.Errorf("after it was written, its stamp is %+v, before %+v", again, first)
	}
}

// Of two programs that want a lock, one gets it; then the other does.
func TestTryLock(t *testing.T) {
	r := root(t)
	open := func() *os.File {
		f, err := r.OpenFile("lock", os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	a, b := open(), open()
	try := func(f *os.File, exclusive, want bool) {
		t.Helper()
		if held, err := TryLock(f, exclusive); err != nil || held != want {
			t.Errorf("TryLock(exclusive %v) = %v, %v, want %v", exclusive, held, err, want)
		}
	}
	try(a, true, true)
	try(b, true, false)
	try(b, false, false)
	if err := Unlock(a); err != nil {
		t.Fatal(err)
	}
	try(b, false, true)
	try(a, false, true)
	b.Close()
	try(a, true, true)
}

func FuzzSpelling(f *testing.F) {
	for _, s := range []string{"", "%-", "a/b", "..", "com1.x", "a%2Fb", "x.", "\xff", "100%", "a.lock"} {
		f.Add(s)
	}
	reserved := func(extension string) bool { return strings.EqualFold(extension, ".lock") }
	f.Fuzz(func(t *testing.T, component string) {
		for _, s := range []Spelling{{}, {Reserved: reserved}} {
			file := s.Encode(component)
			if got := s.Decode(file); got != component {
				t.Errorf("Decode(Encode(%q)) = %q", component, got)
			}
			if file == "" || file[0] == '.' || strings.ContainsAny(file, "/\\\x00:") || s.Reserved != nil && s.Reserved(filepath.Ext(file)) {
				t.Errorf("Encode(%q) = %q", component, file)
			}
			if column := Escape(component); Unescape(column) != component || strings.ContainsAny(column, "\t\n") {
				t.Errorf("Escape(%q) = %q", component, column)
			}
		}
	})
}

// Every name of a directory is told once, with its type, however many there are.
func TestReadDir(t *testing.T) {
	r := root(t)
	want := map[string]os.FileMode{"dir": os.ModeDir, "link": os.ModeSymlink, ".hidden": 0, strings.Repeat("n", 255): 0}
	for i := range 5000 {
		want[fmt.Sprintf("%d.a message of some length,S=1234:2,S", i)] = 0
	}
	for name, kind := range want {
		var err error
		switch kind {
		case os.ModeDir:
			err = r.Mkdir(name, 0o700)
		case os.ModeSymlink:
			err = r.Symlink("nowhere", name)
		default:
			err = r.WriteFile(name, nil, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	dir, err := r.Open(".")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	entries, err := Entries(dir)
	if err != nil || len(entries) != len(want) {
		t.Fatalf("%d entries, %v, want %d", len(entries), err, len(want))
	}
	for _, e := range entries {
		if kind, ok := want[e.Name]; !ok || kind != e.Type {
			t.Errorf("%q has type %v, want %v; it is there: %v", e.Name, e.Type, kind, ok)
		}
		delete(want, e.Name)
	}
}
