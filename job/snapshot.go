package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"roost/backup"
	"roost/query"
	"roost/repo"
	"roost/snapshot"
)

// ErrWhichSnapshot says that "latest" could mean several accounts.
var ErrWhichSnapshot = errors.New("which account?")

// Snapshot is one snapshot of an account, opened.
type Snapshot struct {
	*repo.Snapshot
	Source *snapshot.Source

	// Doubt joins the errors of snapshots that cannot be read, if this is the
	// newest of the others: one of them may be newer. nil: it surely is the newest,
	// or was not asked for as such.
	Doubt error
}

// Account is the name of the account in it.
func (s *Snapshot) Account() string { return s.Source.Account().Name }

// Totals are the messages in it, and their octets.
func (s *Snapshot) Totals() (messages, bytes int64) {
	for _, box := range s.Source.Boxes() {
		messages += box.Messages
		bytes += box.Bytes
	}
	return messages, bytes
}

// Snapshots are the snapshots of accounts, oldest first: of one account, or with
// "" of all. others counts the snapshots in the repository that hold no mail of
// roost's layout. An error beside a list joins those of snapshots that cannot be
// read; the list is good nevertheless.
func (r *Repository) Snapshots(ctx context.Context, account string) (list []Snapshot, others int, err error) {
	all, err := r.Repo.Snapshots(ctx)
	if err != nil && len(all) == 0 {
		return nil, 0, err
	}
	errs := []error{err}
	for _, sn := range all {
		switch {
		case !slices.Contains(sn.Tags, backup.Tag):
			others++
			continue
		case account != "" && !slices.Equal(sn.Paths, pathsOf(account)):
			continue
		}
		source, err := snapshot.Open(ctx, r.Repo, sn)
		switch {
		case errors.Is(err, snapshot.ErrNotMail):
			others++
		case err != nil:
			errs = append(errs, err)
		default:
			list = append(list, Snapshot{Snapshot: sn, Source: source})
		}
	}
	return list, others, errors.Join(errs...)
}

// Latest are the newest snapshots of each account, by name. An error beside a
// list joins those of snapshots that cannot be read, of which one may be newer.
func (r *Repository) Latest(ctx context.Context) ([]Snapshot, error) {
	newest := map[string]*repo.Snapshot{}
	all, err := r.Repo.Snapshots(ctx)
	errs := []error{err}
	for _, sn := range all {
		if slices.Contains(sn.Tags, backup.Tag) && len(sn.Paths) == 1 {
			newest[sn.Paths[0]] = sn
		}
	}
	var list []Snapshot
	for _, sn := range newest {
		source, err := snapshot.Open(ctx, r.Repo, sn)
		switch {
		case errors.Is(err, snapshot.ErrNotMail):
		case err != nil:
			errs = append(errs, err)
		default:
			list = append(list, Snapshot{Snapshot: sn, Source: source})
		}
	}
	slices.SortFunc(list, func(a, b Snapshot) int { return strings.Compare(a.Account(), b.Account()) })
	return list, errors.Join(errs...)
}

// Find opens the snapshot that spec means: a beginning of its ID, "latest" if
// the repository holds one account only, or "latest:ACCOUNT". With at, "latest"
// is the newest that was taken by then. A snapshot that cannot be read does not
// hide the others, but what "latest" finds is in Doubt then.
func (r *Repository) Find(ctx context.Context, spec string, at time.Time) (*Snapshot, error) {
	word, account, named := strings.Cut(spec, ":")
	var sn *repo.Snapshot
	var err, doubt error
	if word == "latest" {
		if sn, doubt, err = r.newest(ctx, account, named, at); err != nil {
			err = fmt.Errorf("find snapshot %s: %w", spec, err)
		}
	} else {
		sn, err = r.Repo.FindSnapshot(ctx, spec)
	}
	if err != nil {
		return nil, err
	}
	source, err := snapshot.Open(ctx, r.Repo, sn)
	if err != nil {
		return nil, err
	}
	return &Snapshot{Snapshot: sn, Source: source, Doubt: doubt}, nil
}

func (r *Repository) newest(ctx context.Context, account string, named bool, at time.Time) (newest *repo.Snapshot, doubt, err error) {
	all, doubt := r.Repo.Snapshots(ctx)
	paths := map[string]bool{}
	for _, sn := range all {
		if !slices.Contains(sn.Tags, backup.Tag) || len(sn.Paths) != 1 || named && sn.Paths[0] != pathsOf(account)[0] {
			continue
		}
		paths[sn.Paths[0]] = true
		if at.IsZero() || !sn.Time.After(at) {
			newest = sn
		}
	}
	switch {
	case len(paths) > 1:
		return nil, nil, fmt.Errorf("%w: the repository holds %d; write latest:ACCOUNT", ErrWhichSnapshot, len(paths))
	case newest == nil && doubt != nil:
		return nil, nil, doubt
	case newest == nil && len(paths) == 1:
		return nil, nil, fmt.Errorf("%w: none is that old", repo.ErrNoSnapshot)
	case newest == nil:
		return nil, nil, repo.ErrNoSnapshot
	}
	return newest, doubt, nil
}

// ParseAt reads the time of --at; "" is zero.
func (e *Env) ParseAt(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return query.ParseTime(text, e.now())
}

func pathsOf(account string) []string { return []string{"/" + snapshot.FileName(account)} }
