package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"roost/mail"
	"roost/snapshot"
)

// mailbox is one mailbox on its way into the snapshot.
type mailbox struct {
	run   *run
	box   mail.Mailbox
	old   *snapshot.Box // what the last snapshot has of it, maybe under another name; nil: nothing that holds
	moved bool          // old stands under another name

	buckets  []snapshot.Bucket // of old, ascending
	changes  mail.Changes
	voided   bool                           // the slots of old mean nothing any more
	next     snapshot.Slot                  // for messages without UID
	pending  map[mail.Key]*snapshot.Problem // failed in earlier runs
	works    []*work                        // buckets that change, ascending
	interner snapshot.Interner

	row      mail.Row
	problems []snapshot.Problem
	bytes    int64 // octets that the mailbox holds in the snapshot

	mu     sync.Mutex // guards row, problems and bytes, and what follows, while batches run
	unread int        // messages that were listed, and then nobody answered for: the state must not advance
	why    error      // the last reason
}

// mailbox backs up one mailbox. What the source fails to give ends up in the
// books; an error is one of the repository, or of ctx before anything was done.
func (r *run) mailbox(ctx context.Context, box mail.Mailbox) error {
	defer r.progress.mailboxDone(box.Name)
	m := &mailbox{run: r, box: box, row: mail.Row{Mailbox: box.Name, Server: box.Count}}
	m.old, m.moved = r.past(&box)
	m.pending = r.pendingOf(m.old)
	switch {
	case box.Err != nil:
		return m.keep(ctx, box.Err)
	case box.NoSelect:
		m.row.Server, m.row.Method = -1, "none"
		m.done(nil, mail.Changes{})
		return nil
	case m.unchanged():
		m.row.Method, m.row.Listed, m.row.Held = "unchanged", m.old.Messages, m.old.Messages
		return m.carry(ctx, *m.old)
	}
	if err := m.load(ctx); err != nil {
		return err
	}
	if err := m.list(ctx); err != nil {
		var e *mail.Error
		if !errors.As(err, &e) && ctx.Err() == nil {
			return err
		}
		if errors.Is(err, mail.ErrNoMailbox) {
			m.row = mail.Row{Mailbox: box.Name, Method: "deleted meanwhile"}
			m.gone()
			return nil
		}
		return m.keep(ctx, err)
	}
	if r.o.DryRun {
		m.pretend()
		return nil
	}
	return m.store(ctx)
}

// past is what the last snapshot has of a mailbox, and whether under another name.
func (r *run) past(box *mail.Mailbox) (old *snapshot.Box, moved bool) {
	if r.prev == nil || r.foreign {
		return nil, false
	}
	if old, ok := r.prev.Box(box.Name); ok && (old.ID == "" || box.ID == "" || old.ID == box.ID) {
		return old, false
	}
	if box.ID == "" {
		return nil, false
	}
	boxes := r.prev.Boxes()
	for i := range boxes {
		if boxes[i].ID == box.ID {
			return &boxes[i], true
		}
	}
	return nil, false
}

func (r *run) pendingOf(old *snapshot.Box) map[mail.Key]*snapshot.Problem {
	if old == nil {
		return nil
	}
	pending := make(map[mail.Key]*snapshot.Problem)
	all := r.prev.Problems()
	for i := range all {
		if all[i].Mailbox == old.Name {
			pending[all[i].Key] = &all[i]
		}
	}
	return pending
}

// unchanged reports whether the store's word is enough to carry the mailbox over.
func (m *mailbox) unchanged() bool {
	return m.old != nil && !m.run.o.Full && m.box.Token != "" && m.box.Token == m.old.Token &&
		m.box.UIDValidity == m.old.UIDValidity && m.old.Selection == m.run.selection && len(m.pending) == 0 &&
		(m.box.Count < 0 || m.box.Count == m.old.Messages) && m.old.Kept.IsZero()
}

// carry takes the mailbox over as the last snapshot has it.
func (m *mailbox) carry(ctx context.Context, line snapshot.Box) error {
	line.Name, line.Raw, line.Role, line.Subscribed = m.box.Name, rawOf(&m.box), m.box.Role, m.box.Subscribed
	var edit *boxEdit
	if m.moved {
		buckets, err := m.run.prev.Buckets(ctx, m.old.Name)
		if err != nil {
			return err
		}
		edit = &boxEdit{name: m.box.Name, buckets: buckets}
	}
	m.run.add(m.row, &line, edit, m.problems)
	return nil
}

// keep carries the mailbox over because it could not be read.
func (m *mailbox) keep(ctx context.Context, why error) error {
	ctxDone := ctx.Err() != nil
	ctx = context.WithoutCancel(ctx)
	m.run.fail(why)
	line := snapshot.Box{ID: m.box.ID, NoSelect: m.box.NoSelect}
	m.row = mail.Row{Mailbox: m.box.Name, Server: -1, Method: "not read"}
	if m.old != nil {
		line = *m.old
		m.row.Listed, m.row.Held = m.old.Messages, m.old.Messages
	}
	if line.Kept.IsZero() {
		line.Kept = m.run.prevTime()
	}
	for _, p := range m.pending {
		if p.Key != "" {
			m.problems = append(m.problems, *p)
			m.row.Listed++
			m.row.Failed++
		}
	}
	reason := why.Error()
	if ctxDone {
		reason = "the run was cut short: " + reason
	}
	m.problem(snapshot.Problem{Mailbox: m.box.Name, Reason: reason, Size: -1})
	for i := range m.problems {
		m.problems[i].Mailbox = m.box.Name
		m.row.Problems = append(m.row.Problems, m.problems[i].Mail())
	}
	return m.carry(ctx, line)
}

// load reads where the messages of the last snapshot stand.
func (m *mailbox) load(ctx context.Context) (err error) {
	if m.old != nil && m.old.Messages > 0 {
		m.buckets, err = m.run.prev.Buckets(ctx, m.old.Name)
	}
	return err
}

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

// store fetches what is new and writes the buckets that change.
func (m *mailbox) store(ctx context.Context) error {
	var fresh int64
	for _, w := range m.works {
		fresh += int64(len(w.fresh))
	}
	m.run.progress.expect(m.box.Name, fresh)
	batches, ctxBatches := errgroup.WithContext(ctx)
	batches.SetLimit(cap(m.run.fetchers))
	for _, b := range inBatches(m.works) {
		batches.Go(func() error {
			m.run.fetchers <- struct{}{}
			defer func() { <-m.run.fetchers }()
			return m.batch(ctxBatches, b)
		})
	}
	if err := batches.Wait(); err != nil {
		return err
	}
	m.settle()
	return nil
}

// settle adds up what the batches did and hands the mailbox in.
func (m *mailbox) settle() {
	edited := make(map[snapshot.Slot]snapshot.Bucket)
	for _, w := range m.works {
		edited[w.old.First] = w.new
		m.bytes -= w.removed
	}
	if m.voided {
		m.row.Vanished = 0
		if m.old != nil {
			m.row.Vanished = max(0, m.old.Messages-m.row.Known)
		}
	} else {
		m.bytes += m.old.Bytes
		for _, b := range m.buckets {
			if _, ok := edited[b.First]; !ok {
				edited[b.First] = b
			}
		}
	}
	buckets := make([]snapshot.Bucket, 0, len(edited))
	for _, b := range edited {
		if !b.Mail.IsNull() {
			buckets = append(buckets, b)
		}
	}
	slices.SortFunc(buckets, func(a, b snapshot.Bucket) int { return cmp.Compare(a.First, b.First) })
	m.done(buckets, m.changes)
}

// count enters a message into the books.
func (m *mailbox) count(it *item) {
	switch it.state {
	case stored:
		m.row.Held++
		m.row.New++
		m.row.Bytes += it.octets
		m.bytes += it.stored.Size
		if it.known {
			m.row.Known++
		}
		if it.altered != "" {
			m.row.Altered++
		}
	case excluded:
		m.row.Excluded++
	case vanished:
		m.row.Gone++
	default:
		m.row.Failed++
		if it.err != nil {
			m.problem(snapshot.ProblemOf(m.box.Name, it.m, it.err.Error(), time.Time{}, 0))
		}
	}
}

// problem notes what failed, since when, and how often.
func (m *mailbox) problem(p snapshot.Problem) {
	p.Mailbox, p.Since, p.Tries = m.box.Name, m.run.o.Now.UTC().Truncate(time.Second), 1
	if before := m.pending[p.Key]; before != nil {
		p.Since, p.Tries = before.Since, before.Tries+1
	}
	m.problems = append(m.problems, p)
}

// done hands the mailbox in with its new messages.
func (m *mailbox) done(buckets []snapshot.Bucket, ch mail.Changes) {
	line := snapshot.Box{
		Name: m.box.Name, Raw: rawOf(&m.box), ID: m.box.ID, Role: m.box.Role, Subscribed: m.box.Subscribed, NoSelect: m.box.NoSelect,
		UIDValidity: ch.UIDValidity, UIDNext: ch.UIDNext, HighestModSeq: ch.HighestModSeq, Token: ch.Token,
		Messages: m.row.Held, Bytes: m.bytes, Selection: m.run.selection,
	}
	if m.next > 1 && m.next != snapshot.FirstLoose {
		line.Next = m.next
	}
	if m.unread > 0 {
		line.Token = ""
		m.problem(snapshot.Problem{Reason: fmt.Sprintf("%d messages were not read: %v", m.unread, m.why), Size: -1})
	}
	for i := range m.problems {
		m.row.Problems = append(m.row.Problems, m.problems[i].Mail())
	}
	m.run.add(m.row, &line, &boxEdit{name: m.box.Name, buckets: buckets}, m.problems)
}

// gone hands in a mailbox that went while it was being read.
func (m *mailbox) gone() {
	if m.old != nil {
		m.row.Vanished = m.old.Messages
	}
	m.run.add(m.row, nil, &boxEdit{name: m.box.Name}, nil)
}

// pretend hands in what a dry run foresees.
func (m *mailbox) pretend() {
	for _, w := range m.works {
		for _, l := range w.fresh {
			if _, out := m.run.o.Selection.Message(l.m, time.Time{}); out && !m.run.o.Selection.NeedsHeader() {
				m.row.Excluded++
			} else {
				m.row.New++
				m.row.Held++
			}
		}
	}
	m.run.add(m.row, &snapshot.Box{Name: m.box.Name, Messages: m.row.Held}, nil, nil)
}

func rawOf(box *mail.Mailbox) []byte {
	if box.Raw == "" || box.Raw == string(box.Name) {
		return nil
	}
	return []byte(box.Raw)
}
