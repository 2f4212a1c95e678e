package find

import (
	"context"
	"fmt"

	"roost/query"
)

// maxGone bounds how many messages wait to be told where they are now.
const maxGone = 16384

// yieldGone yields messages that the newest snapshot no longer holds in their place, with the places of their copies.
func (r *run) yieldGone(ctx context.Context, gone []Found, yield func(Found, error) bool) bool {
	at := make(map[content][]*Found, len(gone))
	for i := range gone {
		at[gone[i].content] = append(at[gone[i].content], &gone[i])
	}
	newest := r.sources[len(r.sources)-1]
	for i := range newest.Boxes() {
		name := newest.Boxes()[i].Name
		buckets, err := newest.Buckets(ctx, name)
		for _, b := range buckets {
			stored, bad := newest.StoredLeft(ctx, b)
			if bad != nil {
				err = bad
			}
			for _, s := range stored {
				for _, f := range at[contentOf(s.Content)] {
					f.Moved = append(f.Moved, query.Place{Mailbox: name, Key: s.Slot.Key()})
				}
			}
		}
		if ctx.Err() != nil {
			return yield(Found{}, context.Cause(ctx)) && false
		}
		if err != nil && !yield(Found{}, fmt.Errorf("look for copies in %s: %w", name, err)) {
			return false
		}
	}
	for _, f := range gone {
		if !yield(f, nil) {
			return false
		}
	}
	return true
}
