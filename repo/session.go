package repo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"roost/blob"
)

// DefaultPackSize is restic's, in octets.
const DefaultPackSize = 16 << 20

const (
	minPackTarget = 4 << 20
	maxPackTarget = 128 << 20

	// MaxBlob is the largest plaintext that SaveBlob takes, in octets. Readers hold a blob in memory several times.
	MaxBlob = 8 << 20

	indexAge = 10 * time.Minute // an index is written when its first pack is that old, so that a crash costs no more
)

// WriteOptions adjusts a Session; the zero value is right for a local bucket.
type WriteOptions struct {
	PackSize int // octets at which a pack is closed, 4 to 128 MiB; default DefaultPackSize
	Uploads  int // packs on their way at once; default blob.ParallelOf. Memory is PackSize times Uploads + 1
}

// A Session stores blobs. All its methods are safe for concurrent use by any number of workers.
//
// A blob that SaveBlob answered for is safe once Flush or SaveSnapshot returned nil, not before.
// After an error of the bucket the session is broken: every later call returns that error.
type Session struct {
	repo     *Repo
	index    *index
	lock     *Lock
	packSize int
	claims   uint32          // number that stands for "claimed, not in a pack yet"
	stopped  <-chan struct{} // closed when nothing will be uploaded any more
	broken   func() error    // why

	buffers chan []byte // empty pack buffers; as many as may exist
	full    chan *pack  // to the uploads
	scratch sync.Pool   // of *[]byte, for one sealed blob

	// Every SaveBlob holds it for reading from its claim until the blob stands in a pack. So Flush, which takes it for
	// writing, sees every blob that some other worker was told is known.
	gate    sync.RWMutex
	packers [2]packer // by blob type

	indexing chan struct{} // holds one token: index files are written one after the other

	mu      sync.Mutex // guards what follows
	moving  map[*pack]bool
	pending []*pack   // durable, named by no index file yet
	oldest  time.Time // when the first of pending became durable
	blobs   int       // in pending

	stats counters
}

// counters are what a session added, for the summary of a snapshot.
type counters struct {
	blobs  [2]atomic.Int64 // by type
	plain  atomic.Int64
	stored atomic.Int64
}

// Added is what a session has stored that the repository did not hold before.
type Added struct {
	DataBlobs, TreeBlobs int
	Plain                int64 // octets before compression
	Stored               int64 // octets in packs, without headers
}

// Write locks the repository (shared: other writers may run, prune may not), brings the index up to date and calls fn
// with a Session. When fn returns nil, everything is flushed. When it returns an error, blobs of packs that were already
// uploaded are still indexed, so that the next run finds them. The context given to fn is cancelled with ctx, and when a pack
// cannot be stored or the lock is lost; the cause is then Write's error. The Session outlives ctx: when that ends, fn can
// still save what there is, with a context of its own.
//
// A second Write on the same Repo waits for the first; concurrent work shares one Session.
func (r *Repo) Write(ctx context.Context, o WriteOptions, fn func(ctx context.Context, s *Session) error) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	lasting, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	detach := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	return r.WithLock(lasting, Shared, func(held context.Context, l *Lock) error {
		if err := r.LoadIndex(held); err != nil {
			return err
		}
		if !detach() {
			return context.Cause(ctx)
		}
		return r.write(held, l, o, func(up context.Context, s *Session) error {
			working, stop := context.WithCancelCause(ctx)
			defer stop(nil)
			defer context.AfterFunc(up, func() { stop(context.Cause(up)) })()
			return fn(working, s)
		})
	})
}

// write runs fn with a session that lives until ctx ends.
func (r *Repo) write(ctx context.Context, l *Lock, o WriteOptions, fn func(ctx context.Context, s *Session) error) error {
	if o.PackSize == 0 {
		o.PackSize = DefaultPackSize
	}
	if o.PackSize < minPackTarget || o.PackSize > maxPackTarget {
		return fmt.Errorf("pack size of %d octets, want 4 to 128 MiB", o.PackSize)
	}
	if o.Uploads == 0 {
		o.Uploads = blob.ParallelOf(r.bucket)
	}
	up, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := newSession(r, l, o)
	s.stopped = up.Done()
	s.broken = func() error { return context.Cause(up) }

	var wg sync.WaitGroup
	for range o.Uploads {
		wg.Go(func() {
			for p := range s.full {
				if err := s.upload(up, p); err != nil {
					cancel(err)
				}
			}
		})
	}
	err := fn(up, s)
	if err == nil {
		err = s.Flush(up)
	}
	if err != nil && up.Err() == nil {
		cancel(err)
	}
	close(s.full)
	wg.Wait()
	if err == nil {
		return nil
	}
	if cause := context.Cause(up); cause != nil && !errors.Is(err, cause) && errors.Is(err, context.Canceled) {
		err = cause
	}
	if !errors.Is(err, ErrLockLost) && !errors.Is(err, ErrLocked) {
		s.salvage(ctx)
	}
	return err
}

func newSession(r *Repo, l *Lock, o WriteOptions) *Session {
	s := &Session{repo: r, index: r.index.Load(), lock: l, packSize: o.PackSize}
	s.claims = s.index.openPack(s)
	// One is filled while the others are on their way. Packs of trees fill slowly and hold one of these for long; a disk
	// that takes a pack in less time than it takes to fill one does not notice.
	s.buffers = make(chan []byte, o.Uploads+1)
	for range cap(s.buffers) {
		s.buffers <- nil
	}
	s.full = make(chan *pack)
	s.scratch.New = func() any { return new([]byte) }
	s.indexing = make(chan struct{}, 1)
	s.moving = map[*pack]bool{}
	for t := range s.packers {
		s.packers[t].typ = BlobType(t)
	}
	return s
}

// SaveBlob stores p unless the repository has it. It returns p's ID, whether it was known, and how many octets it takes
// in its pack (0 if known). It does not keep p. It waits while all pack buffers are on their way to the bucket.
func (s *Session) SaveBlob(ctx context.Context, t BlobType, p []byte, hint Hint) (id ID, known bool, stored int, err error) {
	if len(p) > MaxBlob && t == DataBlob || len(p) > maxTreeBlob {
		return ID{}, false, 0, fmt.Errorf("save %v blob: %d octets, the limit is %d", t, len(p), MaxBlob)
	}
	if err := ctx.Err(); err != nil {
		return ID{}, false, 0, err
	}
	id = Hash(p)
	s.gate.RLock()
	defer s.gate.RUnlock()
	if s.index.claim(s, s.claims, t, id) {
		return id, true, 0, nil
	}
	// From here on others are told that the blob is known, so ctx must not stop us: only the end of the session may.
	stored, err = s.store(t, id, p, hint)
	return id, false, stored, err
}

// store compresses and stores a blob, claimed or not. The gate is held.
func (s *Session) store(t BlobType, id ID, p []byte, hint Hint) (stored int, err error) {
	buf := s.scratch.Get().(*[]byte)
	defer s.scratch.Put(buf)
	body := grow((*buf)[:0], ivSize)
	if len(p) > 0 { // nothing stays nothing: a plaintext length of 0 means that a blob is not compressed
		body = s.repo.codec.compress(body, p, hint)
	}
	sealed := s.repo.seal.seal(body[:0], body[ivSize:])
	*buf = sealed
	return len(sealed), s.pack(&packed{id: id, typ: t, length: uint32(len(sealed)), plain: uint32(len(p))}, sealed, len(p))
}

// pack puts a sealed blob, of a plaintext of size octets, into the pack that is filled just now.
func (s *Session) pack(b *packed, sealed []byte, size int) error {
	full, err := s.packers[b.typ].add(s, b, sealed)
	if err == nil && full != nil {
		err = s.send(full)
	}
	if err != nil {
		return fmt.Errorf("save %v blob: %w", b.typ, err)
	}
	s.stats.blobs[b.typ].Add(1)
	s.stats.plain.Add(int64(size))
	s.stats.stored.Add(int64(len(sealed)))
	return nil
}

// SaveTree stores a directory and returns its ID.
func (s *Session) SaveTree(ctx context.Context, t *Tree) (id ID, known bool, stored int, err error) {
	buf := s.scratch.Get().(*[]byte)
	defer s.scratch.Put(buf)
	p, err := AppendTree((*buf)[:0], t)
	if err != nil {
		return ID{}, false, 0, err
	}
	*buf = p
	return s.SaveBlob(ctx, TreeBlob, p, Text)
}

// Added returns what was stored so far.
func (s *Session) Added() Added {
	return Added{
		DataBlobs: int(s.stats.blobs[DataBlob].Load()),
		TreeBlobs: int(s.stats.blobs[TreeBlob].Load()),
		Plain:     s.stats.plain.Load(),
		Stored:    s.stats.stored.Load(),
	}
}

// Flush returns nil when every blob that was saved before the call is durable and named by a durable index file.
func (s *Session) Flush(ctx context.Context) error {
	s.gate.Lock()
	var open []*pack
	for t := range s.packers {
		if p := s.packers[t].take(); p != nil {
			s.track(p)
			open = append(open, p)
		}
	}
	s.gate.Unlock()
	for _, p := range open {
		if err := s.send(p); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
	}
	s.mu.Lock()
	waits := make([]*pack, 0, len(s.moving))
	for p := range s.moving {
		waits = append(waits, p)
	}
	s.mu.Unlock()
	for _, p := range waits {
		select {
		case <-p.done:
		case <-s.stopped:
			return fmt.Errorf("flush: %w", s.broken())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return s.writeIndex(ctx)
}
