package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"roost/blob"
)

// ErrRemoveAll says that rules would leave nothing of a group of snapshots.
var ErrRemoveAll = errors.New("refused to remove all snapshots")

// A ForgetPolicy says what is to be forgotten.
type ForgetPolicy struct {
	Rules     func(*Snapshot) *KeepRules // the rules for a snapshot; nil: it is left alone. Those of other rules are another group
	GroupBy   GroupBy                    // what the snapshots of a group have in common
	RemoveAll bool                       // empty rules are meant: they keep nothing. Without, they are refused
	Whole     func(*Snapshot) bool       // a snapshot lacks nothing that its source had; nil: all do. See spareWhole
	Now       time.Time                  // what is in the future
}

// A ForgetGroup is a group of snapshots and what is to become of them.
type ForgetGroup struct {
	GroupKey
	Verdicts []Verdict // newest first
}

// Plan judges all snapshots that rules are for. It refuses, with ErrRemoveAll, rules that leave nothing of a group. What is held
// is kept whatever the rules say, and counts for the rules as any other.
func (p *ForgetPolicy) Plan(all []*Snapshot, holds *Holds) ([]ForgetGroup, error) {
	type pile struct {
		rules *KeepRules
		key   GroupKey
		group []*Snapshot
	}
	piles := map[string]*pile{}
	for _, sn := range all {
		rules := p.Rules(sn)
		if rules == nil || IsHold(sn) {
			continue
		}
		key := p.GroupBy.key(sn)
		name := fmt.Sprintf("%p %q %q %q", rules, key.Host, key.Paths, key.Tags)
		if piles[name] == nil {
			piles[name] = &pile{rules: rules, key: key}
		}
		piles[name].group = append(piles[name].group, sn)
	}
	var groups []ForgetGroup
	for _, pile := range piles {
		verdicts := pile.rules.Apply(pile.group, p.Now)
		kept := slices.ContainsFunc(verdicts, func(v Verdict) bool { return v.Keep })
		if !kept && !(p.RemoveAll && pile.rules.IsEmpty()) {
			return nil, fmt.Errorf("%w of %v: no rule keeps any", ErrRemoveAll, pile.key)
		}
		p.spareWhole(pile.rules, verdicts)
		for i := range verdicts {
			holds.judge(&verdicts[i])
		}
		groups = append(groups, ForgetGroup{GroupKey: pile.key, Verdicts: verdicts})
	}
	p.spareLast(groups)
	slices.SortFunc(groups, func(a, b ForgetGroup) int { return a.compare(b.GroupKey) })
	return groups, nil
}

// spareLast keeps the newest whole snapshot of each account, that is of equal paths, where groups hold several accounts and the
// rules would keep only those of others.
func (p *ForgetPolicy) spareLast(groups []ForgetGroup) {
	if p.Whole == nil || p.RemoveAll {
		return
	}
	accounts := map[string][]*Verdict{}
	for _, g := range groups {
		for i := range g.Verdicts {
			v := &g.Verdicts[i]
			name := fmt.Sprintf("%q", v.Snapshot.Paths)
			accounts[name] = append(accounts[name], v)
		}
	}
	for _, verdicts := range accounts {
		if !slices.ContainsFunc(verdicts, func(v *Verdict) bool { return !v.Keep }) {
			continue
		}
		slices.SortStableFunc(verdicts, func(a, b *Verdict) int { return b.Snapshot.Time.Compare(a.Snapshot.Time) })
		for _, v := range verdicts {
			if !p.Whole(v.Snapshot) {
				continue
			}
			if !v.Keep {
				v.Keep, v.Reasons = true, append(v.Reasons, "newest of the account's complete ones")
			}
			break
		}
	}
}

// spareWhole changes verdicts so that snapshots of runs that failed in part do not push out those that are whole: what the rules
// would keep if there were only whole ones is kept as well, and the newest of those whatever the rules are.
func (p *ForgetPolicy) spareWhole(rules *KeepRules, verdicts []Verdict) {
	leaves := slices.ContainsFunc(verdicts, func(v Verdict) bool { return !v.Keep })
	if p.Whole == nil || rules.IsEmpty() || !leaves {
		return
	}
	var whole []*Snapshot
	place := map[ID]int{}
	for i, v := range verdicts {
		place[v.Snapshot.ID] = i
		if p.Whole(v.Snapshot) {
			whole = append(whole, v.Snapshot)
		}
	}
	for i, w := range rules.Apply(whole, p.Now) {
		v := &verdicts[place[w.Snapshot.ID]]
		if i == 0 && !w.Keep {
			w.Keep, w.Reasons = true, []string{"newest"}
		}
		if !w.Keep || v.Keep {
			continue
		}
		v.Keep = true
		for _, reason := range w.Reasons {
			v.Reasons = append(v.Reasons, reason+" of the complete ones")
		}
	}
}

// ForgetOptions adjust Forget; the zero value removes what is to go.
type ForgetOptions struct {
	DryRun bool // decide, and remove nothing

	// Progress is told, if not nil, how many snapshots were removed of how many; one call at a time.
	Progress func(done, total int)
}

// A ForgetReport is what Forget did.
type ForgetReport struct {
	Groups  []ForgetGroup // as decided
	Removed []ID          // what is gone; after a dry run, what would be
}

// Forget removes the snapshots for which decide, which is given all there are and what is held, does not say Keep. Their data
// stays until prune. It locks out all others meanwhile, but not for a dry run. It removes nothing if a snapshot cannot be
// read, as nobody can tell then what rules mean, nor if one that is to go is held (ErrHeld).
//
// Where a removal fails, the others are tried nevertheless; the report tells what is gone.
func (r *Repo) Forget(ctx context.Context, decide func([]*Snapshot, *Holds) ([]ForgetGroup, error), o ForgetOptions) (ForgetReport, error) {
	var report ForgetReport
	run := func(ctx context.Context, _ *Lock) error {
		all, err := r.Snapshots(ctx)
		if err != nil {
			return err
		}
		holds, err := r.Holds(ctx, all)
		if err != nil {
			return err
		}
		if report.Groups, err = decide(all, holds); err != nil {
			return err
		}
		leaving, err := holds.leaving(report.Groups)
		if err != nil {
			return err
		}
		if o.DryRun {
			report.Removed = leaving
			return nil
		}
		report.Removed, err = r.removeObjects(ctx, blob.Snapshot, leaving, o.Progress)
		return err
	}
	var err error
	if o.DryRun {
		err = run(ctx, nil)
	} else {
		err = r.WithLock(ctx, Exclusive, run)
	}
	if err != nil {
		return report, fmt.Errorf("forget: %w", err)
	}
	return report, nil
}

// leaving lists the snapshots that are not kept, oldest first, so that a run that is cut short leaves no gap. ErrHeld if one of
// them is held.
func (h *Holds) leaving(groups []ForgetGroup) ([]ID, error) {
	var leaving []*Snapshot
	for _, g := range groups {
		for _, v := range g.Verdicts {
			if v.Keep {
				continue
			}
			if err := h.Guard(v.Snapshot); err != nil {
				return nil, err
			}
			leaving = append(leaving, v.Snapshot)
		}
	}
	slices.SortStableFunc(leaving, func(a, b *Snapshot) int { return a.Time.Compare(b.Time) })
	ids := make([]ID, len(leaving))
	for i, sn := range leaving {
		ids[i] = sn.ID
	}
	return ids, nil
}

// removeObjects removes objects, some at a time, and returns those that are gone.
func (r *Repo) removeObjects(ctx context.Context, kind blob.Kind, ids []ID, progress func(done, total int)) ([]ID, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var (
		mu     sync.Mutex // guards what follows, and calls of progress
		gone   []ID
		failed []error
	)
	each(ctx, ids, snapshotLoads, func(id ID) {
		err := r.bucket.Remove(ctx, blob.Handle{Kind: kind, Name: id.String()})
		mu.Lock()
		defer mu.Unlock()
		if err != nil && !errors.Is(err, blob.ErrNotExist) {
			failed = append(failed, err)
			return
		}
		gone = append(gone, id)
		if progress != nil {
			progress(len(gone), len(ids))
		}
	})
	if ctx.Err() != nil {
		failed = append(failed, context.Cause(ctx))
	}
	return gone, errors.Join(failed...)
}
