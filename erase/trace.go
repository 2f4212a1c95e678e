package erase

import (
	"context"
	"slices"

	"roost/repo"
	"roost/snapshot"
)

// trace finds what a snapshot has of the chosen messages: the messages, identities of such as were gone by then, problems. The
// newest snapshot is written anew even without any: the next run learns from it what not to store.
func (l *accountLook) trace(ctx context.Context, sn *repo.Snapshot, newest bool) error {
	src, err := snapshot.Open(ctx, l.plan.repo, sn)
	if err != nil {
		return err
	}
	w := &Snapshot{Snapshot: sn}
	boxes := src.Boxes()
	for i := range boxes {
		box, err := l.traceBox(ctx, sn, src, &boxes[i])
		if err != nil {
			return err
		}
		if len(box.cuts) == 0 && len(box.gone) == 0 {
			continue
		}
		for _, c := range box.cuts {
			w.Messages += int64(len(c.hits))
		}
		w.problems += len(box.gone)
		w.boxes = append(w.boxes, box)
	}
	if len(w.boxes) == 0 && !newest {
		return nil
	}
	if l.plan.o.Guard != nil {
		if err := l.plan.o.Guard(sn); err != nil {
			l.plan.Refused = append(l.plan.Refused, Refusal{Account: l.account.Name, Snapshot: sn, Err: err})
		}
	}
	l.account.Snapshots = append(l.account.Snapshots, w)
	return nil
}

func (l *accountLook) traceBox(ctx context.Context, sn *repo.Snapshot, src *snapshot.Source, box *snapshot.Box) (boxWork, error) {
	at := place{src.StoreOf(box), box.Name, box.UIDValidity}
	work := boxWork{place: at, name: box.Name}
	places, slots := l.chosenIn(boxAt{at, box.ID})
	if len(slots) == 0 {
		return work, nil
	}
	problems := src.Problems()
	for i := range problems {
		if problems[i].Mailbox != box.Name || problems[i].Key == "" {
			continue
		}
		if slices.ContainsFunc(places, func(p place) bool { return l.keys[p][problems[i].Key] }) {
			work.gone = append(work.gone, i)
		}
	}
	buckets, err := src.Buckets(ctx, box.Name)
	if err != nil {
		if ctx.Err() != nil {
			return work, context.Cause(ctx)
		}
		l.doubt(sn, box.Name, "", err)
		return work, nil
	}
	for _, b := range buckets {
		c, err := l.traceBucket(ctx, src, bucketAt{at, b}, slots)
		if err != nil {
			if ctx.Err() != nil {
				return work, context.Cause(ctx)
			}
			l.doubt(sn, box.Name, "", err)
			continue
		}
		if c != nil {
			work.cuts = append(work.cuts, c)
		}
	}
	return work, nil
}

// boxAt is a mailbox with its ID, which survives a rename.
type boxAt struct {
	place
	id string
}

// chosenIn are the slots of chosen messages in a mailbox, ascending, under whatever name it had, and its places.
func (l *accountLook) chosenIn(box boxAt) (places []place, slots []snapshot.Slot) {
	places = []place{box.place}
	for _, other := range l.names[box.id] {
		if box.id != "" && other.box != box.box && other.identity == box.identity && other.uidValidity == box.uidValidity {
			places = append(places, other)
		}
	}
	if slots, known := l.sorted[box]; known {
		return places, slots
	}
	for _, p := range places {
		for slot := range l.slots[p] {
			slots = append(slots, slot)
		}
	}
	slices.Sort(slots)
	slots = slices.Compact(slots)
	l.sorted[box] = slots
	return places, slots
}

// traceBucket is what goes from a bucket; nil: nothing. slots are those of chosen messages in the mailbox, ascending.
func (l *accountLook) traceBucket(ctx context.Context, src *snapshot.Source, at bucketAt, slots []snapshot.Slot) (*cut, error) {
	if c, known := l.former[at]; known {
		return c, nil
	}
	from, _ := slices.BinarySearch(slots, at.First)
	to, _ := slices.BinarySearch(slots, at.First+snapshot.BucketSize)
	former, err := src.Former(ctx, at.Bucket, slots[from:to])
	if err != nil {
		return nil, err
	}
	c := l.chosen[at]
	if len(former) > 0 {
		if c == nil {
			c = &cut{old: at.Bucket}
		}
		c.former = former
	}
	l.former[at] = c
	return c, nil
}
