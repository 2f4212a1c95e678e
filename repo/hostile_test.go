package repo

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"roost/blob"
	"roost/blob/blobtest"
)

// craft is a repository that somebody fills by hand who has its key.
type craft struct {
	oddRepo
	t *testing.T
}

func newCraft(t *testing.T) *craft {
	t.Helper()
	r, b := newMemoryRepo(t)
	return &craft{oddRepo{Repo: r, b: b}, t}
}

// put stores an object of JSON as it is, under the right name.
func (c *craft) put(kind blob.Kind, plain []byte) ID {
	c.t.Helper()
	sealed := c.seal.seal(nil, plain)
	h := blobtest.Handle(kind, sealed)
	c.b.Put(h, sealed)
	id, err := ParseID(h.Name)
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

// bomb is n octets in a small unpacked object: begin, then fill over and over, then end.
func (c *craft) bomb(begin, fill, end string, n int) []byte {
	p := append([]byte(begin), bytes.Repeat([]byte(fill), n/len(fill))...)
	return c.codec.compress([]byte{unpackedVersion}, append(p, end...), Text)
}

// tree stores a tree blob of any bytes, in a pack that the index names, and a snapshot of it.
func (c *craft) tree(plain []byte) (tree, sn ID) {
	c.t.Helper()
	id := Hash(plain)
	c.pack(c.t, []packed{{id: id, typ: TreeBlob, plain: uint32(len(plain))}}, [][]byte{c.codec.compress(nil, plain, Text)})
	c.put(blob.Index, appendIndex(nil, c.packs))
	return id, c.put(blob.Snapshot, fmt.Appendf(nil, `{"time":"2026-01-01T00:00:00Z","paths":["/a"],"tags":["roost"],"tree":"%v"}`, id))
}

// mustRefuse holds that an error is one of damage, says why, and that check names the object.
func (c *craft) mustRefuse(what string, err error, why string) {
	c.t.Helper()
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), why) {
		c.t.Errorf("%s: %v, want ErrDamaged and %q", what, err, why)
	}
	report, err := reopen(c.t, c.b).Check(c.t.Context(), CheckOptions{ReadData: true})
	if err == nil && report.OK() {
		c.t.Errorf("%s: check finds nothing", what)
	}
}

// What decompresses to more than any program writes is refused, before it is in memory.
func TestBombsAreRefused(t *testing.T) {
	t.Run("snapshot", func(t *testing.T) {
		c := newCraft(t)
		id := c.put(blob.Snapshot, c.bomb(`{"tags":["`, "a", `"]}`, 65<<20))
		_, err := c.LoadSnapshot(t.Context(), id)
		c.mustRefuse("LoadSnapshot", err, "more than 67108864 octets")
	})
	t.Run("lock", func(t *testing.T) {
		c := newCraft(t)
		id := c.put(blob.Lock, c.bomb(`{"hostname":"`, "a", `"}`, 2<<20))
		_, err := c.loadUnpacked(t.Context(), blob.Lock, id)
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("a lock: %v, want ErrDamaged", err)
		}
	})
	t.Run("index of empty blobs", func(t *testing.T) {
		c := newCraft(t)
		c.put(blob.Index, c.bomb(`{"packs":[{"id":"`+Hash(nil).String()+`","blobs":[`, "{},", "{}]}]}", 8<<20))
		if err := c.LoadIndex(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.mustRefuse("LoadIndex", c.IndexDamage(), "elements in a list")
	})
	for _, tree := range []struct{ name, begin, fill, end string }{
		{"tree of empty nodes", `{"nodes":[`, "{},", "{}]}"},
		{"tree of short nodes", `{"nodes":[`, `{"name":"a"},`, `{"name":"a"}]}`},
		{"tree of short nodes, in other words", `{ "nodes":[`, `{"name":"a"},`, `{"name":"a"}]}`},
	} {
		t.Run(tree.name, func(t *testing.T) {
			c := newCraft(t)
			p := append([]byte(tree.begin), bytes.Repeat([]byte(tree.fill), 1<<20)...)
			id, _ := c.tree(append(p, tree.end...))
			_, err := c.LoadTree(t.Context(), id)
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "elements in a list") {
				t.Errorf("LoadTree = %v, want ErrDamaged by the number of elements", err)
			}
		})
	}
	t.Run("blob that says it is short", func(t *testing.T) {
		c := newCraft(t)
		id := Hash([]byte("whatever"))
		c.pack(t, []packed{{id: id, plain: 8}}, [][]byte{c.codec.compress(nil, make([]byte, maxDataBlob+1), Text)})
		c.put(blob.Index, appendIndex(nil, c.packs))
		_, err := c.LoadBlob(t.Context(), DataBlob, id, nil)
		c.mustRefuse("LoadBlob", err, fmt.Sprintf("more than %d octets", maxDataBlob))
	})
}

// An index may say what it likes of where a blob is and how long: the blob is refused, and no memory is taken for what it says.
func TestLiesOfAnIndexAreRefused(t *testing.T) {
	for _, lie := range []struct {
		name string
		tell func(*packed)
		why  string
	}{
		{"too long", func(b *packed) { b.length = 1<<32 - 1 }, "stored length"},
		{"longer than the pack", func(b *packed) { b.length += 1 << 20 }, "EOF"},
		{"no room for the seal", func(b *packed) { b.length = sealOverhead - 1 }, "stored length"},
		{"beyond the pack", func(b *packed) { b.offset = 1<<32 - 1 }, "EOF"},
		{"another blob's bytes", func(b *packed) { b.id = Hash([]byte("another")) }, "do not match"},
		{"compressed, which it is not", func(b *packed) { b.plain = 100 }, "decompress"},
	} {
		t.Run(lie.name, func(t *testing.T) {
			c := newCraft(t)
			file := message(1)
			c.pack(t, []packed{{id: Hash(file)}}, [][]byte{file})
			told := c.packs[0].blobs[0]
			lie.tell(&told)
			c.put(blob.Index, appendIndex(nil, []packEntry{{id: c.packs[0].id, blobs: []packed{told}}}))
			_, err := c.LoadBlob(t.Context(), DataBlob, told.id, nil)
			c.mustRefuse("LoadBlob", err, lie.why)
		})
	}
}

// A pack's own header may lie as well: check says so, and reads no further than the pack.
func TestLiesOfAPackAreFound(t *testing.T) {
	for _, lie := range []struct {
		name string
		tell func(body []byte) []byte
	}{
		{"header longer than the pack", func(b []byte) []byte { return append(b[:len(b)-4:len(b)-4], 0xff, 0xff, 0xff, 0) }},
		{"header of nothing", func(b []byte) []byte { return append(b[:len(b)-4:len(b)-4], 0, 0, 0, 0) }},
		{"cut short", func(b []byte) []byte { return b[:10] }},
	} {
		t.Run(lie.name, func(t *testing.T) {
			c := newCraft(t)
			file := message(1)
			c.pack(t, []packed{{id: Hash(file)}}, [][]byte{file})
			old := blob.Handle{Kind: blob.Pack, Name: c.packs[0].id.String()}
			body, err := c.b.Load(t.Context(), old, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			body = lie.tell(bytes.Clone(body))
			h := blobtest.Handle(blob.Pack, body)
			c.b.Put(h, body)
			if err := c.b.Remove(t.Context(), old); err != nil {
				t.Fatal(err)
			}
			if c.packs[0].id, err = ParseID(h.Name); err != nil {
				t.Fatal(err)
			}
			c.put(blob.Index, appendIndex(nil, c.packs))
			report, err := c.Check(t.Context(), CheckOptions{ReadData: true})
			if err != nil || report.OK() {
				t.Errorf("Check = %v, %v, want a problem", report, err)
			}
		})
	}
}

// A directory that stands in itself cannot be: its name is the hash of what is in it. One that claims so is another, and
// refused.
func TestCycleIsRefused(t *testing.T) {
	c := newCraft(t)
	self := Hash([]byte("the tree that stands in itself"))
	plain := fmt.Appendf(nil, `{"nodes":[{"name":"a","type":"dir","subtree":"%v"}]}`, self)
	c.pack(t, []packed{{id: self, typ: TreeBlob}}, [][]byte{plain})
	c.put(blob.Index, appendIndex(nil, c.packs))
	c.put(blob.Snapshot, fmt.Appendf(nil, `{"time":"2026-01-01T00:00:00Z","paths":["/a"],"tree":"%v"}`, self))
	_, err := c.LoadTree(t.Context(), self)
	c.mustRefuse("LoadTree", err, "do not match")
}

// Names that lead out of their directory, or that stand twice, are refused, whatever they are quoted as.
func TestHostileNodeNamesAreRefused(t *testing.T) {
	for _, name := range []string{"..", ".", "", "a/b", "/etc/passwd", `..\\x2f..\\x2fetc`, `\\x2e\\x2e`, `a\\x00`, `..\\u002fetc`} {
		t.Run(name, func(t *testing.T) {
			c := newCraft(t)
			id, _ := c.tree(fmt.Appendf(nil, `{"nodes":[{"name":"%s","type":"file","mode":384,"content":[]}]}`, name))
			if _, err := c.LoadTree(t.Context(), id); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "bad node name") {
				t.Errorf("LoadTree with a file %q = %v, want ErrDamaged", name, err)
			}
		})
	}
	c := newCraft(t)
	id, _ := c.tree([]byte(`{"nodes":[{"name":"a","type":"file","content":[]},{"name":"\\x61","type":"file","content":[]}]}`))
	if _, err := c.LoadTree(t.Context(), id); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "two nodes") {
		t.Errorf("LoadTree with a name twice = %v, want ErrDamaged", err)
	}
}

// Objects that are moved below another name, or that were sealed with another key, are refused.
func TestMovedObjectsAreRefused(t *testing.T) {
	c := newCraft(t)
	_, sn := c.tree([]byte(`{"nodes":[]}`))
	body, err := c.b.Load(t.Context(), blob.Handle{Kind: blob.Snapshot, Name: sn.String()}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	moved := Hash([]byte("elsewhere"))
	c.b.Put(blob.Handle{Kind: blob.Snapshot, Name: moved.String()}, body)
	_, err = c.LoadSnapshot(t.Context(), moved)
	c.mustRefuse("LoadSnapshot by another name", err, "do not match")

	other, err := newSealer(newMasterKey())
	if err != nil {
		t.Fatal(err)
	}
	sealed := other.seal(nil, []byte(`{"time":"2026-01-01T00:00:00Z","tree":"`+Hash(nil).String()+`"}`))
	h := blobtest.Handle(blob.Snapshot, sealed)
	c.b.Put(h, sealed)
	id, err := ParseID(h.Name)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.LoadSnapshot(t.Context(), id)
	c.mustRefuse("LoadSnapshot of another key", err, "authentication failed")
}

// However a repository, its session and its password are printed, no key and no password is in it; nor is it in an error.
func TestDumpsShowNoSecret(t *testing.T) {
	const password = "correct horse battery staple"
	b := &blobtest.Memory{}
	r, err := Init(t.Context(), b, NewPassword(password), InitOptions{KDF: CheapKDF})
	if err != nil {
		t.Fatal(err)
	}
	key := r.seal.key
	secrets := []string{password, fmt.Sprint([]byte(password)), hex.EncodeToString([]byte(password))}
	for _, k := range [][]byte{key.encrypt[:], key.k[:], key.r[:]} {
		secrets = append(secrets, string(k), hex.EncodeToString(k), strings.Trim(fmt.Sprint(k), "[]"), strings.Trim(fmt.Sprintf("%#v", k), "[]byte{}"))
	}
	nested := struct {
		password Password
		Repo     *Repo
		seal     *sealer
	}{NewPassword(password), r, r.seal}
	_, wrong := Open(t.Context(), b, NewPassword(password+"!"))
	_, none := r.LoadSnapshot(t.Context(), Hash(nil))
	for _, v := range []any{nested, &nested, r, r.seal, key, nested.password, wrong, none} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, v)
			for _, secret := range secrets {
				if strings.Contains(text, secret) {
					t.Errorf("%s of %T shows %q", verb, v, secret)
				}
			}
		}
	}
}

// Authenticators are compared in constant time: in this file of the repository and nowhere else, by crypto/subtle.
func TestMACsAreComparedInConstantTime(t *testing.T) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "crypto.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			of, ok := n.X.(*ast.Ident)
			switch {
			case ok && of.Name == "subtle" && n.Sel.Name == "ConstantTimeCompare":
				compared++
			case ok && of.Name == "bytes":
				t.Errorf("%v: bytes.%s", fset.Position(n.Pos()), n.Sel.Name)
			}
		case *ast.BinaryExpr:
			if id, ok := n.X.(*ast.Ident); ok && id.Name == "tag" && (n.Op == token.EQL || n.Op == token.NEQ) {
				t.Errorf("%v: a tag is compared by %v", fset.Position(n.Pos()), n.Op)
			}
		}
		return true
	})
	if compared != 1 {
		t.Errorf("crypto.go compares by crypto/subtle %d times, want once", compared)
	}
}
