package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"roost/blob"
)

// A Rewriting is a Session that has the repository for itself, so that it may put snapshots in the place of others.
type Rewriting struct{ *Session }

// Rewrite is Write under an exclusive lock.
func (r *Repo) Rewrite(ctx context.Context, o WriteOptions, fn func(ctx context.Context, w *Rewriting) error) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	return r.WithLock(ctx, Exclusive, func(ctx context.Context, l *Lock) error {
		if err := r.LoadIndex(ctx); err != nil {
			return err
		}
		return r.write(ctx, l, o, func(ctx context.Context, s *Session) error { return fn(ctx, &Rewriting{s}) })
	})
}

// Replace stores a snapshot with another tree and, once that is durable, removes it as it was. All else that stands in it is kept;
// Original names the first of all its forms. all are the snapshots that there are: one that an earlier Replace stored, and then
// was cut short, is not stored twice.
//
// An error may come behind the new snapshot: then its ID is returned beside it, and both are there.
func (w *Rewriting) Replace(ctx context.Context, old *Snapshot, tree ID, all []*Snapshot) (ID, error) {
	wanted := *old
	wanted.Tree = &tree
	if wanted.Original == nil || wanted.Original.IsNull() {
		wanted.Original = &old.ID
	}
	var id ID
	if twin := slices.IndexFunc(all, func(sn *Snapshot) bool { return isTwin(sn, &wanted) }); twin >= 0 {
		id = all[twin].ID
	} else {
		var err error
		if id, err = w.SaveSnapshot(ctx, wanted); err != nil {
			return ID{}, fmt.Errorf("replace snapshot %s: %w", old.ID.Short(), err)
		}
	}
	err := w.repo.bucket.Remove(ctx, blob.Handle{Kind: blob.Snapshot, Name: old.ID.String()})
	if err != nil && !errors.Is(err, blob.ErrNotExist) {
		return id, fmt.Errorf("replace snapshot %s: %s was stored in its place, but it stays too: %w", old.ID.Short(), id.Short(), err)
	}
	return id, nil
}

// isTwin reports whether sn is wanted, stored before.
func isTwin(sn, wanted *Snapshot) bool {
	return sn.ID != wanted.ID && sn.Original != nil && *sn.Original == *wanted.Original && *sn.Tree == *wanted.Tree && sn.Time.Equal(wanted.Time) &&
		sn.Hostname == wanted.Hostname && sn.Username == wanted.Username && slices.Equal(sn.Paths, wanted.Paths) && slices.Equal(sn.Tags, wanted.Tags)
}
