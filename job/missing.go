package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"roost/mail"
	"roost/query"
	"roost/snapshot"
)

// Missing says that a snapshot does not hold what was asked of it by name: a
// mailbox or a message. That is an error, for "nothing to do" would read as if
// all was well.
type Missing struct {
	What    string    // is missing, for people
	Mailbox bool      // a mailbox is, not a message
	Near    mail.Name // a mailbox that is called almost so; "": none
	Held    *Snapshot // the newest other snapshot of the account that holds it; nil: none does
}

func (m *Missing) Error() string { return m.What }

// Require is a *Missing if a mask of sel means no mailbox of the snapshot, or if
// one of keys is in none of those that are meant.
func (r *Repository) Require(ctx context.Context, sn *Snapshot, sel query.Selection, keys []mail.Key) error {
	all, err := sn.Source.Mailboxes(ctx)
	if err != nil {
		return err
	}
	if unmatched := sel.Unmatched(all); len(unmatched) > 0 {
		one := query.Selection{Folders: unmatched[:1], NoChildren: sel.NoChildren}
		m := missingMailbox(sn.Source, unmatched[0])
		m.Held = r.newestOther(ctx, sn, func(src *snapshot.Source) bool {
			boxes, err := src.Mailboxes(ctx)
			return err == nil && len(one.Unmatched(boxes)) == 0
		})
		return m
	}
	lacking, err := lackingKeys(ctx, sn.Source, sel, keys)
	if err != nil || len(lacking) == 0 {
		return err
	}
	return &Missing{
		What: fmt.Sprintf("snapshot %s has no message %s in the mailboxes that are meant", sn.ID.Short(), lacking[0]),
		Held: r.newestOther(ctx, sn, func(src *snapshot.Source) bool {
			left, err := lackingKeys(ctx, src, sel, lacking[:1])
			return err == nil && len(left) == 0
		}),
	}
}

// missingMailbox is about a mailbox that src does not have. name may be a mask.
func missingMailbox(src *snapshot.Source, name string) *Missing {
	m := &Missing{What: fmt.Sprintf(`snapshot %s has no mailbox "%s"`, src.ID().Short(), name), Mailbox: true}
	for _, box := range src.Boxes() {
		if strings.EqualFold(string(box.Name), name) {
			m.Near = box.Name
		}
	}
	return m
}

// lackingKeys are those of keys that are in none of the mailboxes that sel means.
func lackingKeys(ctx context.Context, src *snapshot.Source, sel query.Selection, keys []mail.Key) ([]mail.Key, error) {
	boxes, err := src.Mailboxes(ctx)
	if err != nil {
		return nil, err
	}
	meant, _ := sel.Mailboxes(boxes)
	for _, box := range meant {
		if len(keys) == 0 || box.NoSelect {
			continue
		}
		if keys, err = gone(ctx, src, box.Name, keys); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// gone are those of keys that a mailbox does not hold. A message that is there
// and cannot be read is held.
func gone(ctx context.Context, src *snapshot.Source, name mail.Name, keys []mail.Key) (gone []mail.Key, err error) {
	for _, err := range src.Fetch(ctx, name, keys, mail.Header) {
		key, one := mail.KeyOf(err)
		if err != nil && !one {
			return nil, err
		}
		if errors.Is(err, mail.ErrGone) {
			gone = append(gone, key)
		}
	}
	return gone, nil
}

// newestOther is the newest other snapshot of sn's account that holds something;
// nil if none does, or none can be read.
func (r *Repository) newestOther(ctx context.Context, sn *Snapshot, holds func(*snapshot.Source) bool) *Snapshot {
	list, _, _ := r.Snapshots(ctx, sn.Account()) // what cannot be read is of no help
	for _, other := range slices.Backward(list) {
		if other.ID != sn.ID && holds(other.Source) {
			return &other
		}
	}
	return nil
}

// Elsewhere is err, or if err says that sn lacks a mailbox or message, a
// *Missing that knows which other snapshot holds it.
func (r *Repository) Elsewhere(ctx context.Context, sn *Snapshot, name mail.Name, key mail.Key, err error) error {
	var m *Missing
	switch {
	case errors.Is(err, mail.ErrNoMailbox):
		m = missingMailbox(sn.Source, string(name))
	case errors.Is(err, mail.ErrGone):
		m = &Missing{What: fmt.Sprintf("snapshot %s has no message %s in %s", sn.ID.Short(), key, name)}
	default:
		return err
	}
	m.Held = r.newestOther(ctx, sn, func(src *snapshot.Source) bool {
		if _, ok := src.Box(name); !ok {
			return false
		}
		lacking, err := gone(ctx, src, name, []mail.Key{key})
		return err == nil && len(lacking) == 0
	})
	return m
}
