package snapshot

import (
	"bytes"
	"context"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roost/blob/blobtest"
	"roost/mail"
	"roost/message"
	"roost/repo"
)

// What an account remembers of erased messages tells nothing of them, and is known again.
func TestErasedIsRememberedByDigests(t *testing.T) {
	e := NewErased()
	raw := []byte("Message-ID: <secret-4711@example.com>\r\nSubject: the secret\r\n\r\nText.\r\n")
	secrets := []string{"secret", "4711", "guid-of-it", "1700000000.M1P1.host", hex.EncodeToString(raw[:16])}
	print := message.PrintOf(raw)
	secrets = append(secrets, hex.EncodeToString(print[:8]))
	m := mail.Message{GUID: "guid-of-it", Size: 70, InternalDate: time.Unix(1e9, 0)}
	e.Learn(e.Print(print))
	e.Learn(e.Look("imap://alice@example.com", &m))
	e.SetMarks("INBOX", []Mark{{Slot: 9}, {Slot: 5, Key: e.Key("1700000000.M1P1.host"), Look: e.Look("imap://alice@example.com", &m)}, {Slot: 9}})
	text := e.append(nil)
	for _, s := range secrets {
		if bytes.Contains(text, []byte(s)) {
			t.Errorf("the file reveals %q:\n%s", s, text)
		}
	}
	again, err := parseErased(text)
	if err != nil || !reflect.DeepEqual(again, e) {
		t.Fatalf("parseErased(%s) = %+v, %v, want %+v", text, again, err, e)
	}
	for _, d := range []Digest{again.Print(message.PrintOf(raw)), again.Look("imap://alice@example.com", &m)} {
		if !again.Knows(d) {
			t.Errorf("%x is not known again", d)
		}
	}
	longer, later, other := m, m, m
	longer.Size++
	later.InternalDate = later.InternalDate.Add(time.Second)
	other.GUID += "s"
	strangers := []Digest{again.Print(message.PrintOf(raw[1:])), again.Look("imap://bob@example.com", &m), again.Look("", &m), NewErased().Print(print), {}}
	for _, x := range []*mail.Message{&longer, &later, &other} {
		strangers = append(strangers, again.Look("imap://alice@example.com", x))
	}
	for _, d := range strangers {
		if again.Knows(d) {
			t.Errorf("%x is known, which was never learnt", d)
		}
	}
	if want := []Slot{5, 9}; len(again.Marks("INBOX")) != 2 || again.Marks("INBOX")[0].Slot != want[0] || again.Marks("INBOX")[1].Slot != want[1] {
		t.Errorf("marks are %v, want slots %v", again.Marks("INBOX"), want)
	}
	var none *Erased
	if !none.IsEmpty() || none.Knows(Digest{1}) || none.Marks("INBOX") != nil || none.Recognises() {
		t.Error("nothing is not empty")
	}
}

// The opening of a long message is the same whatever its line ends, and a short one has none.
func TestOpening(t *testing.T) {
	source := rand.NewChaCha8([32]byte{1})
	raw := make([]byte, 2*OpeningSize)
	source.Read(raw)
	for i := range raw {
		if raw[i] == '\r' || i%70 == 0 {
			raw[i] = '\n'
		}
	}
	crlf := message.AppendCRLF(nil, raw)
	lf, long := OpeningOf(raw)
	if with, ok := OpeningOf(crlf); !long || !ok || lf != with {
		t.Errorf("the openings with LF and CRLF are %v and %v", lf, with)
	}
	if o, ok := OpeningOf(crlf[:OpeningSize]); !ok || o != lf {
		t.Errorf("the opening depends on what follows: %v and %v", o, lf)
	}
	if _, ok := OpeningOf(crlf[:OpeningSize-1]); ok {
		t.Error("what is too short has an opening")
	}
	crlf[OpeningSize-1]++
	if o, _ := OpeningOf(crlf); o == lf {
		t.Error("the last octet of the opening does not count")
	}
}

func FuzzErased(f *testing.F) {
	f.Add(NewErased().append(nil))
	f.Add([]byte("salt\t" + strings.Repeat("a1", 32) + "\nat\tINBOX\t5\t\t" + strings.Repeat("0f", 16) + "\nis\t" + strings.Repeat("0f", 16) + "\n"))
	f.Add([]byte("salt\t" + strings.Repeat("a1", 32) + "\nat\tA\\tB\t5\t\t\nat\tA\\tB\t4\t\t\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		e, err := parseErased(file)
		if err != nil {
			return
		}
		again, err := parseErased(e.append(nil))
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Errorf("read and written, %q is %+v, %v", file, again, err)
		}
	})
}

// A snapshot in which something was erased has a layout that a program without erasure refuses; others keep the one it knows.
func TestLayoutTellsOfErasure(t *testing.T) { synctest.Test(t, testLayoutTellsOfErasure) }

func testLayoutTellsOfErasure(t *testing.T) {
	r, err := repo.Init(t.Context(), &blobtest.Memory{}, repo.NewPassword("secret"), repo.InitOptions{KDF: repo.CheapKDF})
	if err != nil {
		t.Fatal(err)
	}
	e := NewErased()
	e.Learn(e.Print(message.PrintOf(nil)))
	e.SetMarks("Work/Ünï", []Mark{{Slot: 7}})
	for layout, erased := range map[int]*Erased{1: NewErased(), 2: e} {
		var root repo.ID
		err = r.Write(t.Context(), repo.WriteOptions{}, func(ctx context.Context, s *repo.Session) error {
			tree := NewTree(s, nil)
			tree.SetErased(erased)
			root, err = tree.Save(ctx, Account{Name: "alice"}, nil, nil, mail.Ledger{})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		src, err := Open(t.Context(), r, &repo.Snapshot{Tree: &root})
		if err != nil {
			t.Fatal(err)
		}
		got, err := src.Erased(t.Context())
		if err != nil || src.Account().Layout != layout || (got == nil) != (layout == 1) || got != nil && !reflect.DeepEqual(got, e) {
			t.Errorf("layout %d, %+v, %v, want layout %d and %+v", src.Account().Layout, got, err, layout, erased)
		}
	}
	if _, err := decodeAccount([]byte(`{"layout":3}`)); err == nil {
		t.Error("a layout that is not known yet is read")
	}
}

// The example of erased.tsv in doc/format.md is what the encoder writes.
func TestTheErasedOfTheFormat(t *testing.T) {
	doc, err := os.ReadFile("../doc/format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(doc), "snapshot/erased_test.go -->\n```\n")
	example, _, closed := strings.Cut(example, "```")
	if !ok || !closed {
		t.Fatal("doc/format.md has no example of erased.tsv")
	}
	file := strings.ReplaceAll(example, " TAB ", "\t")
	e, err := parseErased([]byte(file))
	if err != nil {
		t.Fatalf("%v in\n%s", err, file)
	}
	if got := string(e.append(nil)); got != file || len(e.marks["Work/Ünï"]) != 1 || len(e.known) != 2 {
		t.Errorf("the example is written as\n%s\nwant\n%s", got, file)
	}
}
