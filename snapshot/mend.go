package snapshot

import (
	"context"
	"errors"
	"fmt"

	"roost/mail"
	"roost/repo"
)

// Mended is a bucket without what cannot be read.
type Mended struct {
	Bucket   Bucket // as it was, if it is whole
	Whole    bool
	Messages int64
	Bytes    int64
	Lost     []mail.Error // messages that are not in it, each with its key at the source
	Bare     []mail.Error // messages that are in it and of which the flags are lost, with the key of the snapshot
}

// Mend makes a bucket that can be read of what is left of b. What is missing in the repository is lost; what could not be read for
// another reason is an error, and so is damage of which it is not known that it lasts.
func (a Around) Mend(ctx context.Context, session *repo.Session, name mail.Name, b Bucket) (Mended, error) {
	var in Interner
	entries, unknown := a.entriesLeft(ctx, b, &in, nil)
	stored, lost := a.shardsLeft(ctx, b)
	if err := ctx.Err(); err != nil {
		return Mended{}, context.Cause(ctx)
	}
	if b.Meta.IsNull() {
		clear(unknown) // the caller knows why it cannot be found
		for first := b.First; first < b.First+BucketSize; first += RangeSize {
			unknown[first] = fmt.Errorf("its flags are lost: %w", repo.ErrNoBlob)
		}
	}
	for _, errs := range []map[Slot]error{unknown, lost} {
		for first, err := range errs {
			if !lasting(err) {
				return Mended{}, fmt.Errorf("messages from %s on: %w", first, err)
			}
		}
	}
	m := Mended{Bucket: b}
	told := make(map[Slot]*Entry, len(entries))
	for i := range entries {
		told[entries[i].Slot] = &entries[i]
	}
	gone := func(slot Slot, why error) {
		key := slot.Key()
		if e := told[slot]; e != nil {
			key = e.Key
		}
		m.Lost = append(m.Lost, mail.Error{Op: "mend", Mailbox: name, Key: key, Err: why})
		delete(told, slot)
	}
	var e Edit
	for _, s := range stored {
		if id, missing := a.missing(&s); missing {
			gone(s.Slot, fmt.Errorf("data blob %v is lost", id))
			continue
		}
		entry := told[s.Slot]
		switch {
		case entry != nil:
		case unknown[s.Slot.Range()] != nil:
			entry = &Entry{Slot: s.Slot, Key: s.Slot.Key()}
			m.Bare = append(m.Bare, mail.Error{Op: "mend", Mailbox: name, Key: entry.Key, Err: unknown[s.Slot.Range()]})
		default:
			continue // no message of the mailbox: nothing is said of it
		}
		e.Put, e.Entries = append(e.Put, s), append(e.Entries, *entry)
		m.Messages++
		m.Bytes += s.Size
		delete(told, s.Slot)
	}
	for i := range entries {
		slot := entries[i].Slot
		if told[slot] == nil {
			continue
		}
		why := lost[slot.Shard()]
		if why == nil {
			why = errors.New("its bytes are lost")
		}
		gone(slot, why)
	}
	if m.Whole = len(unknown)+len(lost)+len(m.Lost)+len(m.Bare) == 0; m.Whole {
		return m, nil
	}
	for first := b.First; first < b.First+BucketSize; first += RangeSize {
		e.Ranges = append(e.Ranges, first)
	}
	e.IDs = e.Ranges
	var err error
	m.Bucket, _, err = EditBucket(ctx, session, a.Source, Bucket{First: b.First}, e)
	return m, err
}

// missing returns a blob of the message that no index names, if there is one.
func (s *Source) missing(m *Stored) (repo.ID, bool) {
	for _, id := range m.Content {
		if !s.repo.Has(repo.DataBlob, id) {
			return id, true
		}
	}
	return repo.ID{}, false
}

// lasting reports whether err tells of something that is lost, and not of a line that failed.
func lasting(err error) bool {
	return errors.Is(err, repo.ErrNoBlob) || errors.Is(err, repo.ErrDamaged)
}
