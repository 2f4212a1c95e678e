package job

import (
	"context"
	"slices"
	"strings"
	"time"

	"roost/backup"
	"roost/repo"
	"roost/snapshot"
)

// Head is what is known of a snapshot before it is opened.
type Head struct {
	ID      repo.ID
	Time    time.Time
	Account string
}

// Heads lists the snapshots of all accounts, newest first. It is quick: a
// snapshot is opened only where the account's name cannot be told otherwise.
func (r *Repository) Heads(ctx context.Context) ([]Head, error) {
	all, err := r.Repo.Snapshots(ctx)
	var heads []Head
	names := map[string]string{} // of accounts, by their paths
	for _, sn := range slices.Backward(all) {
		if !slices.Contains(sn.Tags, backup.Tag) || len(sn.Paths) != 1 {
			continue
		}
		path := sn.Paths[0]
		name, known := names[path]
		if !known {
			name = strings.TrimPrefix(path, "/")
			if snapshot.FileName(name) != name {
				source, err := snapshot.Open(ctx, r.Repo, sn)
				if err != nil {
					continue
				}
				name = source.Account().Name
			}
			names[path] = name
		}
		heads = append(heads, Head{ID: sn.ID, Time: sn.Time, Account: name})
	}
	return heads, err
}
