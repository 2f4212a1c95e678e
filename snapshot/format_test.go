package snapshot

import (
	"bytes"
	"context"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roost/blob/blobtest"
	"roost/mail"
	"roost/repo"
)

// paths lists the files below a tree.
func paths(t *testing.T, r *repo.Repo, id repo.ID, at string) []string {
	t.Helper()
	tree, err := r.LoadTree(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, n := range tree.Nodes {
		if n.Type == repo.DirNode {
			all = append(all, paths(t, r, *n.Subtree, at+n.Name+"/")...)
		} else {
			all = append(all, at+n.Name)
		}
	}
	return all
}

// TestTheExampleOfTheFormat: doc/format.md's example is what the encoder writes.
func TestTheExampleOfTheFormat(t *testing.T) {
	doc, err := os.ReadFile("../doc/format.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, ok := strings.Cut(string(doc), "snapshot/format_test.go -->\n```\n")
	example, _, closed := strings.Cut(example, "```")
	if !ok || !closed {
		t.Fatal("doc/format.md has no example")
	}
	synctest.Test(t, func(t *testing.T) { holdExample(t, strings.Fields(example), string(doc)) })
}

func holdExample(t *testing.T, want []string, doc string) {
	r, err := repo.Init(t.Context(), &blobtest.Memory{}, repo.NewPassword("secret"), repo.InitOptions{KDF: repo.CheapKDF})
	if err != nil {
		t.Fatal(err)
	}
	entries := []Entry{
		{Slot: 5, ModSeq: 7, Flags: mail.FlagsOf("Project", mail.Seen), Key: "5", GUID: "g-1"},
		{Slot: 4100, Flags: mail.FlagsOf(mail.Flagged), Key: "4100"},
	}
	var root repo.ID
	err = r.Write(t.Context(), repo.WriteOptions{}, func(ctx context.Context, s *repo.Session) error {
		var buckets []Bucket
		for _, e := range entries {
			id, _, _, err := s.SaveBlob(ctx, repo.DataBlob, []byte("hello"), repo.Text)
			if err != nil {
				return err
			}
			b, _, err := EditBucket(ctx, s, nil, Bucket{First: e.Slot.Bucket()}, Edit{
				Put:     []Stored{{Slot: e.Slot, Size: 5, Date: time.Unix(1e9, 0), Content: []repo.ID{id}}},
				Entries: []Entry{e}, Ranges: []Slot{e.Slot.Range()}, IDs: []Slot{e.Slot.Range()},
			})
			if err != nil {
				return err
			}
			buckets = append(buckets, b)
		}
		tree := NewTree(s, nil)
		if err := tree.SetBuckets(ctx, "Work/Ünï", buckets); err != nil {
			return err
		}
		root, err = tree.Save(ctx, Account{Name: "alice@example.com"}, []Box{{Name: "Work/Ünï", UIDValidity: 1, Messages: 2}}, nil, mail.Ledger{})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := paths(t, r, root, ""); !slices.Equal(got, want) {
		t.Errorf("the tree has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	flags, ids := AppendFlags(nil, entries[:1]), appendIDs(t, entries[:1])
	for _, file := range [][]byte{flags, ids, AppendFlags(nil, entries[1:])} {
		text := strings.NewReplacer("\t", " TAB ", "\n", " LF").Replace(string(file))
		if text = strings.Join(strings.Fields(text), " "); !strings.Contains(doc, "`"+text+"`") {
			t.Errorf("doc/format.md does not show %q", text)
		}
	}
}

func appendIDs(t *testing.T, entries []Entry) []byte {
	t.Helper()
	text, err := AppendIDs(nil, entries)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestFileNames: different components have different names, all of which can be files.
func TestFileNames(t *testing.T) {
	want := map[string]string{
		"INBOX": "INBOX", "inbox": "inbox", "Inbox": "Inbox", "": "%", "%": "%25", "100%": "100%", "a%41": "a%2541", "a/b": "a%2Fb",
		"..": "%2E%2E", ".": "%2E", ".hidden": "%2Ehidden", "end.": "end%2E", "end ": "end%20", "msg-0000000000": "%6Dsg-0000000000",
		`a\b:c*d?"e<f>g|`: "a%5Cb%3Ac%2Ad%3F%22e%3Cf%3Eg%7C", "\x00\n\xff": "%00%0A%FF", "Entwürfe 📧": "Entwürfe 📧", "../../etc/passwd": "%2E.%2F..%2Fetc%2Fpasswd",
	}
	seen := make(map[string]string)
	for component, name := range want {
		got := FileName(component)
		if got != name {
			t.Errorf("FileName(%q) = %q, want %q", component, got, name)
		}
		if other, twice := seen[got]; twice {
			t.Errorf("FileName(%q) = FileName(%q) = %q", component, other, got)
		}
		seen[got] = component
	}
	long := strings.Repeat("ü", 300)
	if a, b := FileName(long+"a"), FileName(long+"b"); a == b || len(a) > longestName || !strings.HasPrefix(a, "ü") {
		t.Errorf("long names: %q and %q", a, b)
	}
}

func FuzzFlags(f *testing.F) {
	f.Add([]byte("5\t7\t\\Seen Project\n6\t\t\n"))
	f.Add([]byte("5\t7"))
	f.Fuzz(func(t *testing.T, file []byte) {
		var in Interner
		entries, err := ParseFlags(nil, file, 0, &in)
		if err != nil {
			return
		}
		again, err := ParseFlags(nil, AppendFlags(nil, entries), 0, &in)
		if err != nil || len(again) != len(entries) || len(entries) > 0 && !reflect.DeepEqual(again, entries) {
			t.Errorf("ParseFlags(AppendFlags(%v)) = %v, %v", entries, again, err)
		}
	})
}

func FuzzIDs(f *testing.F) {
	f.Add([]byte("5\tkey\\t\t=\t{\"altered\":\"x\"}\n6\t\tg-1\t\n"))
	f.Add([]byte("5\ta\t\\=\t\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		entries := []Entry{{Slot: 5}, {Slot: 6}, {Slot: 9}}
		if ParseIDs(entries, file, 0) != nil {
			return
		}
		text, err := AppendIDs(nil, entries)
		if err != nil {
			t.Fatal(err)
		}
		again := []Entry{{Slot: 5}, {Slot: 6}, {Slot: 9}}
		if err := ParseIDs(again, text, 0); err != nil {
			t.Fatalf("ParseIDs(%q): %v", text, err)
		}
		if second, _ := AppendIDs(nil, again); !bytes.Equal(text, second) {
			t.Errorf("%q read and written is %q", text, second)
		}
	})
}

func FuzzAccount(f *testing.F) {
	f.Add([]byte(`{"layout":1,"account":"alice@example.com"}`))
	f.Add([]byte(`{"name":"INBOX","uidvalidity":1}` + "\n"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		decodeAccount(text)
		decodeLines[Box](bytes.NewReader(text))
		decodeLines[Problem](bytes.NewReader(text))
	})
}
