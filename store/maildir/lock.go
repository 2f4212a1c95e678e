package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"roost/store/tree"
)

// Dovecot's dotlock: who holds FILE has made FILE.lock, which was not there; in it
// stands "PID:HOST". A lock of this host whose process is gone is stale at once, any
// other when neither it nor FILE has changed for two minutes.

const (
	lockStale   = 2 * time.Minute
	lockTimeout = lockStale + 5*time.Second // Dovecot waits as long as a lock may need to become stale
	lockPoll    = 20 * time.Millisecond
	lockPollMax = 500 * time.Millisecond
	lockYoung   = 2 * time.Second // a lock younger than this is not looked into
)

var errLocked = errors.New("locked by another program")

// lock takes the lock of the uidlist of the mailbox in dir, first within this
// store, then against other programs. release gives it back.
func (s *Store) lock(ctx context.Context, dir string) (release func(), err error) {
	inside := s.gate(dir)
	select {
	case inside <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	err = s.makeControl(dir)
	var held func()
	if err == nil {
		held, err = s.dotlock(ctx, s.controlPath(dir, uidlistFile), lockStale)
	}
	if err != nil {
		<-inside
		return nil, err
	}
	return func() { held(); <-inside }, nil
}

// gate is the lock of a mailbox against others in this store.
func (s *Store) gate(dir string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.gates[dir]
	if g == nil {
		g = make(chan struct{}, 1)
		s.gates[dir] = g
	}
	return g
}

// dotlock makes file.lock, waiting until it can.
func (s *Store) dotlock(ctx context.Context, file string, stale time.Duration) (release func(), err error) {
	lock := file + ".lock"
	deadline := time.Now().Add(lockTimeout)
	var w watch
	for wait := lockPoll; ; wait = min(2*wait, lockPollMax) {
		made, err := s.makeLock(lock)
		if err == nil {
			return func() {
				// If it was overridden, it is somebody else's now.
				if now, err := s.control.Lstat(lock); err == nil && os.SameFile(now, made) {
					s.control.Remove(lock)
				}
			}, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("lock %s: %w", file, err)
		}
		if s.isStale(lock, file, &w, stale) && s.isStill(lock, w.lock) {
			if err := s.control.Remove(lock); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("remove stale lock %s: %w", lock, err)
			}
			w, wait = watch{}, lockPoll
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("lock %s: %w", file, errLocked)
		}
		timer := time.NewTimer(wait) // let others go first; two may just have removed the same stale lock
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// makeLock makes a lock that says from its first moment who holds it: it is written
// under another name and linked. One that is made empty and written then would, if
// its maker is killed in between, keep everybody waiting until it is stale by its age.
func (s *Store) makeLock(lock string) (fs.FileInfo, error) {
	written := fmt.Sprintf("%s.%s%d", lock, s.random, s.delivery.Add(1))
	info, err := s.writeLock(written)
	if err != nil {
		return nil, err
	}
	defer s.control.Remove(written)
	err = s.control.Link(written, lock)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return info, err
	}
	return s.writeLock(lock) // the file system knows no links
}

// writeLock makes a file that says who holds a lock.
func (s *Store) writeLock(file string) (fs.FileInfo, error) {
	f, err := s.control.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(f, "%d:%s", os.Getpid(), s.host)
	info, statErr := f.Stat()
	if err = errors.Join(err, statErr, f.Close()); err != nil {
		s.control.Remove(file)
		return nil, err
	}
	return info, nil
}

// watch is what was seen of a lock that somebody else holds.
type watch struct {
	lock    fs.FileInfo
	changed time.Time // when it, or what it locks, changed last
}

// isStale reports whether the holder of lock is gone.
func (s *Store) isStale(lock, file string, w *watch, stale time.Duration) bool {
	now := time.Now()
	info, err := s.control.Lstat(lock)
	if err != nil {
		return false // just given back
	}
	if w.lock == nil {
		w.changed = info.ModTime()
	} else if !os.SameFile(w.lock, info) || !w.lock.ModTime().Equal(info.ModTime()) {
		w.changed = now
	}
	w.lock = info
	if now.Sub(info.ModTime()) > lockYoung {
		if pid := s.holder(lock); pid > 0 && pid != os.Getpid() {
			return !processExists(pid)
		}
	}
	if now.Sub(w.changed) <= stale {
		return false
	}
	locked, err := s.control.Stat(file)
	return err != nil || now.Sub(locked.ModTime()) > stale
}

// isStill reports whether a lock is the one that was looked at, and not that of somebody who came meanwhile.
func (s *Store) isStill(lock string, seen fs.FileInfo) bool {
	now, err := s.control.Lstat(lock)
	return err == nil && os.SameFile(now, seen) && now.ModTime().Equal(seen.ModTime())
}

// holder is the process on this host that holds a lock; 0 if it is not known.
func (s *Store) holder(lock string) int {
	text, err := tree.ReadFile(s.control, lock)
	if err != nil {
		return 0
	}
	pid, host, _ := strings.Cut(strings.TrimSuffix(string(text), "\n"), ":")
	n, err := strconv.Atoi(pid)
	if err != nil || host != s.host {
		return 0
	}
	return n
}
