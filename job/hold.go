package job

import (
	"context"
	"fmt"
	"strings"

	"roost/repo"
)

// Hold keeps snapshots whatever rules say: those of specs, and with an account all that it has and will have. After a dry run
// the hold has no ID.
func (e *Env) Hold(ctx context.Context, r *Repository, c SnapshotChoice, reason string, dryRun bool) (repo.Hold, []*repo.Snapshot, error) {
	all, err := r.Repo.Snapshots(ctx)
	if err != nil {
		return repo.Hold{}, nil, fmt.Errorf("hold: %w", err)
	}
	h := repo.Hold{Reason: reason}
	if len(c.Accounts) == 1 {
		h.Account, h.Path = c.Accounts[0], pathsOf(c.Accounts[0])[0]
	}
	chosen, err := r.choose(ctx, &c, all)
	if err != nil || dryRun {
		return h, chosen, err
	}
	h, err = r.AddHold(ctx, h, chosen, e.Program)
	return h, chosen, err
}

// Held lists what is held.
func (r *Repository) Held(ctx context.Context) ([]repo.Hold, error) {
	all, err := r.Repo.Snapshots(ctx)
	if err != nil && len(all) == 0 {
		return nil, err
	}
	holds, holdErr := r.Holds(ctx, all)
	if holdErr != nil {
		return nil, holdErr
	}
	return holds.List, err
}

// FindHold returns the hold whose ID begins with prefix.
func (r *Repository) FindHold(ctx context.Context, prefix string) (repo.Hold, error) {
	list, err := r.Held(ctx)
	if err != nil {
		return repo.Hold{}, err
	}
	var found []repo.Hold
	for _, h := range list {
		if prefix != "" && strings.HasPrefix(h.ID.String(), prefix) {
			found = append(found, h)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return repo.Hold{}, fmt.Errorf("hold %s: %w", prefix, repo.ErrNoSnapshot)
	}
	return repo.Hold{}, fmt.Errorf("hold %s: %w", prefix, repo.ErrAmbiguous)
}
