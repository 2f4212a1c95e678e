package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"roost/mail"
	"roost/message"
	"roost/snapshot"
)

func compare[T cmp.Ordered](a, b T) int { return cmp.Compare(a, b) }

// fetchTries is how often what a broken stream left open is asked for.
const fetchTries = 3

// batch fetches what is new in some buckets and writes them.
func (m *mailbox) batch(ctx context.Context, works []*work) error {
	var wanted []*item
	var in snapshot.Interner
	for _, w := range works {
		if err := m.open(ctx, w, &in); err != nil {
			return err
		}
		w.items = make([]item, len(w.fresh))
		for i, l := range w.fresh {
			it := &w.items[i]
			it.listed, it.again = l, w.has(l.slot)
			if err := m.recognise(ctx, it, w.rescued); err != nil {
				return err
			}
			if it.state == failed {
				wanted = append(wanted, it)
			}
		}
	}
	wanted, err := m.selectByHeader(ctx, wanted)
	if err != nil {
		return err
	}
	if err := m.fetch(ctx, wanted); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // what arrived is kept, however the run ends
	for _, w := range works {
		if w.new, w.removed, err = snapshot.EditBucket(ctx, m.run.session, m.run.prev, w.old, w.edit()); err != nil {
			return fmt.Errorf("%s: %w", m.box.Name, err)
		}
		m.book(w)
	}
	return nil
}

// open unpacks a work.
func (m *mailbox) open(ctx context.Context, w *work, in *snapshot.Interner) (err error) {
	w.folded, err = m.foldBucket(ctx, w.old, w.roll.list(&m.flags), in)
	if w.damaged != nil {
		w.rescued = m.rescue(ctx, *w.damaged, in)
	}
	w.roll = roll{}
	m.past.drop(w.old)
	return err
}

// book enters what became of the messages of a bucket into the books, and
// forgets them.
func (m *mailbox) book(w *work) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range w.items {
		it := &w.items[i]
		m.count(it)
		if it.state == stored && it.altered == "" {
			m.run.known.add(it.m.GUID, it.stored)
		}
	}
	w.folded, w.items, w.rescued = folded{}, nil, nil
}

// recognise settles what needs no transfer: messages left out by a rule, and
// messages whose GUID is known.
func (m *mailbox) recognise(ctx context.Context, it *item, left *rescue) error {
	s := &m.run.o.Selection
	if m.run.erasure.lists(it.m) {
		it.state = erased
		return nil
	}
	if !s.NeedsHeader() {
		if _, out := s.Message(it.m, time.Time{}); out {
			it.state = excluded
			return nil
		}
	}
	if s.SkipAttachments {
		return nil // what is stored may be whole
	}
	var known snapshot.Stored
	ok := false
	if left != nil {
		known, ok = left.find(it.listed)
	}
	if !ok {
		var err error
		if known, ok, err = m.run.known.find(ctx, it.m.GUID); err != nil || !ok || !m.agrees(it.m, &known) {
			return err
		}
	}
	it.put(known.Size, known.Content)
	it.known = true
	m.run.progress.message(0, false)
	return nil
}

// selectByHeader leaves out messages by the date in their header, if a rule
// wants that.
func (m *mailbox) selectByHeader(ctx context.Context, wanted []*item) ([]*item, error) {
	s := &m.run.o.Selection
	if !s.NeedsHeader() || len(wanted) == 0 {
		return wanted, nil
	}
	dates := make(map[mail.Key]time.Time, len(wanted))
	for f, err := range m.run.src.Fetch(ctx, m.box.Name, keysOf(wanted), mail.Header) {
		if err != nil {
			if _, one := mail.KeyOf(err); one {
				continue // it is tried again as a whole
			}
			break
		}
		header, err := io.ReadAll(io.LimitReader(f.Body, wholeMessage))
		if err != nil {
			continue
		}
		h, _ := message.Split(header)
		dates[f.Key], _ = h.Date()
	}
	var meant []*item
	for _, it := range wanted {
		if _, out := s.Message(it.m, dates[it.m.Key]); out {
			it.state = excluded
			m.run.progress.message(0, false)
		} else {
			meant = append(meant, it)
		}
	}
	return meant, ctx.Err()
}

// fetch gets the bytes of items and stores them. What the source fails to give
// is noted in the items; an error is one of the repository.
func (m *mailbox) fetch(ctx context.Context, wanted []*item) error {
	var broken error
	for try := 0; len(wanted) > 0 && try < fetchTries && ctx.Err() == nil; try++ {
		if try > 0 && !pause(ctx, time.Duration(try)*time.Second) {
			break
		}
		var err error
		if broken, err = m.fetchOnce(ctx, wanted); err != nil {
			return err
		}
		if broken == nil {
			return nil
		}
		open := wanted[:0]
		for _, it := range wanted {
			if it.state == failed && (it.err == nil || errors.Is(it.err, errCutOff)) {
				open = append(open, it)
			}
		}
		wanted = open
	}
	if broken == nil {
		broken = context.Cause(ctx)
	}
	m.giveUp(wanted, broken)
	return nil
}

// pause waits; false if ctx ended it.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// errCutOff marks a message whose bytes ended early; it is asked for again.
var errCutOff = errors.New("did not arrive whole")

// giveUp notes that some messages were not even answered for, as one problem of
// the mailbox. Its state must not advance.
func (m *mailbox) giveUp(open []*item, why error) {
	if len(open) == 0 || why == nil {
		return
	}
	m.run.fail(why)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, it := range open {
		it.err = nil
	}
	m.unread += len(open)
	m.why = why
}

// fetchOnce is one Fetch. broken tells why not every item was answered for.
func (m *mailbox) fetchOnce(ctx context.Context, wanted []*item) (broken, err error) {
	byKey := make(map[mail.Key]*item, len(wanted))
	for _, it := range wanted {
		byKey[it.m.Key] = it
		it.err = nil
	}
	var (
		wg   sync.WaitGroup
		once sync.Once
	)
	fail := func(e error) {
		if e != nil {
			once.Do(func() { err = e })
		}
	}
	for f, e := range m.run.src.Fetch(ctx, m.box.Name, keysOf(wanted), mail.Whole) {
		key, one := mail.KeyOf(e)
		if e != nil && !one {
			broken = e
			break
		}
		if e == nil {
			key = f.Key
		}
		it := byKey[key]
		if it == nil {
			continue // nobody asked for it
		}
		delete(byKey, key)
		if e != nil {
			m.refused(it, e)
			continue
		}
		if e := m.receive(ctx, it, f.Body, &wg, fail); e != nil {
			fail(e)
			break
		}
		if it.err != nil {
			broken = it.err
		}
	}
	wg.Wait()
	if err == nil && broken == nil && len(byKey) > 0 {
		broken = fmt.Errorf("fetch %s: the source did not answer for %d messages", m.box.Name, len(byKey))
	}
	return broken, err
}

// refused notes a message that the source would not give.
func (m *mailbox) refused(it *item, err error) {
	if errors.Is(err, mail.ErrGone) {
		it.state = vanished
		m.run.progress.message(0, false)
		return
	}
	var e *mail.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	it.err = err
	m.run.progress.message(0, true)
}
