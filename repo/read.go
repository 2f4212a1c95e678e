package repo

import (
	"context"
	"errors"
	"fmt"
	"io"

	"roost/blob"
)

// ErrNoBlob says that no index file names the blob.
var ErrNoBlob = errors.New("blob is in no index")

// Has reports whether the blob is in the repository, as far as index files tell. LoadIndex must have run.
func (r *Repo) Has(t BlobType, id ID) bool { return len(r.index.Load().lookup(t, id)) > 0 }

// BlobSize returns the octets of a blob's plaintext, as the index tells it; false if no index file names the blob.
func (r *Repo) BlobSize(t BlobType, id ID) (int, bool) {
	places := r.index.Load().lookup(t, id)
	if len(places) == 0 {
		return 0, false
	}
	return int(places[0].size()), true
}

// LoadBlob returns the plaintext of a blob, in buf's space if that suffices. The bytes were authenticated and have
// the hash that the ID promises. Where one copy is damaged, the next one is tried.
// ErrNoBlob says that no index file names the blob.
func (r *Repo) LoadBlob(ctx context.Context, t BlobType, id ID, buf []byte) ([]byte, error) {
	if err := r.needIndex(ctx); err != nil {
		return nil, err
	}
	x := r.index.Load()
	places := x.lookup(t, id)
	if len(places) == 0 {
		return nil, fmt.Errorf("load %v blob %v: %w", t, id, ErrNoBlob)
	}
	var errs []error
	for i := range places {
		p, err := r.loadPlace(ctx, &places[i], buf)
		if err == nil {
			return p, nil
		}
		errs = append(errs, fmt.Errorf("load %v blob %v: %w", t, id, err))
		if ctx.Err() != nil {
			return nil, errors.Join(errs...)
		}
		if errors.Is(err, blob.ErrNotExist) {
			x.lose(places[i].pack)
		}
	}
	x.doubts.add(t, id)
	return nil, errors.Join(errs...)
}

// loadPlace reads one copy of a blob.
func (r *Repo) loadPlace(ctx context.Context, at *location, buf []byte) ([]byte, error) {
	if err := checkPlace(&at.packed); err != nil {
		return nil, fmt.Errorf("pack %v: %w", at.pack, damaged(err))
	}
	h := blob.Handle{Kind: blob.Pack, Name: at.pack.String()}
	// To clear a new buffer for each blob took a tenth of the time of a restore.
	space := r.sealed.Get().(*[]byte)
	if !at.raw() { // what is not compressed is handed on where it stands
		defer r.sealed.Put(space)
	}
	sealed := grow((*space)[:0], int(at.length))
	*space = sealed
	if err := r.bucket.ReadAt(ctx, h, sealed, int64(at.offset)); err != nil {
		if errors.Is(err, blob.ErrNotExist) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = damaged(err) // the pack is missing, or cut short
		}
		return nil, err
	}
	p, err := r.openBlob(&at.packed, sealed, buf)
	if err != nil {
		return nil, fmt.Errorf("pack %v: %w", at.pack, damaged(err))
	}
	return p, nil
}

// checkPlace refuses what no sane pack has, before memory is taken for it.
func checkPlace(b *packed) error {
	if b.length < sealOverhead || int64(b.length) > int64(maxBlob(b.typ)) {
		return fmt.Errorf("blob %v: stored length %d", b.id, b.length)
	}
	return nil
}

// openBlob decrypts sealed in place, decompresses and verifies. What it returns stands in buf, in sealed, or in new space.
func (r *Repo) openBlob(b *packed, sealed, buf []byte) ([]byte, error) {
	p, err := r.seal.open(sealed)
	if err != nil {
		return nil, fmt.Errorf("blob %v: %w", b.id, err)
	}
	if !b.raw() {
		// The length that the index tells is trusted for the first try only.
		guess := min(int(b.plain), 64*len(p)+64<<10, maxBlob(b.typ))
		if p, err = r.codec.decompress(buf, p, guess, maxBlob(b.typ)); err != nil {
			return nil, fmt.Errorf("blob %v: %w", b.id, err)
		}
	}
	if Hash(p) != b.id {
		return nil, fmt.Errorf("blob %v: %w", b.id, errHash)
	}
	return p, nil
}

// LoadTree returns a directory. The caller must not change it: it may be shared through a cache.
func (r *Repo) LoadTree(ctx context.Context, id ID) (*Tree, error) {
	if t := r.trees.find(id); t != nil {
		return t, nil
	}
	p, err := r.LoadBlob(ctx, TreeBlob, id, nil)
	if err != nil {
		return nil, err
	}
	t, err := DecodeTree(p)
	if err != nil {
		return nil, fmt.Errorf("tree %v: %w", id, damaged(err))
	}
	r.trees.add(id, t, len(p))
	return t, nil
}
