package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"roost/mail"
	"roost/snapshot"
)

// list asks what changed and folds it into the last list. A delta that does not
// add up to what the source says it holds is not believed: then all is listed.
func (m *mailbox) list(ctx context.Context) error {
	var since mail.Token
	// Only a full list can count what rules leave out.
	if m.old != nil && !m.run.o.Full && m.old.Selection == m.run.selection && m.run.selection == "" {
		since = m.old.Token
	}
	ch, err := m.run.src.Changes(ctx, m.box.Name, since)
	if err != nil {
		return err
	}
	if err := m.fold(ctx, ch); err != nil {
		return err
	}
	if ch.Full || ch.Count < 0 || ch.Count == m.row.Listed {
		return nil
	}
	doubted := fmt.Sprintf("%s after %s said %d and %d were expected", "%s", ch.Method, ch.Count, m.row.Listed)
	if ch, err = m.run.src.Changes(ctx, m.box.Name, ""); err != nil {
		return err
	}
	m.row = mail.Row{Mailbox: m.box.Name}
	m.works, m.problems = nil, nil
	if err := m.fold(ctx, ch); err != nil {
		return err
	}
	m.row.Method = fmt.Sprintf(doubted, ch.Method)
	return nil
}

// fold puts what the source says beside what the last snapshot has, bucket by
// bucket, and notes what must be done.
func (m *mailbox) fold(ctx context.Context, ch mail.Changes) error {
	m.changes = ch
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
	now, err := m.place(ctx, old)
	if err != nil {
		return err
	}
	var held, fresh, vanished int64
	if !m.voided {
		held = m.old.Messages
	}
	for len(old) > 0 || len(now) > 0 {
		w := &work{}
		w.old, old, w.now, now = nextBucket(old, now)
		if err := m.foldBucket(ctx, w); err != nil {
			return err
		}
		fresh += int64(len(w.fresh))
		vanished += int64(len(w.vanished))
		m.row.Changed += int64(w.changed)
		if w.changes() {
			m.works = append(m.works, w)
		}
	}
	m.row.Vanished = vanished
	m.row.Held = held - vanished
	m.row.Listed = m.row.Held + fresh + int64(len(ch.Failed))
	if ch.Full {
		m.row.Listed = int64(len(ch.Messages) + len(ch.Failed))
	}
	for _, f := range ch.Failed {
		m.row.Failed++
		m.problem(snapshot.Problem{Key: f.Key, Reason: f.Err.Error(), Size: -1})
	}
	return nil
}

// place gives each listed message its slot, ascending.
func (m *mailbox) place(ctx context.Context, old []snapshot.Bucket) ([]listed, error) {
	messages := m.changes.Messages
	if !m.changes.Full {
		messages = m.retry(messages)
	}
	loose, err := m.looseSlots(ctx, messages, old)
	if err != nil {
		return nil, err
	}
	now := make([]listed, 0, len(messages))
	for i := range messages {
		l := listed{m: &messages[i]}
		if m.changes.UIDValidity != 0 && l.m.UID != 0 {
			l.slot = snapshot.Slot(l.m.UID)
		} else if slot, ok := loose[l.m.Key]; ok {
			l.slot = slot
			delete(loose, l.m.Key) // were the same key listed twice, both are kept
		} else {
			l.slot = m.next
			m.next++
		}
		now = append(now, l)
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
	for key, p := range m.pending {
		if key != "" && !named[key] && !m.isGone(p.UID) {
			messages = append(messages, p.Message())
		}
	}
	return messages
}

// isGone reports whether a delta says that a UID is gone.
func (m *mailbox) isGone(uid uint32) bool {
	return m.changes.Vanished.Contains(uid) || m.changes.Present != nil && !m.changes.Present.Contains(uid)
}

// looseSlots are the slots that messages without UID have in the last snapshot,
// by key; nil if none is listed.
func (m *mailbox) looseSlots(ctx context.Context, messages []mail.Message, old []snapshot.Bucket) (map[mail.Key]snapshot.Slot, error) {
	if !slices.ContainsFunc(messages, func(x mail.Message) bool { return x.UID == 0 }) && m.changes.UIDValidity != 0 {
		return nil, nil
	}
	slots := make(map[mail.Key]snapshot.Slot)
	for _, b := range old {
		if m.changes.UIDValidity != 0 && b.First < snapshot.FirstLoose {
			continue
		}
		entries, err := m.run.prev.Entries(ctx, b, nil, &m.interner)
		if err != nil {
			return nil, err
		}
		for i := range entries {
			slots[entries[i].Key] = entries[i].Slot
		}
	}
	return slots, nil
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

func (m *mailbox) foldBucket(ctx context.Context, w *work) error {
	only := m.touchedRanges(w)
	if only == nil && !m.changes.Full {
		return nil
	}
	var entries []snapshot.Entry
	if !w.old.Meta.IsNull() {
		var err error
		if entries, err = m.run.prev.Entries(ctx, w.old, only, &m.interner); err != nil {
			return err
		}
	}
	w.folded = fold(entries, w.now, m.changes.Full, func(s snapshot.Slot) bool { return m.isGone(s.UID(m.changes.UIDValidity)) })
	w.forget()
	return nil
}

// touchedRanges says which ranges of a bucket a delta can concern; nil if none.
func (m *mailbox) touchedRanges(w *work) func(snapshot.Slot) bool {
	if m.changes.Full {
		return nil
	}
	if m.changes.Present != nil {
		return func(snapshot.Slot) bool { return true }
	}
	touched := make(map[snapshot.Slot]bool)
	for _, l := range w.now {
		touched[l.slot.Range()] = true
	}
	for r := w.old.First; r < w.old.First+snapshot.BucketSize && r < snapshot.FirstLoose; r += snapshot.RangeSize {
		if m.changes.Vanished.Intersects(uint32(r), uint32(r+snapshot.RangeSize-1)) {
			touched[r] = true
		}
	}
	if len(touched) == 0 {
		return nil
	}
	return func(r snapshot.Slot) bool { return touched[r] }
}
