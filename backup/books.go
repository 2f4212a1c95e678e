package backup

import (
	"context"
	"errors"
	"time"

	"roost/mail"
	"roost/snapshot"
)

// add enters a mailbox that is done. line is nil if it is not in the snapshot,
// edit if its directory stays as it is.
func (r *run) add(row mail.Row, line *snapshot.Box, edit *boxEdit, problems []snapshot.Problem) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, row)
	if line != nil {
		r.boxes = append(r.boxes, *line)
	}
	if edit != nil {
		r.edits = append(r.edits, *edit)
	}
	r.problems = append(r.problems, problems...)
}

// fail notes a failure that reaches beyond one message, if it is one of the
// whole source.
func (r *run) fail(err error) {
	var e *mail.Error
	reaches := errors.Is(err, mail.ErrConnect) || errors.Is(err, mail.ErrAuth) || errors.Is(err, mail.ErrTLS) ||
		errors.Is(err, mail.ErrThrottled) || errors.Is(err, mail.ErrNeedsHuman) ||
		errors.As(err, &e) && e.Mailbox == "" && e.Key == ""
	if !reaches {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut == nil {
		r.cut = err
	}
}

// leave deals with a mailbox that the rules do not mean: what the last snapshot
// has of it is kept. It is not listed. So what is left out is counted where the store counts, and none
// of it is held yet; where the mailbox may have changed since it was held, nobody knows.
func (r *run) leave(ctx context.Context, box mail.Mailbox) error {
	m := &mailbox{run: r, box: box, row: mail.Row{Mailbox: box.Name, Server: -1, Method: "left out"}}
	if m.old, m.moved = r.past(&box); m.old == nil {
		m.row.Excluded, m.row.Uncounted = max(box.Count, 0), box.Count < 0 && !box.NoSelect
		m.old = r.namesake(&box)
	} else {
		m.row.Uncounted = !box.NoSelect && (box.Token == "" || box.Token != m.old.Token || box.UIDValidity != m.old.UIDValidity)
	}
	if m.old == nil {
		m.row.Listed = m.row.Excluded
		var edit *boxEdit
		if r.prev != nil {
			edit = &boxEdit{name: box.Name} // nothing of another store's or another mailbox's stays under the name
		}
		r.add(m.row, nil, edit, nil)
		return nil
	}
	line := *m.old
	if line.Kept.IsZero() {
		line.Kept = r.prevTime()
	}
	for key, p := range r.pendingOf(m.old) {
		q := *p
		q.Mailbox = box.Name
		if key != "" {
			m.row.Failed++
		}
		m.problems = append(m.problems, q)
		m.row.Problems = append(m.row.Problems, q.Mail())
	}
	m.row.Held, m.row.Erased = m.old.Messages, m.old.Erased
	m.row.Listed = m.row.Held + m.row.Failed + m.row.Erased + m.row.Excluded
	return m.carry(ctx, line)
}

// prevTime is when the last snapshot was begun.
func (r *run) prevTime() time.Time {
	if r.prev == nil {
		return time.Time{}
	}
	return r.prev.Account().Began
}
