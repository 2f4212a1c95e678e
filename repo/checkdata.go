package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"roost/blob"
)

// maxPack bounds what is read of one pack, in octets. The format allows 4 GiB; nobody's packs are larger than 128 MiB
// and one blob.
const maxPack = 1 << 30

// readPacks reads every pack that an index file names and verifies all in it.
func (c *checker) readPacks(ctx context.Context, progress func(done, total int)) error {
	ids := make([]ID, 0, len(c.packs))
	for id, p := range c.packs {
		if !p.lost {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b ID) int { return bytes.Compare(a[:], b[:]) })
	var mu sync.Mutex // guards done, and calls of progress
	done := 0
	each(ctx, ids, runtime.GOMAXPROCS(0), func(id ID) {
		if err := c.readPack(ctx, id); err != nil {
			c.problem(blob.Handle{Kind: blob.Pack, Name: id.String()}, err)
		}
		mu.Lock()
		defer mu.Unlock()
		done++
		if progress != nil {
			progress(done, len(ids))
		}
	})
	return ctx.Err()
}

// readPack verifies one pack. It returns what is wrong with the pack, and notes the blobs that are.
func (c *checker) readPack(ctx context.Context, id ID) error {
	h := blob.Handle{Kind: blob.Pack, Name: id.String()}
	p, err := c.repo.bucket.Load(ctx, h, maxPack)
	if err != nil {
		c.lose(id)
		return err
	}
	var errs []error
	if Hash(p) != id {
		errs = append(errs, errHash)
	}
	blobs, err := c.readHeader(p)
	if err == nil {
		err = c.compareHeader(id, blobs)
	}
	if err != nil {
		// The blobs may be whole nevertheless: readers find their places in the index.
		errs = append(errs, err)
		blobs = c.index.inPack(id)
	}
	var plain []byte
	for i := range blobs {
		at := &blobs[i]
		end := uint64(at.offset) + uint64(at.length)
		if end > uint64(len(p)) {
			errs = append(errs, c.spoil(h, id, at, errors.New("behind the end of the pack")))
			continue
		}
		out, err := c.repo.openBlob(at, slices.Clone(p[at.offset:end]), plain)
		if err != nil {
			errs = append(errs, c.spoil(h, id, at, err))
			continue
		}
		if cap(out) > cap(plain) && !at.raw() {
			plain = out
		}
	}
	return errors.Join(errs...)
}

func (c *checker) readHeader(p []byte) ([]packed, error) {
	sealed, _, err := splitPack(p)
	if err != nil {
		return nil, err
	}
	header, err := c.repo.seal.open(slices.Clone(sealed))
	if err != nil {
		return nil, fmt.Errorf("pack header: %w", err)
	}
	return decodeHeader(header)
}

// compareHeader holds a pack's header against the index.
func (c *checker) compareHeader(id ID, blobs []packed) error {
	c.mu.Lock()
	want := c.packs[id].blobs
	c.mu.Unlock()
	if len(blobs) != want {
		return fmt.Errorf("pack header names %d blobs, the index %d", len(blobs), want)
	}
	mixed := false
	for i := range blobs {
		if !c.index.has(id, &blobs[i]) {
			return fmt.Errorf("pack header and index differ on blob %v", blobs[i].id)
		}
		mixed = mixed || blobs[i].typ != blobs[0].typ
	}
	if mixed {
		c.hint(blob.Handle{Kind: blob.Pack, Name: id.String()}, errors.New("pack holds data and trees"))
	}
	return nil
}

// spoil notes a copy of a blob that is no good.
func (c *checker) spoil(h blob.Handle, pack ID, b *packed, err error) error {
	p := c.problem(h, nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	p.Blobs = append(p.Blobs, b.id)
	c.bad[badBlob{pack: pack, id: b.id, typ: b.typ}] = true
	return err
}

func (c *checker) lose(pack ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.packs[pack].lost = true
}
