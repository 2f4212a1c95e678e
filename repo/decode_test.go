package repo

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roost/blob"
	"roost/blob/blobtest"
)

func examplePacked() []packed {
	var blobs []packed
	var offset uint32
	for n := range 5 {
		b := packed{id: Hash(message(n)), typ: BlobType(n % 2), offset: offset, length: uint32(100 + n), plain: uint32(n * 90)}
		blobs = append(blobs, b)
		offset += b.length
	}
	return blobs
}

// An index file is what encoding/json writes of it, and is read back.
func TestIndexFile(t *testing.T) {
	packs := []packEntry{{id: Hash([]byte("a")), blobs: examplePacked()}, {id: Hash([]byte("b")), blobs: examplePacked()[:1]}, {id: Hash([]byte("c")), blobs: []packed{}}}
	type wireBlob struct {
		ID                 ID     `json:"id"`
		Type               string `json:"type"`
		Offset             uint32 `json:"offset"`
		Length             uint32 `json:"length"`
		UncompressedLength uint32 `json:"uncompressed_length,omitempty"`
	}
	type wirePack struct {
		ID    ID         `json:"id"`
		Blobs []wireBlob `json:"blobs"`
	}
	var wire struct {
		Packs []wirePack `json:"packs"`
	}
	for _, p := range packs {
		w := wirePack{ID: p.id, Blobs: []wireBlob{}}
		for _, b := range p.blobs {
			w.Blobs = append(w.Blobs, wireBlob{b.id, b.typ.String(), b.offset, b.length, b.plain})
		}
		wire.Packs = append(wire.Packs, w)
	}
	want, err := json.Marshal(wire)
	if err != nil {
		t.Fatal(err)
	}
	got := appendIndex(nil, packs)
	if string(got) != string(want)+"\n" {
		t.Errorf("appendIndex = %s, want %s", got, want)
	}
	back, err := decodeIndex(got)
	if diff := cmp.Diff(packs, back, cmp.AllowUnexported(packEntry{}, packed{})); err != nil || diff != "" {
		t.Errorf("decodeIndex(appendIndex(x)) = %v, differs:\n%s", err, diff)
	}
}

// Unknown fields of an index are fine; what cannot be a blob is not.
func TestDecodeIndexTolerance(t *testing.T) {
	id := Hash(nil).String()
	for in, ok := range map[string]bool{
		`{"packs":[]}`:   true,
		`{"packs":null}`: true,
		`{}`:             true,
		`{"supersedes":["` + id + `"],"x":{},"packs":[{"id":"` + id + `","y":1,"blobs":[{"id":"` + id + `","type":"tree","offset":1,"length":2,"z":[]}]}]}`: true,
		`{"packs":[{"id":"` + id + `","blobs":[{"id":"` + id + `","type":"door","offset":1,"length":2}]}]}`:                                                 false,
		`{"packs":[{"id":"` + id + `","blobs":[{"id":"` + id + `","type":"data","offset":-1,"length":2}]}]}`:                                                false,
		`{"packs":[{"id":"` + id + `","blobs":[{"id":"` + id + `","type":"data","offset":1,"length":4294967296}]}]}`:                                        false,
		`{"packs":[{"id":"` + id[1:] + `","blobs":[]}]}`:                                                                                                    false,
		`{"packs":[{"id":"` + strings.ToUpper(id) + `","blobs":[]}]}`:                                                                                       false,
		`{"packs":[{"blobs":[]}]}`:           false,
		``:                                   false,
		strings.Repeat(`{"packs":[`, 20_000): false,
	} {
		if _, err := decodeIndex([]byte(in)); (err == nil) != ok {
			t.Errorf("decodeIndex(%.100s) = %v, want ok %v", in, err, ok)
		}
	}
}

// A pack's header comes back, and a header cut anywhere else than between entries is refused.
func TestPackHeader(t *testing.T) {
	blobs := examplePacked()
	p := appendHeader(nil, blobs)
	got, err := decodeHeader(p)
	if err != nil || !slices.Equal(got, blobs) {
		t.Errorf("decodeHeader(appendHeader(x)) = %v, %v, want %v", got, err, blobs)
	}
	ends := map[int]bool{0: true}
	at := 0
	for i := range blobs {
		at += blobs[i].headerSize()
		ends[at] = true
	}
	for n := range p {
		if _, err := decodeHeader(p[:n]); (err == nil) != ends[n] {
			t.Errorf("decodeHeader of %d octets = %v", n, err)
		}
	}
	huge := binary.LittleEndian.AppendUint32([]byte{0}, 1<<32-1)
	huge = append(huge, make([]byte, 32)...)
	if _, err := decodeHeader(append(huge, huge...)); err == nil {
		t.Error("a pack of 8 GiB was accepted")
	}
}

func FuzzDecodeIndex(f *testing.F) {
	f.Add(appendIndex(nil, []packEntry{{id: Hash(nil), blobs: examplePacked()}}))
	f.Fuzz(func(t *testing.T, p []byte) {
		packs, err := decodeIndex(p)
		if err != nil {
			return
		}
		back, err := decodeIndex(appendIndex(nil, packs))
		if diff := cmp.Diff(packs, back, cmp.AllowUnexported(packEntry{}, packed{})); err != nil || diff != "" {
			t.Errorf("decodeIndex(appendIndex(x)) = %v, differs:\n%s", err, diff)
		}
	})
}

func FuzzDecodeHeader(f *testing.F) {
	f.Add(appendHeader(nil, examplePacked()))
	f.Add([]byte{4})
	f.Fuzz(func(t *testing.T, p []byte) {
		blobs, err := decodeHeader(p)
		if err != nil {
			return
		}
		back, err := decodeHeader(appendHeader(nil, blobs))
		if err != nil || !slices.Equal(back, blobs) {
			t.Errorf("decodeHeader(appendHeader(%v)) = %v, %v", blobs, back, err)
		}
		splitPack(p)
	})
}

func FuzzUnpack(f *testing.F) {
	c, err := newCodec()
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"packs":[]}`))
	f.Add(c.compress([]byte{unpackedVersion}, []byte(`{"time":"2020-01-01T00:00:00Z"}`), Text))
	f.Add(c.compress([]byte{unpackedVersion}, make([]byte, 1<<20), Text))
	f.Fuzz(func(t *testing.T, p []byte) {
		const limit = 4 << 20
		if len(p) > 0 && p[0] == unpackedVersion {
			if out, err := c.decompress(nil, p[1:], 0, limit); err == nil && len(out) > limit {
				t.Errorf("decompress gave %d octets, the limit is %d", len(out), limit)
			}
			return
		}
		c.unpack(p, 1<<30)
	})
}

// oddRepo stores one file by hand, so that every deviation can be made.
type oddRepo struct {
	*Repo
	b     *blobtest.Memory
	packs []packEntry
}

// pack stores a pack of the payloads, compressed or not as given.
func (o *oddRepo) pack(t *testing.T, blobs []packed, payloads [][]byte) {
	t.Helper()
	var body []byte
	for i := range blobs {
		blobs[i].offset = uint32(len(body))
		body = o.seal.seal(body, payloads[i])
		blobs[i].length = uint32(len(body)) - blobs[i].offset
	}
	n := len(body)
	body = o.seal.seal(body, appendHeader(nil, blobs))
	body = binary.LittleEndian.AppendUint32(body, uint32(len(body)-n))
	o.b.Put(blobtest.Handle(blob.Pack, body), body)
	o.packs = append(o.packs, packEntry{id: Hash(body), blobs: blobs})
}

// What restic reads, odd as it is, we read: the rows of the tolerance matrix that concern readers.
func TestReadersAreTolerant(t *testing.T) {
	file := message(1)
	treeJSON := func(extra string) []byte {
		return fmt.Appendf(nil, `{%s"nodes":[{"name":"a","type":"file","size":%d,"content":["%v"]}]}`, extra, len(file), Hash(file))
	}
	for _, c := range []struct {
		name string
		make func(t *testing.T, o *oddRepo) (tree ID, index []byte)
		hint bool // check hints at it
	}{
		{"raw blobs, mixed pack, bare JSON index", func(t *testing.T, o *oddRepo) (ID, []byte) {
			tree := treeJSON("")
			o.pack(t, []packed{{id: Hash(file)}, {id: Hash(tree), typ: TreeBlob}}, [][]byte{file, tree})
			return Hash(tree), appendIndex(nil, o.packs)
		}, true},
		{"unknown fields", func(t *testing.T, o *oddRepo) (ID, []byte) {
			tree := treeJSON(`"x":{"y":1},`)
			o.pack(t, []packed{{id: Hash(file)}}, [][]byte{file})
			o.pack(t, []packed{{id: Hash(tree), typ: TreeBlob}}, [][]byte{tree})
			return Hash(tree), bytes.Replace(appendIndex(nil, o.packs), []byte("{"), []byte(`{"supersedes":["`+Hash(nil).String()+`"],"z":0,`), 1)
		}, false},
		{"several frames and a wrong plaintext length", func(t *testing.T, o *oddRepo) (ID, []byte) {
			tree := treeJSON("")
			z := o.codec.compress(nil, file[:50], Text)
			z = append(z, 0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 'x', 'y', 'z') // a skippable frame
			z = o.codec.compress(z, file[50:], Base64)
			o.pack(t, []packed{{id: Hash(file), plain: 7}}, [][]byte{z})
			o.pack(t, []packed{{id: Hash(tree), typ: TreeBlob, plain: 1 << 31}}, [][]byte{o.codec.compress(nil, tree, Text)})
			return Hash(tree), appendIndex(nil, o.packs)
		}, true}, // the size of the file then differs from that of its blobs
		{"orphan pack and duplicate blobs", func(t *testing.T, o *oddRepo) (ID, []byte) {
			tree := treeJSON("")
			o.pack(t, []packed{{id: Hash(file)}}, [][]byte{file})
			o.packs = nil
			o.pack(t, []packed{{id: Hash(file)}, {id: Hash(file)}}, [][]byte{file, file})
			o.pack(t, []packed{{id: Hash(tree), typ: TreeBlob}}, [][]byte{tree})
			return Hash(tree), appendIndex(nil, o.packs)
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, b := newMemoryRepo(t)
			o := &oddRepo{Repo: r, b: b}
			tree, index := c.make(t, o)
			for kind, body := range map[blob.Kind][]byte{blob.Index: index, blob.Snapshot: fmt.Appendf(nil, `{"new":1,"time":"0001-01-01T00:00:00Z","tree":"%v"}`, tree)} {
				sealed := r.seal.seal(nil, body)
				b.Put(blobtest.Handle(kind, sealed), sealed)
			}
			if clean, out := newRestic(t, export(t, b)).verdict(t, "--read-data"); !clean {
				t.Fatalf("restic does not take it:\n%s", out)
			}
			sn, err := r.LatestSnapshot(t.Context(), SnapshotFilter{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.LoadTree(t.Context(), *sn.Tree)
			if err != nil || len(got.Nodes) != 1 {
				t.Fatalf("LoadTree = %v, %v", got, err)
			}
			if p, err := r.LoadBlob(t.Context(), DataBlob, got.Nodes[0].Content[0], nil); err != nil || !bytes.Equal(p, file) {
				t.Errorf("LoadBlob = %d octets, %v", len(p), err)
			}
			report, err := r.Check(t.Context(), CheckOptions{ReadData: true})
			if err != nil || !report.OK() || (len(report.Hints) > 0) != c.hint {
				t.Errorf("Check = %v, %v, hints %v, want hints %v", report.Problems, err, report.Hints, c.hint)
			}
			if err := backup(context.WithoutCancel(t.Context()), r, 0, 5); err != nil {
				t.Errorf("a run on it: %v", err)
			}
		})
	}
}
