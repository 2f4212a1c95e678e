package repo

import (
	"cmp"
	"context"
	"slices"

	"roost/blob"
)

const (
	bulkGap  = 64 << 10 // octets between two blobs that are rather read than skipped: a request costs more
	bulkRead = 8 << 20  // octets in one read, if it holds more than one blob
)

// LoadBlobs loads many blobs the cheap way: those that stand near each other in a pack are read in one go. It calls fn
// once for every ID (once for one that is listed twice), pack by pack, with the plaintext or with the error that LoadBlob
// would give. p is good during the call only. An error of fn ends the whole and is returned.
//
// It uses one core; callers that want more split their IDs, best by BlobPack.
func (r *Repo) LoadBlobs(ctx context.Context, t BlobType, ids []ID, fn func(id ID, p []byte, err error) error) error {
	return r.loadStored(ctx, t, ids, func(at *location, _, p []byte, err error) error { return fn(at.id, p, err) })
}

// storedBlob is told of a blob: where it stands, its bytes as they are stored, without the sealing, and its plaintext. stored is nil
// if it had to be read from another place than at.
type storedBlob func(at *location, stored, p []byte, err error) error

// loadStored is LoadBlobs for those who want to know more of each blob.
func (r *Repo) loadStored(ctx context.Context, t BlobType, ids []ID, fn storedBlob) error {
	if err := r.needIndex(ctx); err != nil {
		return err
	}
	x := r.index.Load()
	places := make([]location, 0, len(ids))
	for _, id := range ids {
		if found := x.lookup(t, id); len(found) > 0 {
			places = append(places, found[0])
		} else {
			places = append(places, location{packed: packed{id: id, typ: t}}) // LoadBlob words the error
		}
	}
	slices.SortFunc(places, func(a, b location) int {
		if c := slices.Compare(a.pack[:], b.pack[:]); c != 0 {
			return c
		}
		if c := cmp.Compare(a.offset, b.offset); c != 0 {
			return c
		}
		return slices.Compare(a.id[:], b.id[:])
	})
	places = slices.CompactFunc(places, func(a, b location) bool { return a.id == b.id })
	return r.loadPlaces(ctx, places, fn)
}

// loadPlaces is loadStored for places that are known, in their order.
func (r *Repo) loadPlaces(ctx context.Context, places []location, fn storedBlob) error {
	var buf, plain []byte
	for len(places) > 0 {
		n := bulkRun(places)
		var err error
		if buf, plain, err = r.loadRun(ctx, places[:n], buf, plain, fn); err != nil {
			return err
		}
		places = places[n:]
	}
	return nil
}

// BlobPack returns the pack that LoadBlob would read first for the blob, to bring IDs into a good order; false if there is none.
func (r *Repo) BlobPack(t BlobType, id ID) (ID, bool) {
	places := r.index.Load().lookup(t, id)
	if len(places) == 0 {
		return ID{}, false
	}
	return places[0].pack, true
}

// bulkRun returns how many of the sorted places are read together: at least one.
func bulkRun(places []location) int {
	first := &places[0]
	end := uint64(first.offset) + uint64(first.length)
	n := 1
	for n < len(places) && places[n].pack == first.pack {
		at := &places[n]
		next := uint64(at.offset) + uint64(at.length)
		if uint64(at.offset) > end+bulkGap || max(next, end)-uint64(first.offset) > bulkRead {
			break
		}
		end = max(next, end)
		n++
	}
	return n
}

// loadRun reads the places, all of one pack and near each other, and hands each blob to fn.
// It returns its buffers for the next run.
func (r *Repo) loadRun(ctx context.Context, places []location, buf, plain []byte, fn storedBlob) (_, _ []byte, err error) {
	first := &places[0]
	var end uint64
	readable := !first.pack.IsNull()
	for i := range places {
		end = max(end, uint64(places[i].offset)+uint64(places[i].length))
		readable = readable && checkPlace(&places[i].packed) == nil
	}
	if readable {
		buf = grow(buf[:0], int(end-uint64(first.offset)))
		h := blob.Handle{Kind: blob.Pack, Name: first.pack.String()}
		readable = r.bucket.ReadAt(ctx, h, buf, int64(first.offset)) == nil
	}
	for i := range places {
		at := &places[i]
		if err := ctx.Err(); err != nil {
			return nil, nil, context.Cause(ctx)
		}
		var stored, p []byte
		err := errDamaged
		if readable {
			from := at.offset - first.offset
			sealed := buf[from : from+at.length]
			// Blobs that overlap, which only a broken index has, fail here and are read alone below.
			p, err = r.openBlob(&at.packed, sealed, plain)
			stored = sealed[ivSize : len(sealed)-tagSize] // opened in place
		}
		if err != nil {
			stored = nil
			p, err = r.LoadBlob(ctx, at.typ, at.id, plain)
		}
		if cap(p) > cap(plain) && cap(p) <= bulkRead && !at.raw() {
			plain = p
		}
		if err := fn(at, stored, p, err); err != nil {
			return nil, nil, err
		}
	}
	return buf, plain, nil
}
