package repo

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"roost/blob"
)

// packer gathers the blobs of one type into packs. There is one for all workers: taking a blob in is a copy,
// so its lock is held for a few microseconds, and a small run makes one pack.
type packer struct {
	typ BlobType

	mu  sync.Mutex // guards what follows
	cur *pack      // nil while none is open
}

// pack is a pack in the making, and on its way.
type pack struct {
	number uint32 // in the index
	body   []byte
	blobs  []packed
	id     ID            // set when sealed
	done   chan struct{} // closed when the pack is durable
}

// add copies a sealed blob into the open pack and notes its place. It returns the pack if it is full now.
func (k *packer) add(s *Session, b *packed, sealed []byte) (full *pack, err error) {
	for {
		k.mu.Lock()
		if k.cur != nil {
			full = k.append(s, b, sealed)
			k.mu.Unlock()
			return full, nil
		}
		k.mu.Unlock()
		// Wait for a buffer without the lock; whoever comes back first opens the pack.
		select {
		case buf := <-s.buffers:
			if !k.open(s, buf) {
				s.buffers <- buf
			}
		case <-s.stopped:
			return nil, s.broken()
		}
	}
}

// open begins a pack in buf; false if another worker did so meanwhile.
func (k *packer) open(s *Session, buf []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.cur != nil {
		return false
	}
	if buf == nil && k.typ == DataBlob {
		// Pages that are not touched cost nothing, and a first backup fills them all.
		buf = make([]byte, 0, s.packSize+s.packSize/16)
	}
	k.cur = &pack{number: s.index.openPack(s), body: buf, done: make(chan struct{})}
	return true
}

// append is called with the lock held.
func (k *packer) append(s *Session, b *packed, sealed []byte) (full *pack) {
	p := k.cur
	b.offset = uint32(len(p.body))
	p.body = append(p.body, sealed...)
	p.blobs = append(p.blobs, *b)
	s.index.settle(s.claims, p.number, b)
	if len(p.body) < s.packSize && len(p.blobs) < maxPackBlobs {
		return nil
	}
	k.cur = nil
	s.track(p)
	return p
}

// take returns the open pack and leaves none; nil if there was none.
func (k *packer) take() *pack {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.cur
	k.cur = nil
	return p
}

// track notes that p is on its way, so that Flush waits for it.
func (s *Session) track(p *pack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moving[p] = true
}

// send hands p to the uploads, and waits until one is free.
func (s *Session) send(p *pack) error {
	select {
	case s.full <- p:
		return nil
	case <-s.stopped:
		return s.broken()
	}
}

// upload makes p durable, and writes an index file when there is enough for one.
func (s *Session) upload(ctx context.Context, p *pack) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	s.finish(p)
	h := blob.Handle{Kind: blob.Pack, Name: p.id.String()}
	if err := s.repo.bucket.Save(ctx, h, p.body); err != nil {
		return err
	}
	s.buffers <- p.body[:0]
	p.body = nil
	s.mu.Lock()
	delete(s.moving, p)
	if len(s.pending) == 0 {
		s.oldest = time.Now()
	}
	s.pending = append(s.pending, p)
	s.blobs += len(p.blobs)
	due := s.blobs >= maxIndexBlobs || time.Since(s.oldest) >= indexAge
	s.mu.Unlock()
	close(p.done)
	if due {
		return s.writeIndex(ctx)
	}
	return nil
}

// finish appends the header and gives p its name.
func (s *Session) finish(p *pack) {
	header := appendHeader(make([]byte, 0, len(p.blobs)*packEntryZstd), p.blobs)
	n := len(p.body)
	p.body = s.repo.seal.seal(p.body, header)
	p.body = binary.LittleEndian.AppendUint32(p.body, uint32(len(p.body)-n))
	p.id = Hash(p.body)
}

// writeIndex stores one index file that names all packs that none names yet, and then makes their blobs known to all.
// When it returns nil, every pack that was durable before the call is named by a durable index file.
func (s *Session) writeIndex(ctx context.Context) error {
	select {
	case s.indexing <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-s.indexing }()
	s.mu.Lock()
	packs := s.pending
	s.pending, s.blobs = nil, 0
	s.mu.Unlock()
	if len(packs) == 0 {
		return nil
	}
	if err := s.lock.Settled(ctx); err != nil {
		s.putBack(packs)
		return fmt.Errorf("write index: %w", err)
	}
	n := 0
	entries := make([]packEntry, len(packs))
	for i, p := range packs {
		entries[i] = packEntry{id: p.id, blobs: p.blobs}
		n += len(p.blobs)
	}
	body := appendIndex(make([]byte, 0, 160*n+128*len(packs)), entries)
	id, err := s.repo.saveUnpacked(ctx, blob.Index, body)
	if err != nil {
		s.putBack(packs)
		return fmt.Errorf("write index: %w", err)
	}
	s.index.publish(packs)
	s.repo.noteIndex(s.index, id)
	return nil
}

// putBack leaves packs for the next index file, if only that of salvage.
func (s *Session) putBack(packs []*pack) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(packs, s.pending...)
	s.blobs = 0
	for _, p := range s.pending {
		s.blobs += len(p.blobs)
	}
}

// salvage indexes what was uploaded before the session broke, so that the next run need not store it again.
// It is a favour: what it cannot do is lost work, not lost mail.
func (s *Session) salvage(ctx context.Context) {
	select {
	case <-s.lock.settled:
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), salvageTime)
	defer cancel()
	// The error that ended the session is what the caller must hear of, not this one.
	_ = s.writeIndex(ctx)
}

const salvageTime = 20 * time.Second

// noteIndex adds an index file of our own to the loaded ones: its blobs are in x already.
func (r *Repo) noteIndex(x *index, id ID) {
	r.loading.Lock()
	defer r.loading.Unlock()
	if r.index.Load() == x {
		r.loaded[id] = true
	}
}
