package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"roost/backup"
	"roost/repo"
)

// ErrOwnTag says that a tag is roost's own mark of its snapshots, which nobody may take off.
var ErrOwnTag = errors.New("this tag is roost's own")

// Tag changes the tags of the chosen snapshots. The tag that marks them as roost's stays.
func (r *Repository) Tag(ctx context.Context, c SnapshotChoice, change repo.TagChange, dryRun bool) ([]repo.TaggedSnapshot, error) {
	for _, tag := range slices.Concat(change.Add, change.Remove) {
		if tag == "" || strings.Contains(tag, ",") {
			return nil, fmt.Errorf("tag %q: a tag has letters, and no comma", tag)
		}
	}
	if slices.Contains(change.Remove, backup.Tag) {
		return nil, fmt.Errorf("tag %s: %w", backup.Tag, ErrOwnTag)
	}
	if change.Replace {
		change.Add = append([]string{backup.Tag}, change.Add...)
	}
	choose := func(all []*repo.Snapshot) ([]*repo.Snapshot, error) {
		chosen, err := r.choose(ctx, &c, all)
		return slices.DeleteFunc(chosen, func(sn *repo.Snapshot) bool { return !slices.Contains(sn.Tags, backup.Tag) }), err
	}
	return r.Repo.Tag(ctx, choose, change, repo.TagOptions{DryRun: dryRun})
}
