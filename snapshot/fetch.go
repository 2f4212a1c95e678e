package snapshot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"sync"

	"roost/mail"
	"roost/message"
	"roost/repo"
)

const (
	readAhead = 32      // messages that Fetch loads before they are asked for
	readWhole = 1 << 20 // octets; a longer message is read blob by blob while it is consumed
)

// Fetch yields messages in the order of keys (mail.Source). Several are loaded
// ahead, so that decryption and decompression use all cores.
func (s *Source) Fetch(ctx context.Context, name mail.Name, keys []mail.Key, part mail.Part) iter.Seq2[mail.Fetched, error] {
	return func(yield func(mail.Fetched, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()

		queue := make(chan *loading, readAhead)
		work := make(chan *loading, readAhead)
		var broken error // why the list ended early; read after queue is closed
		wg.Go(func() {
			defer close(queue)
			defer close(work)
			broken = s.resolve(ctx, name, keys, func(l *loading) bool {
				select {
				case queue <- l:
				case <-ctx.Done():
					return false
				}
				work <- l
				return true
			})
		})
		for range runtime.GOMAXPROCS(0) {
			wg.Go(func() {
				for l := range work {
					l.load(ctx, s, part)
					close(l.done)
				}
			})
		}
		for l := range queue {
			<-l.done
			if l.err != nil {
				if ctx.Err() != nil {
					break
				}
				if !yield(mail.Fetched{Key: l.key}, &mail.Error{Op: "fetch", Mailbox: name, Key: l.key, Err: l.err}) {
					return
				}
				continue
			}
			more := yield(mail.Fetched{Key: l.key, Body: l.body, Size: l.size}, nil)
			if l.buf != nil {
				s.buffers.Put(l.buf)
			}
			if !more {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(mail.Fetched{}, &mail.Error{Op: "fetch", Mailbox: name, Err: context.Cause(ctx)})
		} else if broken != nil {
			yield(mail.Fetched{}, &mail.Error{Op: "fetch", Mailbox: name, Err: broken})
		}
	}
}

// loading is one message on its way out of the repository.
type loading struct {
	key    mail.Key
	stored Stored
	done   chan struct{} // closed when what follows is set
	err    error
	body   io.Reader
	size   int64
	buf    *[]byte // to be given back; nil if body does not use one
}

// resolve calls f for each key, in order, with where its bytes are, until f
// returns false. An error ends it: nothing is known of the keys that follow.
func (s *Source) resolve(ctx context.Context, name mail.Name, keys []mail.Key, f func(*loading) bool) error {
	buckets, damage := s.BucketsLeft(ctx, name) // flags are not needed
	if damage != nil && (len(buckets) == 0 || ctx.Err() != nil) {
		return damage
	}
	byFirst := make(map[Slot]Bucket, len(buckets))
	for _, b := range buckets {
		byFirst[b.First] = b
	}
	var shard Shard
	for _, key := range keys {
		l := &loading{key: key, done: make(chan struct{})}
		slot, err := ParseSlot(string(key))
		b, ok := byFirst[slot.Bucket()]
		switch {
		case err == nil && !ok && damage != nil:
			l.err = damage
		case err != nil || !ok:
			l.err = mail.ErrGone
		default:
			if !shard.Holds(b, slot) {
				if shard, err = s.Shard(ctx, b, slot); err != nil {
					l.err = err // the messages of other shards may well be readable
					shard = Shard{}
					break
				}
			}
			if l.stored, ok = shard.Find(slot); !ok {
				l.err = mail.ErrGone
			}
		}
		if !f(l) {
			return nil
		}
	}
	return nil
}

func (l *loading) load(ctx context.Context, s *Source, part mail.Part) {
	if l.err != nil {
		return
	}
	r := &blobReader{ctx: ctx, repo: s.repo, rest: l.stored.Content, left: l.stored.Size}
	switch {
	case part == mail.Header:
		l.loadHeader(r)
	case l.stored.Size > readWhole:
		l.body, l.size = r, l.stored.Size
	default:
		if l.buf, _ = s.buffers.Get().(*[]byte); l.buf == nil {
			l.buf = new([]byte)
		}
		whole := slices.Grow((*l.buf)[:0], int(max(0, l.stored.Size)))
		for _, id := range l.stored.Content {
			if whole, l.err = s.appendBlob(ctx, whole, id); l.err != nil {
				return
			}
			if int64(len(whole)) > l.stored.Size {
				break // more may come than fits into memory
			}
		}
		*l.buf = whole
		l.body, l.size = bytes.NewReader(whole), int64(len(whole))
		if l.size != l.stored.Size {
			l.err = fmt.Errorf("%w: it says %d octets, there are %d or more", errSize, l.stored.Size, l.size)
		}
	}
}

var errSize = errors.New("the message has not the size that the snapshot says: the snapshot is damaged")

// appendBlob appends the bytes of a blob; they are decompressed in their place if there is room.
func (s *Source) appendBlob(ctx context.Context, dst []byte, id repo.ID) ([]byte, error) {
	n := len(dst)
	p, err := s.repo.LoadBlob(ctx, repo.DataBlob, id, dst[n:])
	if err != nil {
		return dst, err
	}
	if len(p) > 0 && len(p) <= cap(dst)-n && &p[0] == &dst[:n+1][n] {
		return dst[:n+len(p)], nil
	}
	return append(dst, p...), nil
}

// blobReader reads a message blob by blob.
type blobReader struct {
	ctx  context.Context // of the Fetch that made it, which outlives it
	repo *repo.Repo
	rest []repo.ID
	left int64  // octets that are still to come, as the snapshot says
	blob []byte // what is left of the present one
	full []byte // all of it; the next one takes its space
}

func (r *blobReader) Read(p []byte) (int, error) {
	for len(r.blob) == 0 {
		if len(r.rest) == 0 && r.left != 0 || r.left < 0 {
			return 0, fmt.Errorf("%w: it lacks %d octets", errSize, r.left)
		}
		if len(r.rest) == 0 {
			return 0, io.EOF
		}
		p, err := r.repo.LoadBlob(r.ctx, repo.DataBlob, r.rest[0], r.full[:0])
		if err != nil {
			return 0, err
		}
		r.blob, r.full = p, p
		r.rest, r.left = r.rest[1:], r.left-int64(len(p))
	}
	n := copy(p, r.blob)
	r.blob = r.blob[n:]
	return n, nil
}

// loadHeader reads a header ahead. One that is longer than readWhole is read on
// while it is consumed.
func (l *loading) loadHeader(r *blobReader) {
	header := message.HeaderOf(r)
	var ahead []byte
	if ahead, l.err = io.ReadAll(io.LimitReader(header, readWhole)); l.err != nil {
		return
	}
	l.body, l.size = bytes.NewReader(ahead), int64(len(ahead))
	if len(ahead) == readWhole {
		l.body, l.size = io.MultiReader(l.body, header), -1
	}
}
