package repo

import (
	"slices"
	"testing"

	"roost/blob"
	"roost/blob/blobtest"
)

// Tag, killed at any call, loses no snapshot and doubles none for good.
func TestTagCutShort(t *testing.T) {
	t.Parallel()
	r, first := newMemoryRepo(t)
	for n := range 2 {
		if err := backup(t.Context(), r, 0, 5+n); err != nil {
			t.Fatal(err)
		}
	}
	tag := func(b blob.Bucket) error {
		r, err := Open(t.Context(), b, NewPassword(testPassword))
		if err == nil {
			choose := func(all []*Snapshot) ([]*Snapshot, error) { return all, nil }
			_, err = r.Tag(t.Context(), choose, TagChange{Add: []string{"x"}}, TagOptions{})
		}
		return err
	}
	want, err := r.Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	atAnyCall(t, first, tag, func(t *testing.T, b *blobtest.Memory, _ error) {
		if err := tag(b); err != nil {
			t.Fatalf("the next run: %v", err)
		}
		got, err := reopen(t, b).Snapshots(t.Context())
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d snapshots, %v, want %d", len(got), err, len(want))
		}
		for i, sn := range got {
			if *sn.Tree != *want[i].Tree || sn.Origin() != want[i].ID || !slices.Equal(sn.Tags, []string{"x"}) {
				t.Errorf("snapshot %d is %+v, was %+v", i, sn, want[i])
			}
		}
		mustCheck(t, b)
	})
}
