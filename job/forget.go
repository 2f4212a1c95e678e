package job

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"roost/repo"
	"roost/snapshot"
)

// ErrLastWhole says that a snapshot was to be forgotten by name that is the last of its account which lacks nothing.
var ErrLastWhole = errors.New("it is the last complete snapshot of its account")

// ForgetOptions say what is to be forgotten.
type ForgetOptions struct {
	Choose  SnapshotChoice // with Specs just these; else what the rules are applied to
	Rules   repo.KeepRules
	GroupBy repo.GroupBy

	// RemoveAll says that nothing need be left: rules may be empty, if something is chosen, and the last complete snapshot may go.
	RemoveAll bool

	DryRun   bool
	Progress func(done, total int) // may be nil; one call at a time
}

// Forget removes snapshots by rules or by name. A snapshot of a run that failed in part does not push out one that is complete,
// and what is held stays. What it did before an error stands beside it.
func (e *Env) Forget(ctx context.Context, r *Repository, o ForgetOptions) (repo.ForgetReport, error) {
	decide := func(all []*repo.Snapshot, holds *repo.Holds) ([]repo.ForgetGroup, error) {
		chosen, err := r.choose(ctx, &o.Choose, all)
		if err != nil {
			return nil, err
		}
		whole := r.wholeness(ctx)
		if len(o.Choose.Specs) > 0 {
			groups, err := named(chosen, all, whole, o.RemoveAll)
			return groups, errors.Join(err, context.Cause(ctx))
		}
		among := map[repo.ID]bool{}
		for _, sn := range chosen {
			among[sn.ID] = true
		}
		policy := repo.ForgetPolicy{GroupBy: o.GroupBy, RemoveAll: o.RemoveAll, Whole: whole, Now: e.now(), Rules: func(sn *repo.Snapshot) *repo.KeepRules {
			if !among[sn.ID] {
				return nil
			}
			return &o.Rules
		}}
		groups, err := policy.Plan(all, holds)
		return groups, errors.Join(err, context.Cause(ctx))
	}
	return r.Repo.Forget(ctx, decide, repo.ForgetOptions{DryRun: o.DryRun, Progress: o.Progress})
}

// named condemns the chosen snapshots. It refuses to leave an account without a complete one, unless that is meant.
func named(chosen, all []*repo.Snapshot, whole func(*repo.Snapshot) bool, removeAll bool) ([]repo.ForgetGroup, error) {
	leaving := map[repo.ID]bool{}
	for _, sn := range chosen {
		leaving[sn.ID] = true
	}
	var groups []repo.ForgetGroup
	for _, sn := range chosen {
		if !removeAll && whole(sn) {
			left := false
			for _, other := range all {
				left = left || !leaving[other.ID] && slices.Equal(other.Paths, sn.Paths) && whole(other)
			}
			if !left {
				return nil, fmt.Errorf("snapshot %s: %w", sn.ID.Short(), ErrLastWhole)
			}
		}
		groups = append(groups, repo.ForgetGroup{GroupKey: repo.GroupKey{Host: sn.Hostname, Paths: sn.Paths}, Verdicts: []repo.Verdict{{Snapshot: sn}}})
	}
	return groups, nil
}

// wholeness returns a function that tells whether a snapshot lacks nothing that its source had, by its own ledger. What is not
// roost's lacks nothing that anybody could tell; what cannot be read is not whole. Each is looked at once.
func (r *Repository) wholeness(ctx context.Context) func(*repo.Snapshot) bool {
	known := map[repo.ID]bool{}
	return func(sn *repo.Snapshot) bool {
		whole, ok := known[sn.ID]
		if !ok {
			whole = r.isWhole(ctx, sn)
			known[sn.ID] = whole
		}
		return whole
	}
}

func (r *Repository) isWhole(ctx context.Context, sn *repo.Snapshot) bool {
	source, err := snapshot.Open(ctx, r.Repo, sn)
	if errors.Is(err, snapshot.ErrNotMail) {
		return true
	}
	if err != nil || len(source.Problems()) > 0 {
		return false
	}
	ledger, err := source.Ledger(ctx)
	return err == nil && ledger.Complete()
}
