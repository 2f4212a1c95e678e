package job

import (
	"context"
	"errors"

	"roost/config"
	"roost/repo"
)

// Other is the same surroundings with another repository.
func (e *Env) Other(location string, secret config.Secret) *Env {
	other, cfg := *e, *e.Config
	cfg.Repository.Location, cfg.Repository.Secret = location, secret
	other.Config = &cfg
	return &other
}

// OpenOrMakeLike opens the repository, or makes it with the cut points of r if it is not there.
func (e *Env) OpenOrMakeLike(ctx context.Context, r *Repository) (*Repository, error) {
	to, err := e.OpenRepository(ctx)
	if errors.Is(err, repo.ErrNoRepository) {
		return e.makeRepository(ctx, repo.InitOptions{Like: r.Repo})
	}
	return to, err
}

// Copy copies the chosen snapshots to another repository; without a choice all that there are, holds and those of restic too.
func (r *Repository) Copy(ctx context.Context, to *Repository, c SnapshotChoice, o repo.CopyOptions) (*repo.CopyReport, error) {
	all, damage := r.Repo.Snapshots(ctx)
	if damage != nil && len(all) == 0 {
		return nil, damage
	}
	chosen := all
	if !c.IsZero() {
		var err error
		if chosen, err = r.choose(ctx, &c, all); err != nil {
			return nil, errors.Join(err, damage)
		}
	}
	report, err := repo.Copy(ctx, r.Repo, to.Repo, chosen, o)
	return report, errors.Join(err, damage)
}
