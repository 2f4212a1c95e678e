package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/user"
	"strconv"
	"sync"
	"time"

	"roost/blob"
)

// Locks are restic's. To lock: list and read all locks; stop if one is exclusive, or if we want to be and there is any;
// write ours; look again a little later, and withdraw if another came in between. Every five minutes a holder writes
// a new lock and then removes its old one; a holder that could not do so for 22.5 minutes stops working, because at 30 minutes
// others may take its lock for stale and unlock it.

// ErrLocked says that another program's lock does not allow ours.
var ErrLocked = errors.New("repository is locked")

// ErrLockLost says that our lock could not be kept, so that nothing may be written any more.
var ErrLockLost = errors.New("lock of the repository was lost")

const (
	lockRecheck = 200 * time.Millisecond
	lockRefresh = 5 * time.Minute
	lockExpiry  = lockStale * 3 / 4
	lockStale   = 30 * time.Minute
	lockLeft    = 2*lockRefresh + time.Minute // not refreshed for so long, and no process of its number: left by a crash

	lockRemoval = 10 * time.Second // to take our lock away after a cancel
)

// A LockMode is how much a lock forbids to others.
type LockMode bool

// The modes.
const (
	Shared    LockMode = false // others may read and write, nothing may be deleted
	Exclusive LockMode = true  // nobody else
)

// LockInfo is what a lock tells of its holder.
type LockInfo struct {
	Time      time.Time `json:"time"`
	Exclusive bool      `json:"exclusive"`
	Hostname  string    `json:"hostname"`
	Username  string    `json:"username"`
	PID       int       `json:"pid"`
	UID       uint32    `json:"uid,omitempty"`
	GID       uint32    `json:"gid,omitempty"`
}

// String says who holds the lock, since when.
func (l LockInfo) String() string {
	kind := "shared"
	if l.Exclusive {
		kind = "exclusive"
	}
	return fmt.Sprintf("%s lock of %s@%s, process %d, since %s", kind, l.Username, l.Hostname, l.PID, l.Time.Format(time.DateTime))
}

// Stale reports whether the holder is surely gone: too old, or a process of this host that is no more.
func (l LockInfo) Stale(now time.Time) bool {
	if now.Sub(l.Time) > lockStale {
		return true
	}
	host, err := os.Hostname()
	return err == nil && l.Hostname == host && !processExists(l.PID)
}

// abandoned reports whether the lock was left behind by a process that was killed, beyond doubt: it was of this host, is no more, and
// missed two refreshes. That no process has its number is not enough: two containers may have one host name, and
// each sees its own processes only. Whoever prunes beside a writer takes mail away.
func (l LockInfo) abandoned(now time.Time) bool {
	host, err := os.Hostname()
	return err == nil && host != "" && l.Hostname == host && now.Sub(l.Time) > lockLeft && !processExists(l.PID)
}

// A Lock is held while the function given to WithLock runs.
type Lock struct {
	settled chan struct{} // closed after the second look, if that found nothing
	id      ID            // of the lock's present file; belongs to keepLock while that runs
}

// Settled waits for the second look of the lock: only after it others can rely on our lock, and we on theirs.
// A shared lock lets work begin before, because all that it stores until then nobody refers to.
func (l *Lock) Settled(ctx context.Context) error {
	select {
	case <-l.settled:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// WithLock runs fn while a lock is held. It returns ErrLocked, with the holder in its text, where another lock forbids it.
// The context given to fn is cancelled with ErrLockLost as cause if the lock cannot be kept.
func (r *Repo) WithLock(ctx context.Context, mode LockMode, fn func(ctx context.Context, l *Lock) error) error {
	if err := r.checkLocks(ctx, mode, ID{}); err != nil {
		return err
	}
	id, err := r.saveLock(ctx, mode)
	if err != nil {
		return err
	}
	l := &Lock{settled: make(chan struct{}), id: id}
	held, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { r.keepLock(held, cancel, l, mode) })
	if mode == Exclusive {
		err = l.Settled(held)
	}
	if err == nil {
		err = fn(held, l)
	}
	if cause := context.Cause(held); cause != nil && errors.Is(err, context.Canceled) {
		err = cause
	}
	cancel(nil)
	wg.Wait()
	return errors.Join(err, r.removeLock(ctx, l.id))
}

// keepLock takes the second look and then refreshes the lock until ctx ends.
func (r *Repo) keepLock(ctx context.Context, cancel context.CancelCauseFunc, l *Lock, mode LockMode) {
	written := time.Now().Round(0) // wall time: a machine that slept must notice
	if !sleep(ctx, lockRecheck) {
		return
	}
	if err := r.checkLocks(ctx, mode, l.id); err != nil {
		cancel(err)
		return
	}
	close(l.settled)
	for sleep(ctx, lockRefresh) {
		now := time.Now().Round(0)
		late := now.Sub(written) >= lockExpiry
		err := r.refreshLock(ctx, l, mode, late)
		if err == nil {
			written = now
		} else if late || now.Add(lockRefresh).Sub(written) > lockExpiry {
			cancel(fmt.Errorf("%w: %w", ErrLockLost, err))
			return
		}
	}
}

// refreshLock writes the lock anew and removes the old file. If it is late (a laptop slept), the old file must still be there
// before and after, or someone may have unlocked and pruned meanwhile.
func (r *Repo) refreshLock(ctx context.Context, l *Lock, mode LockMode, late bool) error {
	old := blob.Handle{Kind: blob.Lock, Name: l.id.String()}
	if _, err := r.bucket.Stat(ctx, old); late && err != nil {
		return fmt.Errorf("refresh lock: %w", err)
	}
	id, err := r.saveLock(ctx, mode)
	if err != nil {
		return err
	}
	if _, err := r.bucket.Stat(ctx, old); late && err != nil {
		return errors.Join(fmt.Errorf("refresh lock: %w", err), r.removeLock(ctx, id))
	}
	before := l.id
	l.id = id
	return r.removeLock(ctx, before)
}

func (r *Repo) saveLock(ctx context.Context, mode LockMode) (ID, error) {
	host, name := whoami()
	info := LockInfo{Time: time.Now(), Exclusive: bool(mode), Hostname: host, Username: name, PID: os.Getpid()}
	info.UID, info.GID = userIDs()
	p, err := json.Marshal(info)
	var id ID
	if err == nil {
		id, err = r.saveUnpacked(ctx, blob.Lock, p)
	}
	if err != nil {
		return ID{}, fmt.Errorf("lock repository: %w", err)
	}
	return id, nil
}

// removeLock removes a lock even after ctx was cancelled. One that is gone already is fine.
func (r *Repo) removeLock(ctx context.Context, id ID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lockRemoval)
	defer cancel()
	err := r.bucket.Remove(ctx, blob.Handle{Kind: blob.Lock, Name: id.String()})
	if err != nil && !errors.Is(err, blob.ErrNotExist) {
		return fmt.Errorf("unlock repository: %w", err)
	}
	return nil
}

// checkLocks returns ErrLocked if a lock other than own forbids a lock of that mode. Locks that were abandoned it removes.
func (r *Repo) checkLocks(ctx context.Context, mode LockMode, own ID) error {
	for id, err := range r.lockIDs(ctx) {
		if err != nil {
			return fmt.Errorf("lock repository: %w", err)
		}
		if id == own {
			continue
		}
		info, err := r.loadLock(ctx, id)
		if errors.Is(err, blob.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("lock repository: %w", err)
		}
		// A killed run leaves its lock. Nobody would take it away until someone finds that prune is refused, and
		// remembers restic unlock.
		if info.abandoned(time.Now()) && r.removeLock(ctx, id) == nil {
			continue
		}
		if info.Exclusive || mode == Exclusive {
			return fmt.Errorf("%w: %v", ErrLocked, info)
		}
	}
	return nil
}

// lockIDs yields the locks that there are. Empty files are what a crash leaves, and pass for none.
func (r *Repo) lockIDs(ctx context.Context) iter.Seq2[ID, error] {
	return func(yield func(ID, error) bool) {
		for e, err := range r.bucket.List(ctx, blob.Lock) {
			var id ID
			if err == nil {
				id, err = ParseID(e.Name)
			}
			if err == nil && e.Size == 0 {
				continue
			}
			if !yield(id, err) || err != nil {
				return
			}
		}
	}
}

// loadLock reads a lock. One that cannot be read may be half written on a bucket without atomic writes: it is tried again.
func (r *Repo) loadLock(ctx context.Context, id ID) (LockInfo, error) {
	var info LockInfo
	for _, pause := range []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 0} {
		p, err := r.loadUnpacked(ctx, blob.Lock, id)
		if err == nil {
			err = json.Unmarshal(p, &info)
		}
		if err == nil || errors.Is(err, blob.ErrNotExist) || pause == 0 {
			return info, err
		}
		if !sleep(ctx, pause) {
			return info, context.Cause(ctx)
		}
	}
	return info, nil
}

// sleep waits for d; false if ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// userIDs returns the numbers of the user, 0 where the system counts differently.
func userIDs() (uid, gid uint32) {
	u, err := user.Current()
	if err != nil {
		return 0, 0
	}
	n, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, 0
	}
	m, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return 0, 0
	}
	return uint32(n), uint32(m)
}
