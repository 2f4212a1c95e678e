package backup

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"roost/mail"
	"roost/snapshot"
)

// settle adds up what the batches did and hands the mailbox in.
func (m *mailbox) settle() {
	edited := make(map[snapshot.Slot]snapshot.Bucket)
	for _, w := range m.works {
		edited[w.old.First] = w.new
		m.bytes -= w.removed
	}
	if m.voided {
		m.row.Vanished = max(0, m.before()-m.row.Known)
	} else {
		m.bytes += m.base
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
	if it.again && (it.state == excluded || it.state == vanished || it.state == erased) {
		m.row.Held++ // a rule deletes nothing; and if it is gone, the next list says so
		return
	}
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
	case erased:
		m.row.Erased++
		m.mark(it)
	default:
		m.row.Failed++
		if it.again {
			m.stale++
		}
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
		Messages: m.row.Held + m.stale, Bytes: m.bytes, Erased: int64(len(m.marks)), Selection: m.run.selection, Full: m.lastFull(ch.Full),
	}
	if m.next > 1 && m.next != snapshot.FirstLoose {
		line.Next = m.next
	}
	if m.unread > 0 {
		line.Token = ""
		m.problem(snapshot.Problem{Reason: fmt.Sprintf("messages that were not read: %d; %v", m.unread, m.why), Size: -1})
	}
	for i := range m.problems {
		m.row.Problems = append(m.row.Problems, m.problems[i].Mail())
	}
	m.run.erasure.keep(m.box.Name, m.marks)
	m.run.add(m.row, &line, &boxEdit{name: m.box.Name, buckets: buckets}, m.problems)
}

// gone hands in a mailbox that went while it was being read.
func (m *mailbox) gone() {
	m.row.Vanished = m.before()
	m.run.add(m.row, nil, &boxEdit{name: m.box.Name}, nil)
}

// pretend hands in what a dry run foresees.
func (m *mailbox) pretend(ctx context.Context) error {
	var in snapshot.Interner
	for _, w := range m.works {
		if err := m.open(ctx, w, &in); err != nil {
			return err
		}
		for _, l := range w.fresh {
			it := item{listed: l, again: w.has(l.slot)}
			if err := m.recognise(ctx, &it, w.rescued); err != nil {
				return err
			}
			if it.state == failed {
				it.state = stored // as far as can be foreseen
			}
			m.count(&it)
		}
	}
	if m.voided {
		m.row.Vanished = max(0, m.before()-m.row.Known)
	}
	m.run.add(m.row, &snapshot.Box{Name: m.box.Name, Messages: m.row.Held + m.stale}, nil, nil)
	return nil
}
