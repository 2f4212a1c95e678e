package repo

import (
	"errors"
	"slices"
	"testing"

	"roost/blob"
)

// A damaged index file hides only what it alone names: the rest is read, and the next session stores anew what it misses.
func TestDamagedIndexIsPassedOver(t *testing.T) {
	r, b := newMemoryRepo(t)
	if err := backup(t.Context(), r, 0, 20); err != nil {
		t.Fatal(err)
	}
	var first blob.Entry
	for e, err := range b.List(t.Context(), blob.Index) {
		if err != nil {
			t.Fatal(err)
		}
		first = e
	}
	if err := backup(t.Context(), r, 20, 40); err != nil {
		t.Fatal(err)
	}
	h := blob.Handle{Kind: blob.Index, Name: first.Name}
	good, err := b.Load(t.Context(), h, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{"flipped": flip(good), "cut short": good[:len(good)/2], "empty": {}} {
		b.Put(h, body)
		r = reopen(t, b)
		if err := r.IndexDamage(); err != nil {
			t.Errorf("%s: IndexDamage before it was loaded = %v", name, err)
		}
		holds(t, r, 20, 40) // which the other file names
		if err := r.IndexDamage(); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: IndexDamage = %v, want %v", name, err, ErrDamaged)
		}
		if known := r.Has(DataBlob, Hash(message(3))); known {
			t.Errorf("%s: what only the damaged file names is known", name)
		}
	}
	b.Put(h, good)
	if err := r.LoadIndex(t.Context()); err != nil || r.IndexDamage() != nil {
		t.Errorf("LoadIndex of the mended file = %v, IndexDamage %v", err, r.IndexDamage())
	}
	if !r.Has(DataBlob, Hash(message(3))) {
		t.Error("the mended file was not read")
	}

	b.Put(h, flip(good))
	r = reopen(t, b)
	if err := backup(t.Context(), r, 0, 40); err != nil {
		t.Fatalf("a session beside a damaged index file: %v", err)
	}
	holds(t, reopen(t, b), 0, 40)
}

func flip(p []byte) []byte {
	p = slices.Clone(p)
	p[len(p)/2] ^= 1
	return p
}
