package job

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"

	"roost/mail"
	"roost/query"
	"roost/snapshot"
)

// Difference is a message in which two snapshots differ.
type Difference struct {
	Mailbox mail.Name
	Kind    DifferenceKind
	Key     mail.Key   // "": the mailbox as a whole
	Old     mail.Flags // of Reflagged
	New     mail.Flags
}

// DifferenceKind says how two snapshots differ.
type DifferenceKind string

// The kinds.
const (
	Added     DifferenceKind = "added"
	Removed   DifferenceKind = "removed"
	Reflagged DifferenceKind = "flags changed"
	Renewed   DifferenceKind = "renumbered" // UIDVALIDITY or the store is another: all is removed and added
)

// Diff yields in what newer differs from older, mailbox by mailbox. Messages
// are told apart by key and UIDVALIDITY, which mean something within one account
// only; if the account has moved to another store, every mailbox is Renewed. An
// error ends the stream; it is a *Missing if a mask means no mailbox of either.
func Diff(ctx context.Context, older, newer *snapshot.Source, sel query.Selection) iter.Seq2[Difference, error] {
	return func(yield func(Difference, error) bool) {
		names := map[mail.Name]bool{}
		var all []mail.Mailbox
		for _, src := range []*snapshot.Source{older, newer} {
			boxes, err := src.Mailboxes(ctx)
			if err != nil {
				yield(Difference{}, err)
				return
			}
			all = append(all, boxes...)
			meant, _ := sel.Mailboxes(boxes)
			for _, box := range meant {
				names[box.Name] = true
			}
		}
		if unmatched := sel.Unmatched(all); len(unmatched) > 0 {
			yield(Difference{}, missingMailbox(newer, unmatched[0]))
			return
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			if !diffBox(ctx, older, newer, name, yield) {
				return
			}
		}
	}
}

func diffBox(ctx context.Context, older, newer *snapshot.Source, name mail.Name, yield func(Difference, error) bool) bool {
	was, errWas := changesOf(ctx, older, name)
	now, errNow := changesOf(ctx, newer, name)
	if err := errors.Join(errWas, errNow); err != nil {
		return yield(Difference{}, err) && false
	}
	if was == nil && !yield(Difference{Mailbox: name, Kind: Added}, nil) || now == nil && !yield(Difference{Mailbox: name, Kind: Removed}, nil) {
		return false
	}
	var old, cur []mail.Message
	if was != nil {
		old = was.Messages
	}
	if now != nil {
		cur = now.Messages
	}
	if was != nil && now != nil && (was.UIDValidity != now.UIDValidity || storeOf(older, name) != storeOf(newer, name)) {
		if !yield(Difference{Mailbox: name, Kind: Renewed}, nil) {
			return false
		}
		return yieldAll(name, Removed, old, yield) && yieldAll(name, Added, cur, yield)
	}
	flags := make(map[mail.Key]mail.Flags, len(old))
	for i := range old {
		flags[old[i].Key] = old[i].Flags
	}
	for i := range cur {
		m := &cur[i]
		before, there := flags[m.Key]
		delete(flags, m.Key)
		switch {
		case !there && !yield(Difference{Mailbox: name, Kind: Added, Key: m.Key, New: m.Flags}, nil),
			there && before != m.Flags && !yield(Difference{Mailbox: name, Kind: Reflagged, Key: m.Key, Old: before, New: m.Flags}, nil):
			return false
		}
	}
	gone := slices.DeleteFunc(old, func(m mail.Message) bool { _, left := flags[m.Key]; return !left })
	return yieldAll(name, Removed, gone, yield)
}

// storeOf is the identity of the store that a mailbox of a snapshot is of.
func storeOf(src *snapshot.Source, name mail.Name) string {
	box, ok := src.Box(name)
	if !ok {
		return ""
	}
	return src.StoreOf(box)
}

func yieldAll(name mail.Name, kind DifferenceKind, all []mail.Message, yield func(Difference, error) bool) bool {
	for i := range all {
		d := Difference{Mailbox: name, Kind: kind, Key: all[i].Key}
		if kind == Added {
			d.New = all[i].Flags
		} else {
			d.Old = all[i].Flags
		}
		if !yield(d, nil) {
			return false
		}
	}
	return true
}

// changesOf lists a mailbox; nil if it is not there.
func changesOf(ctx context.Context, src *snapshot.Source, name mail.Name) (*mail.Changes, error) {
	if box, ok := src.Box(name); !ok {
		return nil, nil
	} else if box.NoSelect {
		return &mail.Changes{UIDValidity: box.UIDValidity}, nil
	}
	ch, err := src.Changes(ctx, name, "")
	return &ch, err
}
