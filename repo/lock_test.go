package repo

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roost/blob"
	"roost/blob/blobtest"
)

// plant stores a lock as another program would.
func plant(t *testing.T, r *Repo, info LockInfo) ID {
	t.Helper()
	p, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	id, err := r.saveUnpacked(t.Context(), blob.Lock, p)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// A lock is refused exactly when it or the other one is exclusive, and a refused one leaves nothing behind.
func TestLockConflicts(t *testing.T) {
	for _, c := range []struct {
		name   string
		theirs LockMode
		ours   LockMode
		locked bool
	}{
		{"shared beside shared", Shared, Shared, false},
		{"shared beside exclusive", Exclusive, Shared, true},
		{"exclusive beside shared", Shared, Exclusive, true},
		{"exclusive beside exclusive", Exclusive, Exclusive, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, b := newMemoryRepo(t)
			plant(t, r, LockInfo{Time: time.Now(), Exclusive: bool(c.theirs), Hostname: "elsewhere", PID: 1})
			ran := false
			err := r.WithLock(t.Context(), c.ours, func(context.Context, *Lock) error { ran = true; return nil })
			if errors.Is(err, ErrLocked) != c.locked || ran == c.locked {
				t.Errorf("WithLock = %v, ran %v, want locked %v", err, ran, c.locked)
			}
			if n := count(t, b)[blob.Lock]; n != 1 {
				t.Errorf("%d locks are left, want theirs alone", n)
			}
		})
	}
}

// A lock that comes in between our first look and our second ends our work before an index or snapshot is written.
func TestLockSecondLook(t *testing.T) {
	r, b := newMemoryRepo(t)
	synctest.Test(t, func(t *testing.T) {
		err := r.Write(t.Context(), WriteOptions{}, func(ctx context.Context, s *Session) error {
			plant(t, r, LockInfo{Time: time.Now(), Exclusive: true, Hostname: "elsewhere", PID: 1})
			id, _, _, err := s.SaveTree(ctx, &Tree{})
			if err != nil {
				return err
			}
			_, err = s.SaveSnapshot(ctx, Snapshot{Tree: &id, Paths: []string{"/x"}})
			return err
		})
		if !errors.Is(err, ErrLocked) {
			t.Errorf("Write = %v, want ErrLocked", err)
		}
	})
	if n := count(t, b); n[blob.Index] != 0 || n[blob.Snapshot] != 0 || n[blob.Lock] != 1 {
		t.Errorf("objects %v, want no index and no snapshot, and their lock alone", n)
	}
}

// A lock held for hours is never older than the refresh interval, and stands alone.
func TestLockIsRefreshed(t *testing.T) {
	r, b := newMemoryRepo(t)
	synctest.Test(t, func(t *testing.T) {
		err := r.WithLock(t.Context(), Shared, func(ctx context.Context, _ *Lock) error {
			for range 50 {
				time.Sleep(7 * time.Minute) // of the bubble's time
				synctest.Wait()
				n := 0
				for id, err := range r.lockIDs(ctx) {
					if err != nil {
						return err
					}
					info, err := r.loadLock(ctx, id)
					if age := time.Since(info.Time); err != nil || age > lockRefresh {
						t.Errorf("lock is %v old, %v", age, err)
					}
					n++
				}
				if n != 1 {
					t.Errorf("%d locks, want 1", n)
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("WithLock = %v", err)
		}
	})
	if n := count(t, b)[blob.Lock]; n != 0 {
		t.Errorf("%d locks are left", n)
	}
}

// A holder that cannot refresh stops before others may take its lock for stale.
func TestLockIsLost(t *testing.T) {
	r, b := newMemoryRepo(t)
	full := &fullBucket{Bucket: b}
	r.bucket = full
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := r.WithLock(t.Context(), Shared, func(ctx context.Context, l *Lock) error {
			if err := l.Settled(ctx); err != nil {
				return err
			}
			full.full.Store(true)
			<-ctx.Done()
			return ctx.Err()
		})
		if age := time.Since(start); !errors.Is(err, ErrLockLost) || age > lockExpiry {
			t.Errorf("WithLock = %v after %v, want ErrLockLost within %v", err, age, lockExpiry)
		}
	})
}

// fullBucket takes no more objects once it is full.
type fullBucket struct {
	blob.Bucket
	full atomic.Bool
}

func (f *fullBucket) Save(ctx context.Context, h blob.Handle, body []byte) error {
	if f.full.Load() {
		return blobtest.ErrInjected
	}
	return f.Bucket.Save(ctx, h, body)
}

// While we hold a shared lock, restic backs up and refuses to prune; it reads who we are from the lock.
func TestResticHonoursOurLock(t *testing.T) {
	t.Parallel()
	r, dir := newLocalRepo(t)
	oracle := newRestic(t, dir)
	if err := backup(t.Context(), r, 0, 3); err != nil {
		t.Fatal(err)
	}
	err := r.WithLock(t.Context(), Shared, func(ctx context.Context, l *Lock) error {
		if err := l.Settled(ctx); err != nil {
			return err
		}
		if out, err := oracle.try(t, "prune"); err == nil {
			t.Errorf("restic prune ran beside our lock:\n%s", out)
		}
		oracle.run(t, "ls", "latest")
		oracle.run(t, "cat", "lock", l.id.String())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	oracle.run(t, "prune")
}

// The lock of a process that was killed is removed by the next one that locks, once it missed its refreshes; it forbids
// nothing then. Of all others none is touched.
func TestAbandonedLocksAreRemoved(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	dead := killed(t)
	for _, c := range []struct {
		name    string
		lock    LockInfo
		removed bool
	}{
		{"killed, two refreshes missed", LockInfo{Hostname: host, PID: dead, Time: time.Now().Add(-12 * time.Minute)}, true},
		{"killed, exclusive", LockInfo{Hostname: host, PID: dead, Time: time.Now().Add(-12 * time.Minute), Exclusive: true}, true},
		{"killed just now, as far as one can see", LockInfo{Hostname: host, PID: dead, Time: time.Now().Add(-6 * time.Minute)}, false},
		{"alive", LockInfo{Hostname: host, PID: os.Getpid(), Time: time.Now().Add(-12 * time.Minute)}, false},
		{"of another host", LockInfo{Hostname: "elsewhere", PID: dead, Time: time.Now().Add(-12 * time.Minute)}, false},
		{"old, of another host", LockInfo{Hostname: "elsewhere", PID: dead, Time: time.Now().Add(-48 * time.Hour)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, b := newMemoryRepo(t)
			plant(t, r, c.lock)
			err := r.WithLock(t.Context(), Exclusive, func(context.Context, *Lock) error { return nil })
			if errors.Is(err, ErrLocked) == c.removed {
				t.Errorf("WithLock = %v, want it locked: %v", err, !c.removed)
			}
			want := 1
			if c.removed {
				want = 0
			}
			if n := count(t, b)[blob.Lock]; n != want {
				t.Errorf("%d locks are left, want %d", n, want)
			}
		})
	}
}

// killed is the number of a process that was ended by SIGKILL.
func killed(t *testing.T) int {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	if err := cmd.Start(); err != nil {
		t.Skip("no process to kill: ", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // says that it was killed
	return cmd.Process.Pid
}
