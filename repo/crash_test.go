package repo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roost/blob"
	"roost/blob/blobtest"
)

// export writes a bucket into a folder, laid out for restic. Locks, which a dead program leaves, are left out.
func export(t *testing.T, b blob.Bucket) string {
	t.Helper()
	dir := t.TempDir()
	l := blob.NewLocal(dir, blob.LocalOptions{NoSync: true})
	if err := l.Create(); err != nil {
		t.Fatal(err)
	}
	save := func(h blob.Handle) {
		body, err := b.Load(t.Context(), h, 1<<30)
		if err == nil {
			err = l.Save(t.Context(), h, body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	save(blob.Handle{Kind: blob.Config})
	for _, kind := range blob.Kinds() {
		for e, err := range b.List(t.Context(), kind) {
			if err != nil {
				t.Fatal(err)
			}
			if kind != blob.Lock {
				save(blob.Handle{Kind: kind, Name: e.Name})
			}
		}
	}
	return dir
}

// mustCheck holds the repository to our own check.
func mustCheck(t *testing.T, b blob.Bucket) {
	t.Helper()
	report, err := reopen(t, b).Check(t.Context(), CheckOptions{ReadData: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Errorf("check: %v (%v)", p, p.Paths)
	}
}

// atAnyCall does something to copies of a repository, each time with another call of the bucket that fails: as if the program was
// killed before the call or behind it, or as if the line was bad once. do is given the bucket; then looks at what is left,
// when the locks of the dead are removed, and is told do's error.
func atAnyCall(t *testing.T, first *blobtest.Memory, do func(b blob.Bucket) error, then func(t *testing.T, b *blobtest.Memory, err error)) {
	t.Helper()
	for _, mode := range []struct {
		name        string
		once, after bool
	}{{"killed before", false, false}, {"killed after", false, true}, {"one call fails", true, false}} {
		for n := int64(1); ; n++ {
			b := first.Clone()
			faulty := &blobtest.Faulty{Bucket: b, FailAt: n, Once: mode.once, After: mode.after}
			err := do(faulty)
			if faulty.Calls() < n {
				if err != nil {
					t.Errorf("no call failed, yet: %v", err)
				}
				break
			}
			t.Run(fmt.Sprintf("%s %d", mode.name, n), func(t *testing.T) {
				if err == nil && !mode.once && !(mode.after && faulty.Calls() == n) {
					t.Error("the run was killed and reports success")
				}
				if _, err := reopen(t, b).Unlock(t.Context(), UnlockOptions{All: true}); err != nil {
					t.Fatal(err)
				}
				then(t, b, err)
			})
		}
	}
}

// Killed at any call of the bucket, before or after its effect, or with one bad call on a bad line: the repository stays
// clean for restic and for us, the first snapshot is whole, and the next run completes.
func TestCrashAtAnyCall(t *testing.T) {
	t.Parallel()
	r, first := newMemoryRepo(t)
	if err := backup(t.Context(), r, 0, 20); err != nil {
		t.Fatal(err)
	}
	atAnyCall(t, first, func(b blob.Bucket) error {
		r, err := Open(t.Context(), b, NewPassword(testPassword))
		if err != nil {
			return err
		}
		return backup(t.Context(), r, 10, 40)
	}, func(t *testing.T, b *blobtest.Memory, err error) {
		mustCheck(t, b)
		if err != nil && !testing.Short() {
			newRestic(t, "").at(export(t, b)).check(t)
		}
		if err := backup(t.Context(), reopen(t, b), 10, 40); err != nil {
			t.Fatalf("the next run: %v", err)
		}
		holds(t, reopen(t, b), 10, 40)
	})
}

// at is the same restic for another repository.
func (r restic) at(dir string) restic {
	r.dir = dir
	return r
}

// A repository that restic made, written by both in turn, copied and pruned by restic, goes on with either.
func TestRoostAndResticTakeTurns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	oracle := newRestic(t, dir)
	oracle.run(t, "init")
	files := t.TempDir()
	for n := range 30 {
		if err := os.WriteFile(filepath.Join(files, fmt.Sprintf("%06d.eml", n)), message(n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	oracle.run(t, "backup", files)
	l := blob.NewLocal(dir, blob.LocalOptions{NoSync: true})
	r := reopen(t, l)
	sn, err := r.LatestSnapshot(t.Context(), SnapshotFilter{})
	if err != nil || sn.Paths[0] != files {
		t.Fatalf("LatestSnapshot = %+v, %v", sn, err)
	}
	if err := backup(t.Context(), r, 0, 60); err != nil {
		t.Fatal(err)
	}
	if n := r.index.Load().count(); n > 60+10 {
		t.Errorf("%d blobs, want the 30 that restic stored to be known", n)
	}
	oracle.check(t)
	if err := backup(t.Context(), r, 60, 90); err != nil {
		t.Fatal(err)
	}
	oracle.run(t, "forget", sn.ID.String(), "--prune")
	oracle.run(t, "forget", "--keep-last", "1", "--group-by", "", "--prune", "--max-unused", "0")
	holds(t, r, 60, 90) // r still has the index from before
	if err := r.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds(t, r, 60, 90)
	if err := backup(t.Context(), r, 0, 90); err != nil {
		t.Fatal(err)
	}
	oracle.check(t)
	oracle.run(t, "backup", files)

	other := newRestic(t, t.TempDir())
	other.run(t, "init")
	from := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(from, []byte(testPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	other.run(t, "copy", "--from-repo", dir, "--from-password-file", from)
	other.check(t)
	copied, err := reopen(t, blob.NewLocal(other.dir, blob.LocalOptions{})).Snapshots(t.Context())
	if err != nil || len(copied) != 3 {
		t.Errorf("the copy has %d snapshots, %v, want 3", len(copied), err)
	}
}

// Three writers of ours and restic's backup write at once.
func TestConcurrentWritersWithRestic(t *testing.T) {
	t.Parallel()
	r, dir := newLocalRepo(t)
	oracle := newRestic(t, dir)
	files := t.TempDir()
	for n := range 200 {
		if err := os.WriteFile(filepath.Join(files, fmt.Sprintf("%06d.eml", n)), message(n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	errs := make(chan error, 4)
	for w := range 3 {
		go func() {
			r, err := Open(t.Context(), r.bucket, NewPassword(testPassword))
			if err == nil {
				err = backup(t.Context(), r, w*50, w*50+100)
			}
			errs <- err
		}()
	}
	go func() {
		_, err := oracle.try(t, "backup", files)
		errs <- err
	}()
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	oracle.check(t)
	mustCheck(t, r.bucket)
	if out := oracle.run(t, "list", "locks"); strings.TrimSpace(out) != "" {
		t.Errorf("locks are left: %s", out)
	}
}

// Snapshots that cannot be read do not hide those that can, and are not passed over in silence.
func TestSnapshotsAreTolerant(t *testing.T) {
	r, b := newMemoryRepo(t)
	for n := range 3 {
		if err := backup(t.Context(), r, n, n+5); err != nil {
			t.Fatal(err)
		}
	}
	body := []byte("no snapshot at all")
	b.Put(blobtest.Handle(blob.Snapshot, body), body)
	all, err := r.Snapshots(t.Context())
	if len(all) != 3 || err == nil {
		t.Errorf("Snapshots = %d, %v, want 3 and an error", len(all), err)
	}
	for i, sn := range all {
		if i > 0 && sn.Time.Before(all[i-1].Time) {
			t.Errorf("snapshots are not in order of time")
		}
		got, err := r.FindSnapshot(t.Context(), sn.ID.String()[:12])
		if err != nil || got.ID != sn.ID {
			t.Errorf("FindSnapshot = %v", err)
		}
	}
	for prefix, want := range map[string]error{"": ErrNoSnapshot, "xyz": ErrNoSnapshot, strings.Repeat("0", 64): ErrNoSnapshot} {
		if _, err := r.FindSnapshot(t.Context(), prefix); !errors.Is(err, want) {
			t.Errorf("FindSnapshot(%q) = %v, want %v", prefix, err, want)
		}
	}
}
