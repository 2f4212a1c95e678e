package repo

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"roost/blob"
)

// ErrNoSnapshot says that no snapshot fits.
var ErrNoSnapshot = errors.New("no such snapshot")

// ErrAmbiguous says that a prefix fits several snapshots.
var ErrAmbiguous = errors.New("ambiguous snapshot id")

// A SnapshotFilter narrows snapshots; its zero value lets all pass.
type SnapshotFilter struct {
	Hostname string    // this host only
	Path     string    // this path is among the snapshot's
	Tags     []string  // all of them
	Before   time.Time // taken at or before that time
}

// Match reports whether the snapshot passes.
func (f *SnapshotFilter) Match(sn *Snapshot) bool {
	if f.Hostname != "" && sn.Hostname != f.Hostname {
		return false
	}
	if f.Path != "" && !slices.Contains(sn.Paths, f.Path) {
		return false
	}
	for _, tag := range f.Tags {
		if !slices.Contains(sn.Tags, tag) {
			return false
		}
	}
	return f.Before.IsZero() || !sn.Time.After(f.Before)
}

// FindSnapshot returns the snapshot whose ID begins with prefix: ErrNoSnapshot if there is none, ErrAmbiguous if several.
func (r *Repo) FindSnapshot(ctx context.Context, prefix string) (*Snapshot, error) {
	if _, err := hex.DecodeString(prefix + strings.Repeat("0", len(prefix)%2)); err != nil || prefix == "" {
		return nil, fmt.Errorf("find snapshot %q: %w: want hex digits", prefix, ErrNoSnapshot)
	}
	ids, err := r.list(ctx, blob.Snapshot)
	if err != nil {
		return nil, fmt.Errorf("find snapshot %s: %w", prefix, err)
	}
	ids = slices.DeleteFunc(ids, func(id ID) bool { return !strings.HasPrefix(id.String(), prefix) })
	switch len(ids) {
	case 0:
		return nil, fmt.Errorf("find snapshot %s: %w", prefix, ErrNoSnapshot)
	case 1:
		return r.LoadSnapshot(ctx, ids[0])
	}
	return nil, fmt.Errorf("find snapshot %s: %w: %s, %s", prefix, ErrAmbiguous, ids[0].Short(), ids[1].Short())
}

// LatestSnapshot returns the newest snapshot that passes the filter, or ErrNoSnapshot. If a snapshot could not be read,
// it may have been the newest: that is an error, too, beside the newest of the others.
func (r *Repo) LatestSnapshot(ctx context.Context, f SnapshotFilter) (*Snapshot, error) {
	all, err := r.Snapshots(ctx)
	for _, sn := range slices.Backward(all) {
		if f.Match(sn) {
			return sn, err
		}
	}
	return nil, errors.Join(ErrNoSnapshot, err)
}
