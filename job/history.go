package job

import (
	"context"
	"errors"
	"slices"
	"time"

	"roost/mail"
	"roost/query"
	"roost/snapshot"
)

// lost are messages of one mailbox that were in the snapshot source last and
// missing since.
type lost struct {
	source *snapshot.Source
	box    mail.Mailbox
	since  time.Time
	keys   map[mail.Key]bool
}

// history is what earlier snapshots hold and a later one does not, by mailbox.
type history map[mail.Name][]lost

// history walks the account's snapshots up to sn, oldest first. A message is
// known by its key and its mailbox's UIDVALIDITY: moved mail is deleted in one
// mailbox and new in another. Two snapshots of it are held at a time. damage is
// of snapshots that cannot be read: what only they hold is not in the history.
func (r *Repository) history(ctx context.Context, sn *Snapshot, sel query.Selection) (past history, damage, err error) {
	list, _, damage := r.Snapshots(ctx, sn.Account())
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	past = history{}
	var before *Snapshot
	for i := range list {
		next := &list[i]
		if next.Time.After(sn.Time) {
			break
		}
		if before != nil {
			if err := past.add(ctx, before.Source, next.Source, next.Time, sel); err != nil {
				return nil, nil, err
			}
		}
		before = next
	}
	// What came back later, as after a restore, is not deleted.
	return past, damage, past.forget(ctx, sn.Source)
}

func (h history) add(ctx context.Context, older, newer *snapshot.Source, since time.Time, sel query.Selection) error {
	boxes, err := older.Mailboxes(ctx)
	if err != nil {
		return err
	}
	meant, _ := sel.Mailboxes(boxes)
	for _, box := range meant {
		if box.NoSelect {
			continue
		}
		gone, err := vanished(ctx, older, newer, box)
		if err != nil {
			return err
		}
		if len(gone) > 0 {
			h[box.Name] = append(h[box.Name], lost{older, box, since, gone})
		}
	}
	return nil
}

// vanished are the keys that box has in older and not in newer.
func vanished(ctx context.Context, older, newer *snapshot.Source, box mail.Mailbox) (map[mail.Key]bool, error) {
	same, err := sameBox(ctx, older, newer, box.Name)
	if err != nil || same {
		return nil, err
	}
	was, err := older.Changes(ctx, box.Name, "")
	if err != nil {
		return nil, err
	}
	gone := make(map[mail.Key]bool, len(was.Messages))
	for i := range was.Messages {
		gone[was.Messages[i].Key] = true
	}
	now, err := newer.Changes(ctx, box.Name, "")
	if errors.Is(err, mail.ErrNoMailbox) {
		return gone, nil
	}
	if err != nil {
		return nil, err
	}
	if now.UIDValidity == was.UIDValidity && storeOf(older, box.Name) == storeOf(newer, box.Name) {
		for i := range now.Messages {
			delete(gone, now.Messages[i].Key)
		}
	}
	return gone, nil
}

// sameBox tells whether two snapshots hold a mailbox in the very same trees, so
// that there is nothing to compare.
func sameBox(ctx context.Context, a, b *snapshot.Source, name mail.Name) (bool, error) {
	x, okA := a.Box(name)
	y, okB := b.Box(name)
	if !okA || !okB || x.UIDValidity != y.UIDValidity {
		return false, nil
	}
	was, err := a.Buckets(ctx, name)
	if err != nil {
		return false, err
	}
	now, err := b.Buckets(ctx, name)
	if err != nil {
		return false, err
	}
	return slices.Equal(was, now), nil
}

// boxes are all of list and those that messages were lost of.
func (h history) boxes(list []mail.Mailbox) []mail.Mailbox {
	list = slices.Clone(list)
	for _, all := range h {
		for i := range all {
			list = append(list, all[i].box)
		}
	}
	return list
}

// forget takes out what src holds.
func (h history) forget(ctx context.Context, src *snapshot.Source) error {
	for name, all := range h {
		ch, err := src.Changes(ctx, name, "")
		if errors.Is(err, mail.ErrNoMailbox) {
			continue
		}
		if err != nil {
			return err
		}
		for i := range all {
			box, ok := all[i].source.Box(name)
			if !ok || box.UIDValidity != ch.UIDValidity || storeOf(all[i].source, name) != storeOf(src, name) {
				continue
			}
			for j := range ch.Messages {
				delete(all[i].keys, ch.Messages[j].Key)
			}
		}
	}
	return nil
}
