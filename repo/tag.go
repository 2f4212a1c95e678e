package repo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"roost/blob"
)

// A TagChange says what becomes of the tags of a snapshot. The zero value changes nothing.
type TagChange struct {
	Replace     bool     // drop what there is first
	Add, Remove []string // Remove wins
}

// Apply returns the tags after the change, each once, those that were there in front. It does not change tags.
func (c *TagChange) Apply(tags []string) []string {
	var out []string
	if c.Replace {
		tags = nil
	}
	for _, tag := range slices.Concat(tags, c.Add) {
		if !slices.Contains(out, tag) && !slices.Contains(c.Remove, tag) {
			out = append(out, tag)
		}
	}
	return out
}

// TagOptions adjust Tag; the zero value changes what is to be changed.
type TagOptions struct {
	DryRun bool // change nothing
}

// A TaggedSnapshot is a snapshot whose tags were changed.
type TaggedSnapshot struct {
	Old  *Snapshot
	New  ID // null after a dry run
	Tags []string
}

// Tag changes the tags of the snapshots that choose picks from all there are. A snapshot is an object that never changes, so each gets a
// new one, with a new ID, which names the first in Original; all else that stands in it is kept. The new one is stored before
// the old one is removed. It locks out all others meanwhile, but not for a dry run.
//
// What was changed before an error stands beside it. A run that was cut short in between leaves both objects; the next one
// removes the old.
func (r *Repo) Tag(ctx context.Context, choose func([]*Snapshot) ([]*Snapshot, error), change TagChange, o TagOptions) ([]TaggedSnapshot, error) {
	var changed []TaggedSnapshot
	run := func(ctx context.Context, _ *Lock) error {
		all, err := r.Snapshots(ctx)
		if err != nil {
			return err
		}
		chosen, err := choose(all)
		if err != nil {
			return err
		}
		for _, sn := range chosen {
			tags := change.Apply(sn.Tags)
			if slices.Equal(tags, sn.Tags) {
				continue
			}
			tagged := TaggedSnapshot{Old: sn, Tags: tags}
			if !o.DryRun {
				if tagged.New, err = r.retag(ctx, all, sn, tags); err != nil {
					return fmt.Errorf("snapshot %s: %w", sn.ID.Short(), err)
				}
			}
			changed = append(changed, tagged)
		}
		return nil
	}
	var err error
	if o.DryRun {
		err = run(ctx, nil)
	} else {
		err = r.WithLock(ctx, Exclusive, run)
	}
	if err != nil {
		return changed, fmt.Errorf("tag: %w", err)
	}
	return changed, nil
}

// retag stores a snapshot under other tags, unless an earlier run did so, and removes it under its own.
func (r *Repo) retag(ctx context.Context, all []*Snapshot, sn *Snapshot, tags []string) (ID, error) {
	wanted := *sn
	wanted.Tags = tags
	var id ID
	twin := slices.IndexFunc(all, func(other *Snapshot) bool {
		return other.ID != sn.ID && other.Origin() == sn.Origin() && sameSnapshot(other, &wanted)
	})
	if twin >= 0 {
		id = all[twin].ID
	} else {
		p, err := r.loadUnpacked(ctx, blob.Snapshot, sn.ID)
		if err != nil {
			return ID{}, err
		}
		origin := sn.Origin()
		if p, err = editSnapshot(p, map[string]any{"tags": tags, "original": &origin}); err != nil {
			return ID{}, err
		}
		if id, err = r.saveUnpacked(ctx, blob.Snapshot, p); err != nil {
			return ID{}, err
		}
	}
	err := r.bucket.Remove(ctx, blob.Handle{Kind: blob.Snapshot, Name: sn.ID.String()})
	if err != nil && !errors.Is(err, blob.ErrNotExist) {
		return ID{}, fmt.Errorf("%s was stored in its place, but it stays too: %w", id.Short(), err)
	}
	return id, nil
}

// sameSnapshot reports whether two objects say the same of the same, as restic's copy holds it: in all but parent and original.
func sameSnapshot(a, b *Snapshot) bool {
	set := func(s []string) []string { return slices.Sorted(slices.Values(s)) }
	return a.Time.Equal(b.Time) && *a.Tree == *b.Tree && a.Hostname == b.Hostname && a.Username == b.Username && a.UID == b.UID && a.GID == b.GID &&
		slices.Equal(set(a.Paths), set(b.Paths)) && slices.Equal(set(a.Tags), set(b.Tags)) && slices.Equal(a.Excludes, b.Excludes)
}

// editSnapshot returns the JSON of a snapshot with some fields set, or taken out where the value is nil or an empty list. All other fields stay,
// also those that we do not know.
func editSnapshot(p []byte, fields map[string]any) ([]byte, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(p, &object); err != nil {
		return nil, fmt.Errorf("decode snapshot: %w", err)
	}
	for name, value := range fields {
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, err
		}
		object[name] = raw
		if bytes.Equal(raw, []byte("null")) || bytes.Equal(raw, []byte("[]")) {
			delete(object, name)
		}
	}
	return json.Marshal(object)
}
