package repo

import (
	"context"
	"fmt"
	"sync"

	"roost/blob"
)

// doubts are the blobs of which no copy could be read since the index was loaded. To take such a blob for stored would make new
// snapshots as damaged as the old one, so it is stored again when someone has it. The zero value is ready.
type doubts struct {
	mu    sync.Mutex // guards what follows
	blobs map[typedID]bool
}

type typedID struct {
	typ BlobType
	id  ID
}

func (d *doubts) add(t BlobType, id ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.blobs == nil {
		d.blobs = map[typedID]bool{}
	}
	d.blobs[typedID{t, id}] = true
}

// has reports whether the blob is in doubt.
func (d *doubts) has(t BlobType, id ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.blobs[typedID{t, id}]
}

// take is has, and then the blob is in doubt no more: the caller stores it.
func (d *doubts) take(t BlobType, id ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	doubted := d.blobs[typedID{t, id}]
	delete(d.blobs, typedID{t, id})
	return doubted
}

// FindLostPacks looks which packs are not there that index files name: their blobs are not trusted from then on. It costs one
// listing. LoadIndex must have run.
func (r *Repo) FindLostPacks(ctx context.Context) error {
	there := map[string]bool{}
	for e, err := range r.bucket.List(ctx, blob.Pack) {
		if err != nil {
			return fmt.Errorf("look for lost packs: %w", err)
		}
		there[e.Name] = true
	}
	x := r.index.Load()
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range x.packs {
		p := &x.packs[i]
		p.lost = p.lost || p.owner == nil && !p.id.IsNull() && !there[p.id.String()]
	}
	return nil
}

// lose notes that a pack is not there.
func (x *index) lose(pack ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if n, ok := x.byPack[pack]; ok {
		x.packs[n].lost = true
	}
}

// trusts reports whether a place of the blob is known that nothing speaks against.
func (x *index) trusts(t BlobType, id ID) bool {
	if x.doubts.has(t, id) {
		return false
	}
	sh := &x.shards[id[0]]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for at := sh.head(&id); at != 0; {
		rec := sh.at(at)
		if rec.id == id && rec.typ() == t {
			if info := x.pack(rec); info.owner == nil && !info.lost {
				return true
			}
		}
		at = rec.next
	}
	return false
}

// Trusts reports whether an index file names the blob, and reading it, or the pack that it is in, did not fail since the index
// was loaded. It reads nothing. LoadIndex must have run.
func (r *Repo) Trusts(t BlobType, id ID) bool { return r.index.Load().trusts(t, id) }
