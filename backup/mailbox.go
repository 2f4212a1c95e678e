package backup

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"roost/mail"
	"roost/snapshot"
)

// mailbox is one mailbox on its way into the snapshot.
type mailbox struct {
	run       *run
	box       mail.Mailbox
	old       *snapshot.Box // what the last snapshot has of it, maybe under another name; nil: nothing that holds
	makesRoom *snapshot.Box // without old: another mailbox, which the last snapshot has under the name; nil: none
	moved     bool          // old stands under another name

	buckets  []snapshot.Bucket // of old, ascending
	changes  mail.Changes
	voided   bool                           // the slots of old mean nothing any more
	next     snapshot.Slot                  // for messages without UID
	pending  map[mail.Key]*snapshot.Problem // failed in earlier runs
	unlisted map[mail.Key]bool              // of changes: could not be listed
	works    []*work                        // buckets that change, ascending
	flags    flagTable                      // of the rolls in works
	past     entryCache

	thorough bool  // every part of old is read, and what is damaged is built anew
	wrong    error // what of old is damaged, if thorough found something

	row      mail.Row
	marks    []snapshot.Mark // erased messages that the source still has
	stale    int64           // messages that the snapshot holds as they were, and that count as failed
	problems []snapshot.Problem
	base     int64 // octets that the buckets of old hold
	bytes    int64 // octets that the mailbox holds in the snapshot

	mu     sync.Mutex // guards row, stale, problems and bytes, and what follows, while batches run
	unread int        // messages that were listed, and then nobody answered for: the state must not advance
	why    error      // the last reason
}

// mailbox backs up one mailbox. What the source fails to give ends up in the
// books; an error is one of the repository, or of ctx before anything was done.
func (r *run) mailbox(ctx context.Context, box mail.Mailbox) error {
	defer r.progress.mailboxDone(box.Name)
	m := &mailbox{run: r, box: box, row: mail.Row{Mailbox: box.Name, Server: box.Count}, past: entryCache{prev: r.prev}}
	if m.old, m.moved = r.past(&box); m.old == nil {
		m.makesRoom = r.namesake(&box)
	}
	if m.old != nil && m.old.Messages <= keptEntries {
		m.past.room = keptEntries
	}
	m.pending = r.pendingOf(m.old)
	switch {
	case box.Err != nil:
		return m.keep(ctx, box.Err)
	case box.NoSelect:
		m.row.Server, m.row.Method, m.row.Vanished = -1, "none", m.before()
		m.done(nil, mail.Changes{})
		return nil
	case m.unchanged() && m.load(ctx) == nil:
		m.row.Method, m.row.Held, m.row.Erased = "unchanged", m.old.Messages, m.old.Erased
		m.row.Listed = m.row.Held + m.row.Erased
		return m.carry(ctx, *m.old)
	}
	if err := m.list(ctx, m.load(ctx)); err != nil {
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
		return m.pretend(ctx)
	}
	return m.store(ctx)
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

// fullNoted is how much later than the last one a full listing must be to be
// noted: where every listing is full, the line must not change with each run.
const fullNoted = 24 * time.Hour

// before is how many messages the last snapshot has under the mailbox, be it this one or another.
func (m *mailbox) before() int64 {
	if b := cmp.Or(m.old, m.makesRoom); b != nil {
		return b.Messages
	}
	return 0
}

// full reports whether the mailbox must be listed in full.
func (m *mailbox) full() bool {
	o := &m.run.o
	return o.Full || o.FullEvery > 0 && m.old != nil && o.Now.Sub(m.old.Full) >= o.FullEvery
}

// lastFull is when the mailbox was last listed in full; now says if it is just now.
func (m *mailbox) lastFull(now bool) time.Time {
	var last time.Time
	if m.old != nil {
		last = m.old.Full
	}
	if !now || m.run.o.Now.Sub(last) < fullNoted {
		return last
	}
	return m.run.o.Now.UTC().Truncate(time.Second)
}

// unchanged reports whether the store's word is enough to carry the mailbox over.
func (m *mailbox) unchanged() bool {
	return m.old != nil && !m.full() && m.box.Token != "" && m.box.Token == m.old.Token &&
		m.box.UIDValidity == m.old.UIDValidity && m.old.Selection == m.run.selection && len(m.pending) == 0 &&
		(m.box.Count < 0 || m.box.Count == m.old.Messages+m.old.Erased) && m.old.Kept.IsZero() && !m.erasedWanted()
}

// carry takes the mailbox over as the last snapshot has it.
func (m *mailbox) carry(ctx context.Context, line snapshot.Box) error {
	line.Name, line.Raw, line.Role, line.Subscribed = m.box.Name, rawOf(&m.box), m.box.Role, m.box.Subscribed
	if m.old != nil {
		line.Identity = m.run.storeOf(m.old)
	}
	var edit *boxEdit
	if m.old == nil {
		edit = &boxEdit{name: m.box.Name} // nothing of another store's or another mailbox's stays under the name
	} else if err := m.load(ctx); err != nil {
		if ctx.Err() == nil {
			m.cannotKeep(err)
		}
		return ctx.Err()
	}
	if m.moved {
		edit = &boxEdit{name: m.box.Name, buckets: m.buckets}
	}
	m.run.erasure.keep(m.box.Name, m.erasedBefore())
	m.run.add(m.row, &line, edit, m.problems)
	return nil
}

// keep carries the mailbox over because it could not be read.
func (m *mailbox) keep(ctx context.Context, why error) error {
	ctxDone := ctx.Err() != nil
	ctx = context.WithoutCancel(ctx)
	m.run.fail(why)
	m.buckets = nil // they may be what was left of a damaged snapshot
	m.old = cmp.Or(m.old, m.makesRoom)
	line := snapshot.Box{ID: m.box.ID, NoSelect: m.box.NoSelect}
	m.row = mail.Row{Mailbox: m.box.Name, Server: -1, Method: "not read"}
	if m.old != nil {
		line = *m.old
		m.row.Held, m.row.Erased = m.old.Messages, m.old.Erased
		m.row.Listed = m.row.Held + m.row.Erased
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
	if m.old != nil && m.old.Messages > 0 && m.buckets == nil {
		m.buckets, err = m.run.prev.Buckets(ctx, m.old.Name)
	}
	return damaged(ctx, err)
}

// store fetches what is new and writes the buckets that change.
func (m *mailbox) store(ctx context.Context) error {
	var fresh int64
	for _, w := range m.works {
		fresh += int64(w.count)
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

func rawOf(box *mail.Mailbox) []byte {
	if box.Raw == "" || box.Raw == string(box.Name) {
		return nil
	}
	return []byte(box.Raw)
}
