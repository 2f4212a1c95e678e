package repo

import (
	"errors"
	"testing"
	"time"

	"roost/blob"
)

// A hold survives restic's forget and prune, outlives tags and copies, and lets go only by RemoveHold.
func TestHold(t *testing.T) {
	t.Parallel()
	r, dir := newLocalRepo(t)
	oracle := newRestic(t, dir)
	for n := range 3 {
		if err := backup(t.Context(), r, 0, 5+n); err != nil {
			t.Fatal(err)
		}
	}
	all, err := r.Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.AddHold(t.Context(), Hold{}, all[:1], "test"); err == nil {
		t.Error("a hold without a reason: no error")
	}
	hold, err := r.AddHold(t.Context(), Hold{Reason: "case"}, all[:1], "test")
	if err != nil {
		t.Fatal(err)
	}
	choose := func(all []*Snapshot) ([]*Snapshot, error) { return all[:1], nil }
	if _, err := r.Tag(t.Context(), choose, TagChange{Add: []string{"x"}}, TagOptions{}); err != nil {
		t.Fatal(err)
	}
	forgetLast := ForgetPolicy{Rules: always(KeepRules{Last: 1}), GroupBy: GroupBy{Paths: true}, Now: time.Now()}
	report, err := r.Forget(t.Context(), forgetLast.Plan, ForgetOptions{})
	if err != nil || len(report.Removed) != 1 || report.Removed[0] != all[1].ID {
		t.Errorf("Forget removed %v, %v, want just %v", report.Removed, err, all[1].ID)
	}
	condemn := func(all []*Snapshot, _ *Holds) ([]ForgetGroup, error) {
		return []ForgetGroup{{Verdicts: []Verdict{{Snapshot: all[0]}}}}, nil
	}
	if _, err := r.Forget(t.Context(), condemn, ForgetOptions{}); !errors.Is(err, ErrHeld) {
		t.Errorf("Forget of what is held = %v, want ErrHeld", err)
	}
	oracle.run(t, "forget", "--group-by", "host,paths", "--keep-last", "1", "--prune")
	oracle.check(t)
	left, err := reopenLocal(t, dir).Snapshots(t.Context())
	if err != nil || len(left) != 2 {
		t.Fatalf("restic left %d snapshots, %v, want the last and the hold", len(left), err)
	}
	r = reopenLocal(t, dir)
	if _, err := r.LoadTree(t.Context(), *all[0].Tree); err != nil {
		t.Errorf("the data of what was held: %v", err)
	}
	if err := r.RemoveHold(t.Context(), left[0].ID); !IsHold(left[0]) && !errors.Is(err, ErrNoSnapshot) {
		t.Errorf("RemoveHold of a snapshot = %v, want ErrNoSnapshot", err)
	}
	if err := r.RemoveHold(t.Context(), hold.ID); err != nil {
		t.Errorf("RemoveHold = %v", err)
	}
}

func reopenLocal(t *testing.T, dir string) *Repo {
	t.Helper()
	return reopen(t, blob.NewLocal(dir, blob.LocalOptions{NoSync: true}))
}
