package repo

import (
	"context"
	"testing"
	"time"

	"roost/blob"
)

// A dry run of forget, tag, key removal and copy writes nothing: not even a lock.
func TestDryRunsWriteNothing(t *testing.T) {
	r, b := newMemoryRepo(t)
	for n := range 3 {
		if err := backup(t.Context(), r, 0, 5+n); err != nil {
			t.Fatal(err)
		}
	}
	key, err := r.AddKey(t.Context(), NewPassword("second"), KeyOptions{KDF: testKDF})
	if err != nil {
		t.Fatal(err)
	}
	_, otherBucket := newMemoryRepo(t)
	all, err := r.Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	watched, watchedOther := &writes{Bucket: b}, &writes{Bucket: otherBucket}
	from, to := reopen(t, watched), reopen(t, watchedOther)
	policy := ForgetPolicy{Rules: always(KeepRules{Last: 1}), Now: time.Now()}
	report, err := from.Forget(t.Context(), policy.Plan, ForgetOptions{DryRun: true})
	if err != nil || len(report.Removed) != 2 {
		t.Errorf("Forget would remove %v, %v, want 2", report.Removed, err)
	}
	choose := func(all []*Snapshot) ([]*Snapshot, error) { return all, nil }
	changed, err := from.Tag(t.Context(), choose, TagChange{Add: []string{"x"}}, TagOptions{DryRun: true})
	if err != nil || len(changed) != 3 {
		t.Errorf("Tag would change %v, %v, want 3", changed, err)
	}
	if id, err := from.RemoveKey(t.Context(), key.String()[:12], true); err != nil || id != key {
		t.Errorf("RemoveKey would remove %v, %v, want %v", id, err, key)
	}
	if copied, err := Copy(t.Context(), from, to, all, CopyOptions{DryRun: true}); err != nil || copied.Blobs < 7 {
		t.Errorf("Copy would copy %+v, %v", copied, err)
	}
	if watched.n+watchedOther.n > 0 {
		t.Errorf("%d and %d calls would have written", watched.n, watchedOther.n)
	}
}

// writes counts the calls that change a bucket.
type writes struct {
	blob.Bucket
	n int
}

func (w *writes) Save(ctx context.Context, h blob.Handle, body []byte) error {
	w.n++
	return w.Bucket.Save(ctx, h, body)
}

func (w *writes) Remove(ctx context.Context, h blob.Handle) error {
	w.n++
	return w.Bucket.Remove(ctx, h)
}
