package repo

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"roost/blob"
	"roost/blob/blobtest"
)

// Copy, killed at any call of either bucket, leaves no half snapshot; the next run completes, stores nothing twice, and the copy has
// what the source has.
func TestCopyCutShort(t *testing.T) {
	t.Parallel()
	from, source := newMemoryRepo(t)
	for n := range 2 {
		if err := backup(t.Context(), from, 0, 20+10*n); err != nil {
			t.Fatal(err)
		}
	}
	all, err := from.Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, first := newMemoryRepo(t)
	run := func(from, b blob.Bucket) (*CopyReport, error) {
		r, err := Open(t.Context(), from, NewPassword(testPassword))
		if err != nil {
			return nil, err
		}
		to, err := Open(t.Context(), b, NewPassword(testPassword))
		if err != nil {
			return nil, err
		}
		return Copy(t.Context(), r, to, all, CopyOptions{Write: WriteOptions{PackSize: minPackTarget}})
	}
	atAnyCall(t, first, func(b blob.Bucket) error {
		report, err := run(source.Clone(), b)
		if err == nil && !report.OK() {
			t.Errorf("a copy of what is whole failed: %+v", report)
		}
		return err
	}, func(t *testing.T, b *blobtest.Memory, _ error) {
		mustCheck(t, b)
		if _, err := run(source.Clone(), b); err != nil {
			t.Fatalf("the next run: %v", err)
		}
		holds(t, reopen(t, b), 0, 30)
		again, err := run(source.Clone(), b)
		if err != nil || again.Blobs != 0 || slices.ContainsFunc(again.Snapshots, func(s CopiedSnapshot) bool { return !s.Already }) {
			t.Errorf("another run copies %+v, %v", again, err)
		}
		if n := count(t, b)[blob.Snapshot]; n != 2 {
			t.Errorf("%d snapshots, want 2", n)
		}
		mustCheck(t, b)
	})
	for n := int64(1); ; n++ { // the source fails
		b := first.Clone()
		faulty := &blobtest.Faulty{Bucket: source.Clone(), FailAt: n, Once: true}
		report, err := run(faulty, b)
		if faulty.Calls() < n {
			break
		}
		unlock(t, b)
		mustCheck(t, b)
		if got := count(t, b)[blob.Snapshot]; err == nil && report.OK() && got != 2 {
			t.Errorf("source failed at %d: OK, and %d snapshots", n, got)
		}
	}
	if _, err := Copy(t.Context(), from, from, all, CopyOptions{}); !errors.Is(err, ErrSameRepository) {
		t.Errorf("Copy into itself = %v", err)
	}
	if maps.Equal(count(t, first), count(t, source)) {
		t.Error("the test wrote to its first destination")
	}
}
