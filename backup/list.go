package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"roost/mail"
	"roost/snapshot"
)

// list asks what changed and folds it into the last list. A delta that does not
// add up to what the source says it holds is not believed: then all is listed.
// So it is where the last snapshot is damaged; loaded says if that is known.
func (m *mailbox) list(ctx context.Context, loaded error) error {
	var broken *damage
	err := loaded
	if err == nil && m.full() && m.old != nil {
		err = m.beThorough(ctx)
	}
	if err == nil {
		if err = m.listChanges(ctx); err == nil && m.wrong != nil {
			m.sayDamage(&damage{m.wrong})
		}
	} else if errors.As(err, &broken) {
		err = errors.Join(err, m.loadLeft(ctx))
	}
	if errors.As(err, &broken) && ctx.Err() == nil {
		return m.listAll(ctx, broken)
	}
	return err
}

func (m *mailbox) listChanges(ctx context.Context) error {
	var since mail.Token
	// Only a full list can count what rules leave out.
	if m.old != nil && !m.full() && m.old.Selection == m.run.selection && m.run.selection == "" && !m.mustList() && !m.erasedWanted() {
		since = m.old.Token
	}
	if err := m.ask(ctx, since); err != nil {
		return err
	}
	ch := &m.changes
	if ch.Full || ch.Count < 0 || ch.Count == m.row.Listed {
		return nil
	}
	doubted := fmt.Sprintf("%s said %d and %d were expected", ch.Method, ch.Count, m.row.Listed)
	if err := m.ask(ctx, ""); err != nil {
		return err
	}
	m.row.Method = ch.Method + " after " + doubted
	return nil
}

// mustList reports whether an earlier run failed to list a message, so that nothing is known of it.
func (m *mailbox) mustList() bool {
	for key, p := range m.pending {
		if key != "" && !p.Listed() {
			return true
		}
	}
	return false
}

// ask asks what changed since a state and folds it into the last list. What
// it found out before is forgotten.
func (m *mailbox) ask(ctx context.Context, since mail.Token) (err error) {
	m.row = mail.Row{Mailbox: m.box.Name}
	m.works, m.problems, m.flags = nil, nil, flagTable{}
	m.past.forget()
	if m.changes, err = m.run.src.Changes(ctx, m.box.Name, since); err != nil {
		return err
	}
	return m.fold(ctx)
}

// fold puts what the source says beside what the last snapshot has, bucket by
// bucket, and notes what must be done. The source's list is dropped: of a large
// mailbox it takes more memory than all else.
func (m *mailbox) fold(ctx context.Context) error {
	ch := &m.changes
	m.voided = m.old == nil || m.old.UIDValidity != ch.UIDValidity
	if m.voided && !ch.Full {
		return &mail.Error{Op: "list", Mailbox: m.box.Name, Err: errors.New("the source told changes since a state that it voided")}
	}
	m.row.Method, m.row.Server = ch.Method, ch.Count
	m.next = 1
	if ch.UIDValidity != 0 {
		m.next = snapshot.FirstLoose
	}
	old := m.buckets
	if m.voided {
		old = nil
	} else {
		m.next = max(m.next, m.old.Next)
	}
	m.unlisted = make(map[mail.Key]bool, len(ch.Failed))
	for _, f := range ch.Failed {
		m.unlisted[f.Key] = true
	}
	all := int64(len(ch.Messages) + len(ch.Failed))
	var in snapshot.Interner
	now, err := m.place(ctx, old, &in)
	ch.Messages = nil
	if err != nil {
		return err
	}
	now = m.passOver(now)
	var held, fresh, vanished int64
	m.base, m.stale = 0, 0
	if !m.voided && !m.thorough {
		held, m.base = m.old.Messages, m.old.Bytes
	}
	for len(old) > 0 || len(now) > 0 {
		w := &work{}
		bucket := now
		w.old, old, bucket, now = nextBucket(old, now)
		if m.thorough && !m.voided {
			n, err := m.inspect(ctx, w, &in)
			if err != nil {
				return err
			}
			held += n
		}
		f, err := m.foldBucket(ctx, w.old, bucket, &in)
		if err != nil {
			return err
		}
		fresh += int64(len(f.fresh))
		held -= int64(len(f.former) + f.unlisted)
		m.stale += int64(f.unlisted)
		vanished += int64(len(f.vanished))
		m.row.Changed += int64(f.changed)
		if f.changes() || w.damaged != nil {
			if err := m.checkEdit(ctx, w.old, &f); err != nil {
				return err
			}
			w.roll, w.count = newRoll(bucket, &m.flags), len(f.fresh)
			m.works = append(m.works, w)
		} else {
			m.past.drop(w.old)
		}
	}
	m.row.Vanished = vanished
	m.row.Held = held - vanished
	m.row.Erased = int64(len(m.marks))
	m.row.Listed = m.row.Held + fresh + int64(len(ch.Failed)) + m.row.Erased
	if ch.Full {
		m.row.Listed = all
	}
	for _, f := range ch.Failed {
		m.row.Failed++
		m.problem(snapshot.Problem{Key: f.Key, Reason: f.Err.Error(), Size: -1})
	}
	return nil
}

// place gives each listed message its slot, ascending.
func (m *mailbox) place(ctx context.Context, old []snapshot.Bucket, in *snapshot.Interner) ([]listed, error) {
	messages := m.changes.Messages
	if !m.changes.Full {
		messages = m.retry(messages)
	}
	loose, err := m.looseSlots(ctx, messages, old, in)
	if err != nil {
		return nil, err
	}
	loose = m.markedSlots(messages, loose)
	now := make([]listed, len(messages))
	for i := range messages {
		l := listed{m: &messages[i]}
		switch {
		case m.changes.UIDValidity != 0 && l.m.UID != 0:
			l.slot = snapshot.Slot(l.m.UID)
		case loose != nil && loose[i] != 0:
			l.slot = loose[i]
		default:
			l.slot = m.next
			m.next++
		}
		now[i] = l
	}
	bySlot := func(a, b listed) int { return cmp.Compare(a.slot, b.slot) }
	if !slices.IsSortedFunc(now, bySlot) {
		slices.SortStableFunc(now, bySlot)
	}
	for i := 1; i < len(now); i++ {
		if now[i].slot == now[i-1].slot {
			return nil, &mail.Error{Op: "list", Mailbox: m.box.Name, Err: fmt.Errorf("UID %d is listed twice", now[i].m.UID)}
		}
	}
	return now, nil
}

// retry adds the messages that failed in earlier runs and are still there: a
// delta does not name them again.
func (m *mailbox) retry(messages []mail.Message) []mail.Message {
	named := make(map[mail.Key]bool, len(messages))
	for i := range messages {
		named[messages[i].Key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(m.pending)) {
		if p := m.pending[key]; key != "" && !named[key] && !m.isGone(p.UID) {
			messages = append(messages, p.Message())
		}
	}
	return messages
}

// isGone reports whether a delta says that a UID is gone; never of 0, which is none.
func (m *mailbox) isGone(uid uint32) bool {
	if uid == 0 {
		return false
	}
	return m.changes.Vanished.Contains(uid) || m.changes.Present != nil && !m.changes.Present.Contains(uid)
}

// looseSlots are the slots that messages have in the last snapshot by their key,
// beside messages; 0 for those that have none. nil if all have UIDs. Were the
// same key listed twice, one gets the slot and both are kept.
func (m *mailbox) looseSlots(ctx context.Context, messages []mail.Message, old []snapshot.Bucket, in *snapshot.Interner) ([]snapshot.Slot, error) {
	if !slices.ContainsFunc(messages, func(x mail.Message) bool { return x.UID == 0 }) && m.changes.UIDValidity != 0 {
		return nil, nil
	}
	if len(old) == 0 {
		return nil, nil
	}
	byKey := keyOrder(messages)
	slots := make([]snapshot.Slot, len(messages))
	next := 0 // slots were given in the order of a list, so that the next entry mostly is the next message
	for _, b := range old {
		if m.changes.UIDValidity != 0 && b.First < snapshot.FirstLoose {
			continue
		}
		entries, err := m.past.read(ctx, b, nil, in)
		if err != nil && m.thorough && ctx.Err() == nil {
			continue // its messages get new slots
		}
		if err != nil {
			return nil, damaged(ctx, err)
		}
		for i := range entries {
			key := entries[i].Key
			at, found := next, next < len(byKey) && messages[byKey[next]].Key == key
			if !found {
				at, found = slices.BinarySearchFunc(byKey, key, func(at int32, key mail.Key) int { return cmp.Compare(messages[at].Key, key) })
			}
			for found && slots[byKey[at]] != 0 && at+1 < len(byKey) && messages[byKey[at+1]].Key == key {
				at++
			}
			if next = at; found {
				slots[byKey[at]] = entries[i].Slot
				next++
			}
		}
	}
	return slots, nil
}

// keyOrder are the places of messages in the order of their keys.
func keyOrder(messages []mail.Message) []int32 {
	order := make([]int32, len(messages))
	for i := range order {
		order[i] = int32(i)
	}
	byKey := func(a, b int32) int { return cmp.Compare(messages[a].Key, messages[b].Key) }
	if !slices.IsSortedFunc(order, byKey) {
		slices.SortStableFunc(order, byKey)
	}
	return order
}

// nextBucket splits the first bucket that either side has off both.
func nextBucket(old []snapshot.Bucket, now []listed) (snapshot.Bucket, []snapshot.Bucket, []listed, []listed) {
	b := snapshot.Bucket{}
	if len(now) > 0 {
		b.First = now[0].slot.Bucket()
	}
	if len(old) > 0 && (len(now) == 0 || old[0].First <= b.First) {
		b, old = old[0], old[1:]
	}
	n := 0
	for n < len(now) && now[n].slot.Bucket() == b.First {
		n++
	}
	return b, old, now[:n], now[n:]
}

// foldBucket folds what is listed of a bucket into what the last snapshot has of it.
func (m *mailbox) foldBucket(ctx context.Context, old snapshot.Bucket, now []listed, in *snapshot.Interner) (folded, error) {
	only := m.touchedRanges(old, now)
	if only == nil && !m.changes.Full {
		return folded{}, nil
	}
	entries, err := m.past.read(ctx, old, only, in)
	if err != nil {
		return folded{}, damaged(ctx, err)
	}
	stored := m.shelf(ctx, old)
	f := fold(entries, now, telling{
		failed: m.unlisted,
		full:   m.changes.Full,
		gone:   func(s snapshot.Slot) bool { return m.isGone(s.UID(m.changes.UIDValidity)) },
		again:  func(old *snapshot.Entry, now *mail.Message) bool { return m.wantedAgain(old, now, stored) },
	})
	return f, damaged(ctx, stored.err)
}

// touchedRanges says which ranges of a bucket a delta can concern; nil if none.
func (m *mailbox) touchedRanges(old snapshot.Bucket, now []listed) func(snapshot.Slot) bool {
	if m.changes.Full {
		return nil
	}
	if m.changes.Present != nil || len(m.unlisted) > 0 {
		return func(snapshot.Slot) bool { return true }
	}
	touched := make(map[snapshot.Slot]bool)
	for _, l := range now {
		touched[l.slot.Range()] = true
	}
	for r := old.First; r < old.First+snapshot.BucketSize && r < snapshot.FirstLoose; r += snapshot.RangeSize {
		if m.changes.Vanished.Intersects(uint32(r), uint32(r+snapshot.RangeSize-1)) {
			touched[r] = true
		}
	}
	if len(touched) == 0 {
		return nil
	}
	return func(r snapshot.Slot) bool { return touched[r] }
}
