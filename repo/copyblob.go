package repo

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
)

const copyBatch = 64 << 10 // blobs that are sorted by pack and copied together: 2 MB of IDs

// saveCompressed stores a blob whose zstd frame is at hand, and whose plaintext has size octets and was found to be that of
// id: SaveBlob without the work. It does not keep frame.
func (s *Session) saveCompressed(ctx context.Context, t BlobType, id ID, frame []byte, size int) (known bool, stored int, err error) {
	if err := ctx.Err(); err != nil {
		return false, 0, err
	}
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.index.claim(s, s.claims, t, id) {
		return true, 0, nil
	}
	stored, err = s.put(t, id, frame, size)
	return false, stored, err
}

// put stores a blob whose zstd frame is at hand, claimed or not. The gate is held.
func (s *Session) put(t BlobType, id ID, frame []byte, size int) (stored int, err error) {
	buf := s.scratch.Get().(*[]byte)
	defer s.scratch.Put(buf)
	sealed := s.repo.seal.seal((*buf)[:0], frame)
	*buf = sealed
	return len(sealed), s.pack(&packed{id: id, typ: t, length: uint32(len(sealed)), plain: uint32(size)}, sealed, size)
}

// A blobCopier copies blobs from one repository to another, in the order in which they stand in packs, with several workers.
type blobCopier struct {
	from *Repo
	to   *Session

	need [2][]ID // by type, not handed to the workers yet

	tasks   chan copyTask
	workers sync.WaitGroup
	waiting sync.WaitGroup // for tasks

	mu     sync.Mutex // guards what follows
	copied int64      // blobs
	octets int64      // of them, as stored
	bad    error      // of the source: why a blob could not be read
	broken error      // of the destination, or of the session
	told   func()     // called when something was copied; safe for concurrent use
}

// copyTask are blobs of one pack.
type copyTask struct {
	typ BlobType
	ids []ID
}

func newBlobCopier(ctx context.Context, from *Repo, to *Session, told func()) *blobCopier {
	c := &blobCopier{from: from, to: to, tasks: make(chan copyTask), told: told}
	for range max(4, runtime.GOMAXPROCS(0)) { // more than cores: a remote place makes us wait
		c.workers.Go(func() {
			for task := range c.tasks {
				c.run(ctx, task)
				c.waiting.Done()
			}
		})
	}
	return c
}

// close waits for the workers.
func (c *blobCopier) close() {
	close(c.tasks)
	c.workers.Wait()
}

// want asks for a blob that the destination lacks.
func (c *blobCopier) want(t BlobType, id ID) {
	c.need[t] = append(c.need[t], id)
	if len(c.need[t]) >= copyBatch {
		c.dispatch(t)
	}
}

// dispatch hands what is needed to the workers, pack by pack, and waits while all are busy.
func (c *blobCopier) dispatch(t BlobType) {
	ids := c.need[t]
	c.need[t] = nil
	packs := make(map[ID][]ID)
	var order []ID // as they are first met, so that what belongs together stays near
	for _, id := range ids {
		pack, _ := c.from.BlobPack(t, id)
		if packs[pack] == nil {
			order = append(order, pack)
		}
		packs[pack] = append(packs[pack], id)
	}
	for _, pack := range order {
		c.waiting.Add(1)
		c.tasks <- copyTask{t, packs[pack]}
	}
}

// wait returns when everything that was wanted is saved in the session, with the errors since the last call: bad are the source's.
func (c *blobCopier) wait() (bad, broken error) {
	c.dispatch(DataBlob)
	c.dispatch(TreeBlob)
	c.waiting.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	bad, c.bad = c.bad, nil
	return bad, c.broken
}

func (c *blobCopier) run(ctx context.Context, task copyTask) {
	var source error
	err := c.from.loadStored(ctx, task.typ, task.ids, func(at *location, stored, p []byte, err error) error {
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			source = errors.Join(source, err)
			return nil
		}
		var known bool
		var size int
		if stored == nil || at.raw() {
			_, known, size, err = c.to.SaveBlob(ctx, task.typ, p, Text)
		} else {
			known, size, err = c.to.saveCompressed(ctx, task.typ, at.id, stored, len(p))
		}
		if err == nil && !known {
			c.count(size)
		}
		return err
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bad == nil {
		c.bad = source
	}
	if c.broken == nil {
		c.broken = err
	}
}

func (c *blobCopier) count(size int) {
	c.mu.Lock()
	c.copied++
	c.octets += int64(size)
	c.mu.Unlock()
	c.told()
}

// sum returns how many blobs were copied, and their octets.
func (c *blobCopier) sum() (blobs, octets int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.copied, c.octets
}

// packOrder brings IDs into the order of their packs and cuts them into parts, so that each worker reads packs of its own.
func (r *Repo) packOrder(t BlobType, ids []ID, parts int) [][]ID {
	packs := make(map[ID]ID, len(ids))
	for _, id := range ids {
		packs[id], _ = r.BlobPack(t, id)
	}
	slices.SortFunc(ids, func(a, b ID) int {
		pa, pb := packs[a], packs[b]
		return slices.Compare(pa[:], pb[:])
	})
	return slices.Collect(slices.Chunk(ids, max(1, (len(ids)+parts-1)/parts)))
}
