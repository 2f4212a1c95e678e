package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// differ says where two decodings of one input that the plain reader accepted differ; "" if nowhere.
func differ[T any](plain, patient []T, err error) string {
	switch {
	case err != nil:
		return fmt.Sprintf("the plain reader accepts what encoding/json refuses: %v", err)
	case len(plain) == 0 && len(patient) == 0:
		return ""
	}
	same := cmp.Comparer(func(a, b time.Time) bool {
		_, zoneA := a.Zone()
		_, zoneB := b.Zone()
		return a.Equal(b) && zoneA == zoneB
	})
	// A nil list and an empty one are told apart: they are written differently.
	return cmp.Diff(patient, plain, same, cmp.AllowUnexported(packEntry{}, packed{}))
}

func treesAgree(t *testing.T, p []byte) (plain bool) {
	t.Helper()
	nodes, ok := plainNodes(p)
	if ok {
		patient, err := patientNodes(p)
		if d := differ(nodes, patient, err); d != "" {
			t.Errorf("tree %.300q (-encoding/json +plain):\n%s", p, d)
		}
	}
	return ok
}

func indexesAgree(t *testing.T, p []byte) (plain bool) {
	t.Helper()
	packs, ok := plainIndex(p)
	if ok {
		patient, err := patientIndex(p)
		if d := differ(packs, patient, err); d != "" {
			t.Errorf("index %.300q (-encoding/json +plain):\n%s", p, d)
		}
	}
	return ok
}

// What restic and we write is read without encoding/json, with the same result.
func TestPlainReadsWhatIsUsual(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		tree := &Tree{}
		for n := range rnd.IntN(70) {
			node := randomNode(rnd, fmt.Sprintf("%010d.eml", n))
			if node.Type == "symlink" {
				continue // rare fields
			}
			node.User, node.Error = "alice", ""
			node.Inode, node.Device, node.DeviceID, node.Size, node.Links = node.Inode>>1, 0, 0, node.Size>>1, 1
			tree.Nodes = append(tree.Nodes, node)
		}
		p, err := AppendTree(nil, tree)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(p), `\`) {
			p = bytes.ReplaceAll(p, []byte(`\u003c`), []byte("("))
			p = bytes.ReplaceAll(p, []byte(`\u003e`), []byte(")"))
		}
		if !treesAgree(t, p) {
			t.Errorf("seed %d: the plain reader gave up on %s", seed, p)
		}
	}
	packs := []packEntry{{id: Hash([]byte("a")), blobs: examplePacked()}, {id: Hash([]byte("b")), blobs: examplePacked()[:1]}, {id: Hash([]byte("c"))}}
	for n := range len(packs) + 1 {
		if p := appendIndex(nil, packs[:n]); !indexesAgree(t, p) {
			t.Errorf("the plain reader gave up on %s", p)
		}
	}
}

// What is unusual is read all the same, as encoding/json reads it.
func TestPlainGivesUp(t *testing.T) {
	id, other := Hash(nil).String(), Hash([]byte("x")).String()
	blob := `{"id":"` + id + `","type":"data","offset":1,"length":2}`
	whole := func(blob string) string { return `{"packs":[{"id":"` + other + `","blobs":[` + blob + `]}]}` }
	indexes := map[string]string{
		"white space":           strings.ReplaceAll(whole(blob), ":", ": "),
		"unknown field":         whole(`{"id":"` + id + `","type":"data","offset":1,"length":2,"new":{"a":[1]}}`),
		"unknown field on top":  `{"supersedes":["` + id + `"],` + whole(blob)[1:],
		"other spelling":        whole(strings.Replace(blob, "offset", "Offset", 1)),
		"twice":                 whole(strings.Replace(blob, `"offset":1`, `"offset":1,"offset":7`, 1)),
		"escape":                whole(strings.Replace(blob, "data", `d\u0061ta`, 1)),
		"null number":           whole(strings.Replace(blob, `"offset":1`, `"offset":null`, 1)),
		"null blobs":            `{"packs":[{"id":"` + other + `","blobs":null}]}`,
		"null packs":            `{"packs":null}`,
		"nothing":               `{}`,
		"blobs before the id":   `{"packs":[{"blobs":[` + blob + `],"id":"` + other + `"}]}`,
		"fields in other order": whole(`{"length":2,"offset":1,"id":"` + id + `","type":"tree"}`),
	}
	for name, text := range indexes {
		t.Run("index "+name, func(t *testing.T) {
			indexesAgree(t, []byte(text))
			got, err := decodeIndex([]byte(text))
			want, wantErr := patientIndex([]byte(text))
			if err != nil || wantErr != nil {
				t.Fatalf("decodeIndex(%s) = %v, encoding/json %v", text, err, wantErr)
			}
			if d := differ(got, want, nil); d != "" {
				t.Errorf("decodeIndex(%s):\n%s", text, d)
			}
		})
	}
	for name, text := range map[string]string{
		"upper-case id": whole(strings.ToUpper(id)), "number too large": whole(strings.Replace(blob, `"offset":1`, `"offset":4294967296`, 1)),
		"leading zero": whole(strings.Replace(blob, `"offset":1`, `"offset":01`, 1)), "no type": whole(`{"id":"` + id + `"}`),
		"pack without id": `{"packs":[{"blobs":[]}]}`, "two documents": whole(blob) + whole(blob), "cut off": whole(blob)[:100],
		"comma behind the last": whole(blob + ","), "empty": "",
	} {
		if got, err := decodeIndex([]byte(text)); err == nil {
			t.Errorf("decodeIndex of an index with %s = %v, want an error", name, got)
		}
	}
}

// restic's matrix of odd trees: each is read, and no field is lost by the way it was read.
func TestOddTreesAreRead(t *testing.T) {
	id := Hash(nil).String()
	times := `"mtime":"2024-05-06T07:08:09.123+02:00","atime":"2024-05-06T07:08:09Z","ctime":"0001-01-01T00:00:00Z"`
	for name, text := range map[string]string{
		"usual":            `{"nodes":[{"name":"a","type":"file","mode":384,` + times + `,"uid":1,"gid":2,"size":3,"content":["` + id + `"]}]}` + "\n",
		"unknown field":    `{"nodes":[{"name":"a","type":"file","future":{"x":[1,null]},"content":[]}]}`,
		"any order":        `{"nodes":[{"content":["` + id + `"],` + times + `,"type":"file","name":"a"}]}`,
		"null content":     `{"nodes":[{"name":"a","type":"file","content":null}]}`,
		"empty content":    `{"nodes":[{"name":"a","type":"file","content":[]}]}`,
		"null nodes":       `{"nodes":null}`,
		"no times":         `{"nodes":[{"name":"a","type":"dir","subtree":"` + id + `"}]}`,
		"null time":        `{"nodes":[{"name":"a","type":"file","mtime":null,"content":[]}]}`,
		"escaped name":     `{"nodes":[{"name":"a\\u00a0\u003c","type":"file","content":[]}]}`,
		"bytes, not UTF-8": "{\"nodes\":[{\"name\":\"a\xff\",\"type\":\"file\",\"content\":[]}]}",
		"attributes":       `{"nodes":[{"name":"a","type":"file","extended_attributes":[{"name":"user.x","value":"eA=="}],"generic_attributes":{"q":1},"content":[]}]}`,
		"large number":     `{"nodes":[{"name":"a","type":"file","inode":18446744073709551615,"content":[]}]}`,
		"other spelling":   `{"NODES":[{"Name":"a","TYPE":"file","content":[]}]}`,
		"twice":            `{"nodes":[{"name":"b","name":"a","type":"file","content":["` + id + `"],"content":[]}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			treesAgree(t, []byte(text))
			got, err := decodeNodes([]byte(text))
			want, wantErr := patientNodes([]byte(text))
			for i := range want {
				want[i].Name, _ = unquoteName(want[i].Name)
			}
			if errors.Join(err, wantErr) != nil {
				t.Fatalf("decodeNodes = %v, encoding/json %v", err, wantErr)
			}
			if d := differ(got, want, nil); d != "" {
				t.Errorf("decodeNodes(%s):\n%s", text, d)
			}
		})
	}
}

// Whatever bytes come, the plain readers do not panic, and what they accept encoding/json reads the same.
func FuzzPlain(f *testing.F) {
	rnd := rand.New(rand.NewPCG(1, 3))
	for _, name := range oddNames {
		if name != "." {
			f.Add(referenceTree(f, &Tree{Nodes: []Node{randomNode(rnd, name), randomNode(rnd, "z")}}))
		}
	}
	f.Add([]byte(`{"nodes":[{"name":"","type":"file","mtime":"","content":null}]}`))
	f.Add(appendIndex(nil, []packEntry{{id: Hash(nil), blobs: examplePacked()}, {id: Hash([]byte("b"))}}))
	f.Fuzz(func(t *testing.T, p []byte) {
		keep := slices.Clone(p)
		treesAgree(t, p)
		indexesAgree(t, p)
		if !bytes.Equal(p, keep) {
			t.Errorf("reading changed %q into %q", keep, p)
		}
	})
}

// Usual files with some bytes changed: no change makes the plain reader go another way than encoding/json.
func TestPlainAfterChanges(t *testing.T) {
	pieces := []string{`null`, `[]`, `{}`, `"`, `,`, `:`, `\`, `0`, `-`, ` `, "\n", `e1`, `.5`, `"type"`, `"name":"x",`, "\xff", "Z", "F", "\u2028", "99999999999999999999"}
	seeds := uint64(10_000)
	if testing.Short() {
		seeds = 1000
	}
	for seed := range seeds {
		rnd := rand.New(rand.NewPCG(seed, 4))
		var p []byte
		if seed%2 == 0 {
			p, _ = AppendTree(nil, &Tree{Nodes: []Node{randomNode(rnd, "a.eml"), randomNode(rnd, "b")}})
		} else {
			p = appendIndex(nil, []packEntry{{id: Hash(nil), blobs: examplePacked()[:2]}, {id: Hash([]byte("b"))}})
		}
		for range 1 + rnd.IntN(2) {
			from := rnd.IntN(len(p))
			to := min(len(p), from+rnd.IntN(3)*rnd.IntN(8))
			p = slices.Replace(p, from, to, []byte(pieces[rnd.IntN(len(pieces))])...)
		}
		treesAgree(t, p)
		indexesAgree(t, p)
		if t.Failed() {
			t.Fatalf("seed %d, valid JSON: %v", seed, json.Valid(p))
		}
	}
}
