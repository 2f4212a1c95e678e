package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"roost/blob"
)

// UnlockOptions adjust Unlock; the zero value removes stale locks.
type UnlockOptions struct {
	All    bool // remove every lock, also one whose holder may be at work, or that cannot be read
	DryRun bool // remove nothing
}

// A FoundLock is a lock that Unlock came across.
type FoundLock struct {
	ID     ID
	Holder LockInfo // zero if Err is set
	Err    error    // why the holder is not known; such a lock is not taken for stale
	Stale  bool     // the holder is surely gone
	Remove bool     // it was removed, or after a dry run would be
}

// Unlock removes locks whose holders are surely gone, as restic unlock does, and returns all that it found. An error ends
// it; the list then says what was removed before.
func (r *Repo) Unlock(ctx context.Context, o UnlockOptions) ([]FoundLock, error) {
	var found []FoundLock
	for e, err := range r.bucket.List(ctx, blob.Lock) {
		if err != nil {
			return found, fmt.Errorf("list locks: %w", err)
		}
		l, err := r.findLock(ctx, e)
		if errors.Is(err, blob.ErrNotExist) {
			continue // its holder let go meanwhile
		}
		if err != nil {
			return found, fmt.Errorf("list locks: %w", err)
		}
		l.Remove = o.All || l.Stale
		if l.Remove && !o.DryRun {
			if err := r.removeLock(ctx, l.ID); err != nil {
				return found, err
			}
		}
		found = append(found, l)
	}
	return found, nil
}

// errEmptyLock is what a crash leaves on a bucket whose writes are not atomic.
var errEmptyLock = errors.New("lock is empty")

// findLock reads a lock, once: one that is half written belongs to somebody who is at work.
func (r *Repo) findLock(ctx context.Context, e blob.Entry) (FoundLock, error) {
	id, err := ParseID(e.Name)
	if err != nil {
		return FoundLock{}, err
	}
	l := FoundLock{ID: id}
	if e.Size == 0 {
		l.Err = errEmptyLock
		return l, nil
	}
	p, err := r.loadUnpacked(ctx, blob.Lock, id)
	if err == nil {
		err = json.Unmarshal(p, &l.Holder)
	}
	switch {
	case errors.Is(err, blob.ErrNotExist), ctx.Err() != nil:
		return l, err
	case err != nil:
		l.Holder, l.Err = LockInfo{}, err
		return l, nil
	}
	l.Stale = l.Holder.Stale(time.Now())
	return l, nil
}
