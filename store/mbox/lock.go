package mbox

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

// A writer makes FILE.lock with O_EXCL (the dotlock), with its process number in
// it, and then locks the file itself, as Dovecot does by default (mbox_write_locks
// = dotlock fcntl). A dotlock whose process on this host is gone, or that is older
// than the two minutes after which Dovecot overrides it, is stale.

const (
	lockStale   = 2 * time.Minute
	lockTimeout = lockStale + 5*time.Second
	lockPoll    = 10 * time.Millisecond
	lockPollMax = 500 * time.Millisecond
	secondWait  = 5 * time.Second // for a second file that comes first in the order
)

var errLocked = errors.New("locked by another program")

// poll calls try until it is done, fails, or time is up.
func poll(ctx context.Context, what string, try func() (done bool, err error)) error {
	deadline := time.Now().Add(lockTimeout)
	for wait := lockPoll; ; wait = min(2*wait, lockPollMax) {
		done, err := try()
		if done {
			return nil
		}
		if err != nil {
			return fmt.Errorf("lock %s: %w", what, err)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("lock %s: %w", what, errLocked)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// dotlock makes the dotlock of a file. release removes it.
func (s *Store) dotlock(ctx context.Context, file string) (release func(), err error) {
	lock := file + lockSuffix
	var made fs.FileInfo
	err = poll(ctx, file, func() (bool, error) {
		f, err := s.root.OpenFile(lock, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return false, s.breakStale(lock)
		}
		if err != nil {
			return false, err
		}
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
		made, _ = f.Stat()
		return true, errors.Join(err, f.Close())
	})
	if err != nil {
		return nil, err
	}
	return func() {
		// If it was overridden, it is somebody else's now.
		if now, err := s.root.Lstat(lock); err == nil && os.SameFile(now, made) {
			s.root.Remove(lock)
		}
	}, nil
}

// breakStale removes a dotlock that nobody holds any more.
func (s *Store) breakStale(lock string) error {
	info, err := s.root.Lstat(lock)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	stale := time.Since(info.ModTime()) > lockStale
	if text, err := tree.ReadFile(s.root, lock); err == nil {
		// "PID" or, of Dovecot, "PID:HOST"; a process of another host cannot be asked, one of this host knows better than a clock.
		pid, host, _ := strings.Cut(strings.TrimSpace(string(text)), ":")
		here, _ := os.Hostname()
		if n, err := strconv.Atoi(pid); err == nil && (host == "" || host == here) {
			stale = !isAlive(n)
		}
	}
	if !stale {
		return nil
	}
	if now, err := s.root.Lstat(lock); err != nil || !os.SameFile(now, info) {
		return nil
	}
	if err := s.root.Remove(lock); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// opening is a file that is locked.
type opening struct {
	*os.File
	path string
	end  func() // gives back the dotlock; nil if there is none
}

// openShared opens a file and locks it against writers. Close ends that.
func (s *Store) openShared(ctx context.Context, file string) (*opening, error) {
	return s.locked(ctx, file, false, func() (*os.File, error) { return tree.Open(s.root, file) })
}

// locked opens a file and locks it. Who waited for the lock may hold a file that was replaced meanwhile: then it is opened again.
func (s *Store) locked(ctx context.Context, file string, exclusive bool, open func() (*os.File, error)) (*opening, error) {
	const tries = 10
	for range tries {
		f, err := open()
		if err != nil {
			return nil, err
		}
		o := &opening{f, file, nil}
		err = poll(ctx, file, func() (bool, error) { return tryLock(f, exclusive) })
		var held, now fs.FileInfo
		if err == nil {
			held, err = f.Stat()
		}
		if err == nil {
			now, err = s.root.Stat(file)
		}
		if err == nil && os.SameFile(held, now) {
			return o, nil
		}
		o.close()
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("lock %s: it is replaced again and again: %w", file, errLocked)
}

// openExclusive opens a file for writing with both locks. The caller holds the
// gate.
func (s *Store) openExclusive(ctx context.Context, file string) (*opening, error) {
	end, err := s.dotlock(ctx, file)
	if err != nil {
		return nil, err
	}
	o, err := s.locked(ctx, file, true, func() (*os.File, error) { return s.root.OpenFile(file, os.O_RDWR, 0) })
	if err != nil {
		end()
		return nil, err
	}
	o.end = end
	return o, nil
}

// close gives the locks back.
func (o *opening) close() error {
	err := o.File.Close()
	if o.end != nil {
		o.end()
	}
	return err
}
