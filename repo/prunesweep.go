package repo

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"sync"

	"roost/blob"
)

// tell says that one more pack was copied or removed. One call at a time.
func (p *pruner) tell() {
	p.done++
	if p.o.Progress != nil {
		p.o.Progress(p.done, p.total)
	}
}

// leaving are the packs that no index file names any more.
func (p *pruner) leaving() (ids []ID) {
	for i := range p.packs {
		if u := &p.packs[i]; u.fate != keepPack && u.size != missing {
			ids = append(ids, u.id)
		}
	}
	return ids
}

func (p *pruner) remove(ctx context.Context, ids []ID) error {
	_, err := p.repo.removeObjects(ctx, blob.Pack, ids, func(int, int) { p.tell() })
	return err
}

// repack copies what is needed out of the packs that are to be repacked. When it returns nil, all of that is durable, and named.
func (p *pruner) repack(ctx context.Context, l *Lock) error {
	if p.report.Repacked == 0 {
		return nil
	}
	return p.repo.write(ctx, l, WriteOptions{PackSize: p.o.PackSize}, func(ctx context.Context, s *Session) error {
		ctx, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		tasks := make(chan []location)
		var mu sync.Mutex // held for calls of tell
		var workers sync.WaitGroup
		for range max(4, runtime.GOMAXPROCS(0)) { // more than cores: a remote place makes us wait
			workers.Go(func() {
				for places := range tasks {
					if err := p.copyOut(ctx, s, places); err != nil {
						stop(err)
					}
					mu.Lock()
					p.tell()
					mu.Unlock()
				}
			})
		}
		err := p.eachRepacked(ctx, func(places []location) bool {
			select {
			case tasks <- places:
				return true
			case <-ctx.Done():
				return false
			}
		})
		close(tasks)
		workers.Wait()
		return cmp.Or(context.Cause(ctx), err)
	})
}

// eachRepacked yields what is needed of each pack that is to be repacked, in the order in which it stands there.
func (p *pruner) eachRepacked(ctx context.Context, yield func([]location) bool) error {
	copied := make([]bool, len(p.packs)) // two index files may name a pack
	for _, id := range p.files {
		entries, err := p.entries(ctx, id)
		if err != nil {
			return err
		}
		for _, e := range entries {
			n := p.index.number(e.id)
			if p.packs[n].fate != repackPack || copied[n] {
				continue
			}
			copied[n] = true
			var places []location
			for _, b := range inOrder(e.blobs) {
				if p.marks.needed(n, &b) {
					places = append(places, location{pack: e.id, packed: b})
				}
			}
			if !yield(places) {
				return nil
			}
		}
	}
	return nil
}

// entries reads an index file again: to hold all of them in the order of packs would take as much memory as the index.
func (p *pruner) entries(ctx context.Context, id ID) (entries []packEntry, err error) {
	err = p.repo.loadIndexFile(ctx, id, func(_ ID, packs []packEntry) error {
		entries = packs
		return nil
	})
	return entries, err
}

// copyOut stores blobs of one pack anew, though they are known. Each is verified before.
func (p *pruner) copyOut(ctx context.Context, s *Session, places []location) error {
	return p.repo.loadPlaces(ctx, places, func(at *location, stored, plain []byte, err error) error {
		if err != nil {
			return fmt.Errorf("copy out of pack %v: %w", at.pack, asDamage(err))
		}
		s.gate.RLock()
		defer s.gate.RUnlock()
		if stored == nil || at.raw() {
			_, err = s.store(at.typ, at.id, plain, Text)
		} else {
			_, err = s.put(at.typ, at.id, stored, len(plain))
		}
		return err
	})
}

// An indexRewrite gathers packs for new index files.
type indexRewrite struct {
	pruner  *pruner
	named   []bool // packs that a file names that stays, or is pending
	pending []packEntry
	blobs   int  // in pending
	old     []ID // files whose place others take

	few  []smallIndex // files that are small, as long as they are no more than a handful
	many bool         // they are more: all are merged
}

// smallIndex is an index file that is right but small.
type smallIndex struct {
	id      ID
	entries []packEntry
}

// replaceIndexes writes index files that do not name the packs that go, in the place of those that do; and merges small ones, where there are
// many. No file is removed before all are written.
func (p *pruner) replaceIndexes(ctx context.Context) error {
	w := &indexRewrite{pruner: p, named: make([]bool, len(p.packs))}
	for _, id := range p.files {
		entries, err := p.entries(ctx, id)
		if err != nil {
			return err
		}
		if err := w.take(ctx, id, entries); err != nil {
			return err
		}
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	gone, err := p.repo.removeObjects(ctx, blob.Index, w.old, nil)
	p.report.IndexesRemoved = len(gone)
	return err
}

// take decides whether an index file stays.
func (w *indexRewrite) take(ctx context.Context, id ID, entries []packEntry) error {
	kept, blobs := make([]packEntry, 0, len(entries)), 0
	for _, e := range entries {
		n := w.pruner.index.number(e.id)
		if w.pruner.packs[n].fate != keepPack || w.named[n] {
			continue
		}
		w.named[n] = true
		kept = append(kept, e)
		blobs += len(e.blobs)
	}
	switch {
	case len(kept) < len(entries) || len(entries) == 0:
	case blobs >= maxIndexBlobs/2:
		return nil
	default:
		w.few = append(w.few, smallIndex{id, kept})
		if w.many = w.many || len(w.few) >= handful; !w.many {
			return nil
		}
		few := w.few
		w.few = nil
		for _, f := range few {
			if err := w.replace(ctx, f.id, f.entries); err != nil {
				return err
			}
		}
		return nil
	}
	return w.replace(ctx, id, kept)
}

// replace puts what an index file names into the next one.
func (w *indexRewrite) replace(ctx context.Context, id ID, entries []packEntry) error {
	w.old = append(w.old, id)
	for _, e := range entries {
		w.pending = append(w.pending, e)
		if w.blobs += len(e.blobs); w.blobs >= maxIndexBlobs {
			if err := w.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *indexRewrite) flush(ctx context.Context) error {
	if len(w.pending) == 0 {
		return nil
	}
	body := appendIndex(make([]byte, 0, 160*w.blobs+128*len(w.pending)), w.pending)
	if _, err := w.pruner.repo.saveUnpacked(ctx, blob.Index, body); err != nil {
		return fmt.Errorf("write index: %w", err)
	}
	w.pruner.report.IndexesWritten++
	w.pending, w.blobs = nil, 0
	return nil
}
