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
	if text, err := tree.ReadFile(s.root, lock); err == nil && !stale {
		// "PID" or, of Dovecot, "PID:HOST"; a process of another host cannot be asked.
		pid, host, _ := strings.Cut(strings.TrimSpace(string(text)), ":")
		here, _ := os.Hostname()
		n, err := strconv.Atoi(pid)
		stale = err == nil && (host == "" || host == here) && !isAlive(n)
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
	f, err := tree.Open(s.root, file)
	if err != nil {
		return nil, err
	}
	o := &opening{f, file, nil}
	if err := poll(ctx, file, func() (bool, error) { return tryLock(f, false) }); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// openExclusive opens a file for writing with both locks. The caller holds the
// gate.
func (s *Store) openExclusive(ctx context.Context, file string) (*opening, error) {
	end, err := s.dotlock(ctx, file)
	if err != nil {
		return nil, err
	}
	f, err := s.root.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		end()
		return nil, err
	}
	o := &opening{f, file, end}
	if err := poll(ctx, file, func() (bool, error) { return tryLock(f, true) }); err != nil {
		o.close()
		return nil, err
	}
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
