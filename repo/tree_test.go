package repo

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// oddNames are names that need quoting of one kind or another.
var oddNames = []string{"plain.eml", "umlaut \u00e4", `quote"`, `back\slash`, "nbsp\u00a0", "bad\xffutf8", "\xc3", "<&>", "tab\t", "nl\n",
	"sep\u2028", "sep\u2029", "bell\a", "del\x7f", "\ufffd", "\U0001f4e7", "\u200b", "'", "`", "%2F", ".", "x.", "\x01\x1f", "\ufeff", "a\u0301", "\U000e0001"}

// referenceTree is what restic does: encoding/json over quoted names, and a newline.
func referenceTree(t testing.TB, tree *Tree) []byte {
	t.Helper()
	wire := struct {
		Nodes []wireNode `json:"nodes"`
	}{Nodes: []wireNode{}}
	for _, n := range tree.Nodes {
		q := strconv.Quote(n.Name)
		n.Name = q[1 : len(q)-1]
		if n.Type == FileNode && n.Content == nil {
			n.Content = []ID{}
		}
		wire.Nodes = append(wire.Nodes, wireNode(n))
	}
	p, err := json.Marshal(wire)
	if err != nil {
		t.Fatal(err)
	}
	return append(p, '\n')
}

func randomNode(rnd *rand.Rand, name string) Node {
	id := func() (id ID) {
		for i := range id {
			id[i] = byte(rnd.Uint32())
		}
		return id
	}
	maybe := func() uint64 { return rnd.Uint64() >> (rnd.IntN(2) * 63) }
	when := func() time.Time {
		zone := time.FixedZone("", (rnd.IntN(48)-24)*1800)
		return time.Unix(rnd.Int64N(1<<36)-1<<34, rnd.Int64N(3)*500_000_000).In(zone)
	}
	n := Node{Name: name, ModTime: when(), AccessTime: when(), ChangeTime: when(), Mode: os.FileMode(maybe()), UID: uint32(maybe()),
		GID: uint32(maybe()), Inode: maybe(), DeviceID: maybe(), Size: maybe(), Links: maybe(), Device: maybe()}
	if rnd.IntN(2) == 0 {
		// Text that is not UTF-8 cannot come back from JSON: not with restic either.
		n.User, n.Group, n.Error = strings.ToValidUTF8(oddNames[rnd.IntN(len(oddNames))], "?"), "<group>", "open x: \u2028"
	}
	switch rnd.IntN(3) {
	case 0:
		n.Type = FileNode
		for range rnd.IntN(4) {
			n.Content = append(n.Content, id())
		}
	case 1:
		sub := id()
		n.Type, n.Subtree = DirNode, &sub
	case 2:
		n.Type, n.LinkTarget, n.LinkTargetRaw = "symlink", "../<x>", []byte{0xff, 0}
		n.ExtendedAttributes = []ExtendedAttribute{{Name: "user.x", Value: []byte("y")}}
		n.GenericAttributes = map[string]json.RawMessage{"b.y": json.RawMessage(`1`), "a.x": json.RawMessage(`{"k":"<v>"}`)}
	}
	return n
}

// AppendTree writes octet by octet what encoding/json writes, and DecodeTree reads it back.
func TestAppendTreeIsCanonical(t *testing.T) {
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		tree := &Tree{}
		for _, name := range oddNames {
			if name != "." && rnd.IntN(2) == 0 {
				tree.Nodes = append(tree.Nodes, randomNode(rnd, name))
			}
		}
		tree.Sort()
		got, err := AppendTree([]byte("x"), tree)
		want := append([]byte("x"), referenceTree(t, tree)...)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("seed %d: AppendTree = %v, differs from encoding/json:\n%s", seed, err, cmp.Diff(string(want), string(got)))
		}
		back, err := DecodeTree(got[1:])
		if err != nil {
			t.Fatalf("seed %d: DecodeTree = %v", seed, err)
		}
		again, err := AppendTree([]byte("x"), back)
		if err != nil || !bytes.Equal(again, got) {
			t.Fatalf("seed %d: encoding what was decoded = %v, differs:\n%s", seed, err, cmp.Diff(string(got), string(again)))
		}
		for i := range back.Nodes {
			if back.Nodes[i].Name != tree.Nodes[i].Name {
				t.Errorf("seed %d: name %q came back as %q", seed, tree.Nodes[i].Name, back.Nodes[i].Name)
			}
		}
	}
}

// A tree that restic could not restore, or could not rewrite, is not written.
func TestAppendTreeRefuses(t *testing.T) {
	sub := Hash(nil)
	file := func(name string) Node { return Node{Name: name, Type: FileNode} }
	for name, nodes := range map[string][]Node{
		"no name":             {file("")},
		"dot":                 {file(".")},
		"dot dot":             {file("..")},
		"slash":               {file("a/b")},
		"nul":                 {file("a\x00")},
		"unsorted":            {file("b"), file("a")},
		"twice":               {file("a"), file("a")},
		"no type":             {{Name: "a"}},
		"dir without subtree": {{Name: "a", Type: DirNode}},
		"dir with null tree":  {{Name: "a", Type: DirNode, Subtree: &ID{}}},
		"file with subtree":   {{Name: "a", Type: FileNode, Subtree: &sub}},
		"dir with content":    {{Name: "a", Type: DirNode, Subtree: &sub, Content: []ID{sub}}},
	} {
		if p, err := AppendTree(nil, &Tree{Nodes: nodes}); err == nil {
			t.Errorf("%s: AppendTree = %q, want an error", name, p)
		}
	}
}

// Times outside of what RFC 3339 can say are brought to its ends, as restic does.
func TestAppendTime(t *testing.T) {
	for _, c := range []struct {
		in   time.Time
		want string
	}{
		{time.Time{}, "0001-01-01T00:00:00Z"},
		{time.Date(-5, 3, 4, 0, 0, 0, 0, time.UTC), "0000-03-04T00:00:00Z"},
		{time.Date(12345, 3, 4, 0, 0, 0, 0, time.UTC), "9999-03-04T00:00:00Z"},
		{time.Date(2020, 3, 4, 5, 6, 7, 890_000_000, time.FixedZone("", 5400)), "2020-03-04T05:06:07.89+01:30"},
		{time.Date(2020, 3, 4, 5, 6, 7, 0, time.FixedZone("LMT", 3208)), "2020-03-04T04:12:39Z"},
	} {
		if got := string(appendTime(nil, c.in)); got != c.want {
			t.Errorf("appendTime(%v) = %s, want %s", c.in, got, c.want)
		}
	}
}

// What others wrote is read as long as it means one thing.
func TestDecodeTreeTolerance(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     string // names, joined by "|"; "error" for an error
	}{
		{"empty", `{"nodes":[]}`, ""},
		{"null nodes", `{"nodes":null}`, ""},
		{"no nodes", `{}`, ""},
		{"unknown fields", `{"x":1,"nodes":[{"name":"a","type":"file","new":{"y":[]}}]}`, "a"},
		{"unsorted", `{"nodes":[{"name":"b","type":"file"},{"name":"a","type":"file"}]}`, "a|b"},
		{"unknown type", `{"nodes":[{"name":"a","type":"door"}]}`, "a"},
		{"quoted", `{"nodes":[{"name":"a\\\"\\xff","type":"file"}]}`, "a\"\xff"},
		{"twice", `{"nodes":[{"name":"a","type":"file"},{"name":"a","type":"dir"}]}`, "error"},
		{"twice by quoting", `{"nodes":[{"name":"a","type":"file"},{"name":"\\x61","type":"file"}]}`, "error"},
		{"slash", `{"nodes":[{"name":"a/b","type":"file"}]}`, "error"},
		{"quoted slash", `{"nodes":[{"name":"..\\x2fb","type":"file"}]}`, "error"},
		{"dot dot", `{"nodes":[{"name":"..","type":"dir"}]}`, "error"},
		{"no name", `{"nodes":[{"type":"file"}]}`, "error"},
		{"nul", `{"nodes":[{"name":"\\x00","type":"file"}]}`, "error"},
		{"bare quote", `{"nodes":[{"name":"a\"b","type":"file"}]}`, "error"},
		{"broken escape", `{"nodes":[{"name":"a\\","type":"file"}]}`, "error"},
		{"bad id", `{"nodes":[{"name":"a","type":"file","content":["00"]}]}`, "error"},
		{"more behind", `{"nodes":[]}{}`, "error"},
		{"deep", strings.Repeat("[", 100_000), "error"},
		{"not json", "\x28\xb5\x2f\xfd", "error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			tree, err := DecodeTree([]byte(c.in))
			if err != nil {
				if c.want != "error" {
					t.Errorf("DecodeTree(%.80s) = %v", c.in, err)
				}
				return
			}
			var names []string
			for _, n := range tree.Nodes {
				names = append(names, n.Name)
			}
			if got := strings.Join(names, "|"); got != c.want {
				t.Errorf("DecodeTree(%.80s) = %q, want %q", c.in, got, c.want)
			}
		})
	}
}

func FuzzDecodeTree(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 1))
	tree := &Tree{Nodes: []Node{randomNode(rnd, "a"), randomNode(rnd, "b\xff"), randomNode(rnd, "c")}}
	f.Add(referenceTree(f, tree))
	f.Add([]byte(`{"nodes":[{"name":"a\\u00a0","type":"file","mtime":"0001-01-01T00:00:00Z","content":[]}]}`))
	f.Fuzz(func(t *testing.T, p []byte) {
		tree, err := DecodeTree(p)
		if err != nil || tree.Validate() != nil {
			return
		}
		enc, err := AppendTree(nil, tree)
		if err != nil {
			return // generic attributes that are not JSON
		}
		back, err := DecodeTree(enc)
		if err != nil {
			t.Fatalf("DecodeTree(AppendTree(x)) = %v for %q", err, enc)
		}
		again, err := AppendTree(nil, back)
		if err != nil || !bytes.Equal(enc, again) {
			t.Errorf("encoding is not stable: %q, then %q, %v", enc, again, err)
		}
	})
}

func FuzzUnquoteName(f *testing.F) {
	for _, name := range oddNames {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := unquoteName(quoteName(s)); err != nil || got != s {
			t.Errorf("unquoteName(quoteName(%q)) = %q, %v", s, got, err)
		}
		if name, err := unquoteName(s); err == nil {
			if got, err := unquoteName(quoteName(name)); err != nil || got != name {
				t.Errorf("unquoteName(quoteName(%q)) = %q, %v", name, got, err)
			}
		}
		for _, text := range []string{s, quoteName(s)} {
			if want, err := json.Marshal(text); err != nil || string(appendString(nil, text)) != string(want) {
				t.Errorf("appendString(%q) = %s, want %s, %v", text, appendString(nil, text), want, err)
			}
		}
	})
}

func BenchmarkTree(b *testing.B) {
	tree := &Tree{}
	when := time.Unix(1700000000, 0).UTC()
	for n := range 64 {
		name := strconv.Itoa(1_000_000_000+n) + ".eml"
		tree.Nodes = append(tree.Nodes, Node{Name: name, Type: FileNode, Mode: 0o600, Size: 5900,
			ModTime: when, AccessTime: when, ChangeTime: when, Content: []ID{Hash([]byte(name))}})
	}
	enc, err := AppendTree(nil, tree)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(len(enc)))
		b.ReportAllocs()
		buf := make([]byte, 0, len(enc))
		for b.Loop() {
			buf, _ = AppendTree(buf[:0], tree)
		}
	})
	b.Run("encode by encoding/json", func(b *testing.B) {
		b.SetBytes(int64(len(enc)))
		b.ReportAllocs()
		for b.Loop() {
			referenceTree(b, tree)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(len(enc)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := DecodeTree(enc); err != nil {
				b.Fatal(err)
			}
		}
	})
}
