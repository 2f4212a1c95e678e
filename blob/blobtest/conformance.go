// Package blobtest holds what tests of buckets share: the conformance test that every driver must pass,
// a bucket in memory, and a bucket that fails when told to. It is not for programs.
package blobtest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"roost/blob"
)

// Handle returns the handle that body has as an object of that kind.
func Handle(kind blob.Kind, body []byte) blob.Handle {
	if kind == blob.Config {
		return blob.Handle{Kind: kind}
	}
	sum := sha256.Sum256(body)
	return blob.Handle{Kind: kind, Name: hex.EncodeToString(sum[:])}
}

// Run holds a driver to the contracts of blob.Bucket. open returns an empty bucket each time.
func Run(t *testing.T, open func(t *testing.T) blob.Bucket) {
	t.Run("objects come back as saved", func(t *testing.T) { testRoundTrip(t, open(t)) })
	t.Run("what is missing is ErrNotExist", func(t *testing.T) { testMissing(t, open(t)) })
	t.Run("what exists is not replaced", func(t *testing.T) { testExisting(t, open(t)) })
	t.Run("ranges", func(t *testing.T) { testRanges(t, open(t)) })
	t.Run("names that are none are refused", func(t *testing.T) { testBadNames(t, open(t)) })
	t.Run("many at once", func(t *testing.T) { testParallel(t, open(t)) })
	t.Run("one config of two at once", func(t *testing.T) { testConfigRace(t, open(t)) })
}

func testRoundTrip(t *testing.T, b blob.Bucket) {
	ctx := t.Context()
	for _, kind := range append(blob.Kinds(), blob.Config) {
		for _, size := range []int{0, 1, 4096, 3 << 20} {
			body := bytes.Repeat([]byte{byte(size), byte(kind), 7}, size/3+1)[:size]
			h := Handle(kind, body)
			if kind == blob.Config && size != 4096 {
				continue
			}
			if err := b.Save(ctx, h, body); err != nil {
				t.Fatalf("Save(%v) = %v", h, err)
			}
			if got, err := b.Load(ctx, h, int64(size)); err != nil || !bytes.Equal(got, body) {
				t.Errorf("Load(%v) = %d octets, %v, want the %d that were saved", h, len(got), err, size)
			}
			if n, err := b.Stat(ctx, h); err != nil || n != int64(size) {
				t.Errorf("Stat(%v) = %d, %v, want %d", h, n, err, size)
			}
			if size > 0 {
				if _, err := b.Load(ctx, h, int64(size)-1); err == nil {
					t.Errorf("Load(%v) with a limit one too small: no error", h)
				}
			}
		}
	}
	for _, kind := range blob.Kinds() {
		sizes := map[int64]int{}
		for e, err := range b.List(ctx, kind) {
			if err != nil {
				t.Fatalf("List(%v): %v", kind, err)
			}
			sizes[e.Size]++
		}
		if len(sizes) != 4 || sizes[0] != 1 || sizes[1] != 1 || sizes[4096] != 1 || sizes[3<<20] != 1 {
			t.Errorf("List(%v) gave sizes %v, want 0, 1, 4096 and 3 MiB once each", kind, sizes)
		}
	}
}

func testMissing(t *testing.T, b blob.Bucket) {
	ctx := t.Context()
	for _, kind := range append(blob.Kinds(), blob.Config) {
		h := Handle(kind, []byte("never saved"))
		if _, err := b.Load(ctx, h, 10); !errors.Is(err, blob.ErrNotExist) {
			t.Errorf("Load(%v) = %v, want ErrNotExist", h, err)
		}
		if err := b.ReadAt(ctx, h, make([]byte, 1), 0); !errors.Is(err, blob.ErrNotExist) {
			t.Errorf("ReadAt(%v) = %v, want ErrNotExist", h, err)
		}
		if err := b.ReadAt(ctx, h, nil, 0); !errors.Is(err, blob.ErrNotExist) {
			t.Errorf("ReadAt(%v) of nothing = %v, want ErrNotExist", h, err)
		}
		if _, err := b.Stat(ctx, h); !errors.Is(err, blob.ErrNotExist) {
			t.Errorf("Stat(%v) = %v, want ErrNotExist", h, err)
		}
		if err := b.Remove(ctx, h); !errors.Is(err, blob.ErrNotExist) {
			t.Errorf("Remove(%v) = %v, want ErrNotExist", h, err)
		}
		for e, err := range b.List(ctx, kind) {
			t.Errorf("List(%v) of an empty bucket gave %v, %v", kind, e, err)
		}
	}
}

func testExisting(t *testing.T, b blob.Bucket) {
	ctx := t.Context()
	for _, kind := range append(blob.Kinds(), blob.Config) {
		h := Handle(kind, []byte("first"))
		if err := b.Save(ctx, h, []byte("first")); err != nil {
			t.Fatalf("Save(%v) = %v", h, err)
		}
		if err := b.Save(ctx, h, []byte("other")); !errors.Is(err, blob.ErrExist) {
			t.Errorf("second Save(%v) = %v, want ErrExist", h, err)
		}
		if got, err := b.Load(ctx, h, 100); err != nil || string(got) != "first" {
			t.Errorf("Load(%v) after a second Save = %q, %v, want the first", h, got, err)
		}
		if err := b.Remove(ctx, h); err != nil {
			t.Errorf("Remove(%v) = %v", h, err)
		}
		if err := b.Save(ctx, h, []byte("again")); err != nil {
			t.Errorf("Save(%v) after Remove = %v", h, err)
		}
	}
}

func testRanges(t *testing.T, b blob.Bucket) {
	ctx := t.Context()
	body := []byte("0123456789")
	h := Handle(blob.Pack, body)
	if err := b.Save(ctx, h, body); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		off  int64
		n    int
		want string
		err  error
	}{
		{0, 10, "0123456789", nil},
		{3, 4, "3456", nil},
		{9, 1, "9", nil},
		{4, 0, "", nil},
		{5, 6, "", io.ErrUnexpectedEOF},
		{10, 1, "", io.ErrUnexpectedEOF},
		{99, 1, "", io.ErrUnexpectedEOF},
	} {
		p := make([]byte, c.n)
		err := b.ReadAt(ctx, h, p, c.off)
		if !errors.Is(err, c.err) || (err == nil && string(p) != c.want) {
			t.Errorf("ReadAt(%d octets at %d) = %q, %v, want %q, %v", c.n, c.off, p, err, c.want, c.err)
		}
	}
}

func testBadNames(t *testing.T, b blob.Bucket) {
	ctx := t.Context()
	for _, h := range []blob.Handle{
		{Kind: blob.Pack},
		{Kind: blob.Pack, Name: "../../etc/passwd"},
		{Kind: blob.Key, Name: "zz"},
		{Kind: blob.Config, Name: "x"},
		{Kind: 99, Name: Handle(blob.Pack, nil).Name},
	} {
		if err := b.Save(ctx, h, []byte("x")); err == nil {
			t.Errorf("Save(%v): no error", h)
		}
		if _, err := b.Load(ctx, h, 1); err == nil {
			t.Errorf("Load(%v): no error", h)
		}
		if err := b.Remove(ctx, h); err == nil {
			t.Errorf("Remove(%v): no error", h)
		}
	}
}

func testParallel(t *testing.T, b blob.Bucket) {
	ctx := t.Context()
	const writers, each = 8, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				// Every object is saved by two writers, so the same name is written at once now and then.
				body := fmt.Appendf(nil, "object %d of pair %d", i, w/2)
				if err := b.Save(ctx, Handle(blob.Pack, body), body); err != nil && !errors.Is(err, blob.ErrExist) {
					t.Errorf("Save = %v", err)
				}
			}
		})
	}
	wg.Wait()
	n := 0
	for e, err := range b.List(ctx, blob.Pack) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := b.Load(ctx, blob.Handle{Kind: blob.Pack, Name: e.Name}, 100)
		if err != nil || Handle(blob.Pack, body).Name != e.Name {
			t.Errorf("object %s holds %q, %v", e.Name, body, err)
		}
		n++
	}
	if n != writers/2*each {
		t.Errorf("List gave %d objects, want %d", n, writers/2*each)
	}
}

func testConfigRace(t *testing.T, b blob.Bucket) {
	ctx := t.Context()
	won := make(chan byte, 8)
	var wg sync.WaitGroup
	for i := range byte(8) {
		wg.Go(func() {
			err := b.Save(ctx, blob.Handle{Kind: blob.Config}, []byte{i})
			if err == nil {
				won <- i
			} else if !errors.Is(err, blob.ErrExist) {
				t.Errorf("Save(config) = %v, want nil or ErrExist", err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of 8 writers of config succeeded, want 1", len(won))
	}
	got, err := b.Load(ctx, blob.Handle{Kind: blob.Config}, 1)
	if err != nil || got[0] != <-won {
		t.Errorf("Load(config) = %v, %v, want what the winner wrote", got, err)
	}
}
