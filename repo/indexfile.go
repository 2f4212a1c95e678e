package repo

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"sync"

	"roost/blob"
)

// An index file is an unpacked object:
//
//	{"packs":[{"id":"..","blobs":[{"id":"..","type":"data","offset":0,"length":123,"uncompressed_length":456},..]},..]}
//
// uncompressed_length stands for compressed blobs only. All blobs of a pack stand in one index file.
// restic takes a file below 50,000 blobs for not full, and merges such files when it prunes.
const maxIndexBlobs = 50_000

type indexFile struct {
	Packs elements[indexPack] `json:"packs"`
}

type indexPack struct {
	ID    ID                  `json:"id"`
	Blobs elements[indexBlob] `json:"blobs"`
}

type indexBlob struct {
	ID                 ID     `json:"id"`
	Type               string `json:"type"`
	Offset             uint32 `json:"offset"`
	Length             uint32 `json:"length"`
	UncompressedLength uint32 `json:"uncompressed_length"`
}

// packEntry is a pack as an index file names it.
type packEntry struct {
	id    ID
	blobs []packed
}

// appendIndex appends the JSON of an index file.
func appendIndex(dst []byte, packs []packEntry) []byte {
	dst = append(dst, `{"packs":[`...)
	for i, p := range packs {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"id":"`...)
		dst = hex.AppendEncode(dst, p.id[:])
		dst = append(dst, `","blobs":[`...)
		for j := range p.blobs {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = appendIndexBlob(dst, &p.blobs[j])
		}
		dst = append(dst, `]}`...)
	}
	return append(dst, "]}\n"...)
}

func appendIndexBlob(dst []byte, b *packed) []byte {
	dst = append(dst, `{"id":"`...)
	dst = hex.AppendEncode(dst, b.id[:])
	dst = append(dst, `","type":"`...)
	dst = append(dst, b.typ.String()...)
	dst = append(dst, `","offset":`...)
	dst = strconv.AppendUint(dst, uint64(b.offset), 10)
	dst = append(dst, `,"length":`...)
	dst = strconv.AppendUint(dst, uint64(b.length), 10)
	if b.plain > 0 {
		dst = append(dst, `,"uncompressed_length":`...)
		dst = strconv.AppendUint(dst, uint64(b.plain), 10)
	}
	return append(dst, '}')
}

// decodeIndex reads an index file, by whomever written.
func decodeIndex(p []byte) ([]packEntry, error) {
	if packs, ok := plainIndex(p); ok {
		return packs, nil
	}
	return patientIndex(p)
}

// patientIndex reads an index file in any JSON.
func patientIndex(p []byte) ([]packEntry, error) {
	var f indexFile
	if err := json.Unmarshal(p, &f); err != nil {
		return nil, fmt.Errorf("decode index: %w", err)
	}
	packs := make([]packEntry, 0, len(f.Packs))
	for _, ip := range f.Packs {
		if ip.ID.IsNull() {
			return nil, errors.New("decode index: pack without id")
		}
		e := packEntry{id: ip.ID, blobs: make([]packed, len(ip.Blobs))}
		for i, ib := range ip.Blobs {
			b := packed{id: ib.ID, offset: ib.Offset, length: ib.Length, plain: ib.UncompressedLength}
			switch ib.Type {
			case "data":
			case "tree":
				b.typ = TreeBlob
			default:
				return nil, fmt.Errorf("decode index: pack %v: unknown blob type %q", ip.ID, ib.Type)
			}
			e.blobs[i] = b
		}
		packs = append(packs, e)
	}
	return packs, nil
}

// LoadIndex makes the blobs of all index files known that are not known yet. If a file vanished since the last call
// (a prune ran), everything is loaded anew. Cheap when nothing changed: one listing. A damaged file is passed over, and
// tried again by the next call: IndexDamage tells of it, and its blobs are not found unless another file names them.
func (r *Repo) LoadIndex(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	present, fresh := map[ID]bool{}, []ID{}
	for e, err := range r.bucket.List(ctx, blob.Index) {
		if err != nil {
			return fmt.Errorf("load index: %w", err)
		}
		id, err := ParseID(e.Name)
		if err != nil {
			return fmt.Errorf("load index: %w", err)
		}
		present[id] = true
		if !r.loaded[id] {
			fresh = append(fresh, id)
		}
	}
	x := r.index.Load()
	for id := range r.loaded {
		if !present[id] {
			x, fresh = newIndex(), fresh[:0]
			for id := range present {
				fresh = append(fresh, id)
			}
			break
		}
	}
	bad, err := r.loadIndexFiles(ctx, fresh, func(_ ID, packs []packEntry) error {
		for _, p := range packs {
			n := x.addPack(p.id)
			for i := range p.blobs {
				x.add(n, &p.blobs[i])
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load index: %w", err)
	}
	for id := range bad {
		delete(present, id)
	}
	r.index.Store(x)
	r.loaded, r.badIndex = present, bad
	return nil
}

// IndexDamage joins one error for each index file that the last LoadIndex could not read because it is damaged; nil if
// all were read. What only those files name is not found.
func (r *Repo) IndexDamage() error {
	r.loading.Lock()
	defer r.loading.Unlock()
	var errs []error
	for _, id := range slices.SortedFunc(maps.Keys(r.badIndex), func(a, b ID) int { return bytes.Compare(a[:], b[:]) }) {
		errs = append(errs, r.badIndex[id])
	}
	return errors.Join(errs...)
}

// loadIndexFiles loads the index files, a few at a time, and hands each to use, which must be safe for concurrent use.
// It returns which are damaged, and why. The first other error ends it and is returned.
func (r *Repo) loadIndexFiles(ctx context.Context, ids []ID, use func(ID, []packEntry) error) (bad map[ID]error, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan ID)
	bad = map[ID]error{}
	var mu sync.Mutex // guards bad
	var wg sync.WaitGroup
	for range min(len(ids), max(2, runtime.GOMAXPROCS(0))) {
		wg.Go(func() {
			for id := range next {
				err := r.loadIndexFile(ctx, id, use)
				if errors.Is(err, ErrDamaged) {
					mu.Lock()
					bad[id] = err
					mu.Unlock()
				} else if err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, id := range ids {
		select {
		case next <- id:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	return bad, context.Cause(ctx)
}

func (r *Repo) loadIndexFile(ctx context.Context, id ID, use func(ID, []packEntry) error) error {
	p, err := r.loadUnpacked(ctx, blob.Index, id)
	if err != nil {
		return err
	}
	packs, err := decodeIndex(p)
	if err != nil {
		return fmt.Errorf("index %v: %w", id, damaged(err))
	}
	return use(id, packs)
}

// needIndex loads the index unless that was done.
func (r *Repo) needIndex(ctx context.Context) error {
	r.loading.Lock()
	done := r.loaded != nil
	r.loading.Unlock()
	if done {
		return nil
	}
	return r.LoadIndex(ctx)
}

// dropIndex forgets the index: the next who needs it loads it anew.
func (r *Repo) dropIndex() {
	r.loading.Lock()
	defer r.loading.Unlock()
	r.index.Store(newIndex())
	r.loaded, r.badIndex = nil, nil
}

// indexFiles are the files that are in the index, in order.
func (r *Repo) indexFiles() []ID {
	r.loading.Lock()
	defer r.loading.Unlock()
	return slices.SortedFunc(maps.Keys(r.loaded), compareIDs)
}
