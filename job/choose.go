package job

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"roost/backup"
	"roost/repo"
)

// SnapshotChoice says which snapshots are meant; the zero value means all of all accounts.
type SnapshotChoice struct {
	Specs    []string   // as Find takes them; these alone are meant
	Accounts []string   // names
	Tags     [][]string // snapshots that have all of one of the lists
}

// IsZero reports whether nothing was chosen.
func (c *SnapshotChoice) IsZero() bool {
	return len(c.Specs) == 0 && len(c.Accounts) == 0 && len(c.Tags) == 0
}

// choose picks what is meant of all snapshots: of roost's, and no holds. What is named and is not there is an error.
func (r *Repository) choose(ctx context.Context, c *SnapshotChoice, all []*repo.Snapshot) ([]*repo.Snapshot, error) {
	if len(c.Specs) > 0 {
		return r.chooseNamed(ctx, c, all)
	}
	for _, name := range c.Accounts {
		if !slices.ContainsFunc(all, func(sn *repo.Snapshot) bool { return isOf(sn, name) }) {
			return nil, fmt.Errorf("account %s: %w", name, repo.ErrNoSnapshot)
		}
	}
	var chosen []*repo.Snapshot
	for _, sn := range all {
		account := len(c.Accounts) == 0 || slices.ContainsFunc(c.Accounts, func(name string) bool { return isOf(sn, name) })
		if slices.Contains(sn.Tags, backup.Tag) && account && c.tagged(sn) {
			chosen = append(chosen, sn)
		}
	}
	return chosen, nil
}

func (r *Repository) chooseNamed(ctx context.Context, c *SnapshotChoice, all []*repo.Snapshot) (chosen []*repo.Snapshot, err error) {
	for _, spec := range c.Specs {
		var sn *repo.Snapshot
		if word, account, named := strings.Cut(spec, ":"); word == "latest" {
			var doubt error
			if sn, doubt, err = r.newest(ctx, account, named, time.Time{}); err == nil {
				err = doubt // another may be meant
			}
		} else {
			sn, err = r.FindSnapshot(ctx, spec)
		}
		if err != nil {
			return nil, fmt.Errorf("find snapshot %s: %w", spec, err)
		}
		at := slices.IndexFunc(all, func(other *repo.Snapshot) bool { return other.ID == sn.ID })
		if at >= 0 && !slices.Contains(chosen, all[at]) {
			chosen = append(chosen, all[at])
		}
	}
	return chosen, nil
}

func (c *SnapshotChoice) tagged(sn *repo.Snapshot) bool {
	return len(c.Tags) == 0 || slices.ContainsFunc(c.Tags, sn.HasTags)
}

// isOf reports whether a snapshot is one of an account.
func isOf(sn *repo.Snapshot, account string) bool {
	return slices.Contains(sn.Tags, backup.Tag) && slices.Equal(sn.Paths, pathsOf(account))
}
