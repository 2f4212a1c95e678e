package erase

import (
	"slices"

	"roost/mail"
	"roost/snapshot"
)

// books are what a snapshot says of its mailboxes. When messages are erased, they count as erased and no longer as held or failed,
// so that the ledger of the run that wrote the snapshot still sums.
type books struct {
	boxes    []snapshot.Box
	problems []snapshot.Problem
	gone     map[int]bool // of problems
	ledger   *mail.Ledger
	memory   *snapshot.Erased
}

func newBooks(src *snapshot.Source, ledger *mail.Ledger, memory *snapshot.Erased) *books {
	return &books{boxes: slices.Clone(src.Boxes()), problems: src.Problems(), gone: make(map[int]bool), ledger: ledger, memory: memory}
}

// erase takes what goes from a mailbox out of the books, and marks where it stood.
func (b *books) erase(work *boxWork) {
	box := &b.boxes[slices.IndexFunc(b.boxes, func(box snapshot.Box) bool { return box.Name == work.name })]
	marks := slices.Clone(b.memory.Marks(work.name))
	held := int64(0)
	for _, c := range work.cuts {
		held += int64(len(c.hits))
		box.Bytes -= c.octets
		for i := range c.hits {
			marks = append(marks, mark(b.memory, &c.hits[i]))
		}
	}
	failed := make(map[mail.Key]bool)
	for _, i := range work.gone {
		b.gone[i] = true
		p := &b.problems[i]
		failed[p.Key] = true
		if holds(work, p.Key) {
			continue // it is in the snapshot as it was before it failed
		}
		marks = append(marks, b.markProblem(box, p))
	}
	box.Messages -= held
	b.memory.SetMarks(work.name, marks)
	box.Erased = int64(len(b.memory.Marks(work.name)))
	b.row(work.name, held, failed, work)
}

// holds reports whether a message that goes has that key at the source.
func holds(work *boxWork, key mail.Key) bool {
	return slices.ContainsFunc(work.cuts, func(c *cut) bool {
		return slices.ContainsFunc(c.hits, func(h hit) bool { return h.entry.Key == key })
	})
}

// markProblem is where a message stands that could not be stored.
func (b *books) markProblem(box *snapshot.Box, p *snapshot.Problem) snapshot.Mark {
	slot := snapshot.Slot(p.UID)
	if p.UID == 0 || box.UIDValidity == 0 {
		box.Next = max(box.Next, 1)
		if box.UIDValidity != 0 {
			box.Next = max(box.Next, snapshot.FirstLoose)
		}
		slot = box.Next
		box.Next++
	}
	mark := snapshot.Mark{Slot: slot}
	if p.Key != slot.Key() {
		mark.Key = b.memory.Key(p.Key)
	}
	return mark
}

// row changes the mailbox's row in the ledger.
func (b *books) row(name mail.Name, held int64, failed map[mail.Key]bool, work *boxWork) {
	for i := range b.ledger.Rows {
		r := &b.ledger.Rows[i]
		if r.Mailbox != name {
			continue
		}
		stale := int64(0)
		for key := range failed {
			if holds(work, key) {
				stale++ // counted as failed, although an older form was kept
			}
		}
		r.Held -= held - stale
		r.Failed -= int64(len(failed))
		r.Erased += held - stale + int64(len(failed))
		r.Problems = slices.DeleteFunc(slices.Clone(r.Problems), func(p mail.Problem) bool { return p.Key != "" && failed[p.Key] })
		return
	}
}

// left are the problems that stay.
func (b *books) left() []snapshot.Problem {
	var left []snapshot.Problem
	for i := range b.problems {
		if !b.gone[i] {
			left = append(left, b.problems[i])
		}
	}
	return left
}
