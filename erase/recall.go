package erase

import (
	"roost/mail"
	"roost/message"
	"roost/snapshot"
)

// traits are what a message is recognised by, beside its print.
type traits struct {
	identity string         // of the store
	listed   mail.Message   // as the source lists it
	opening  *message.Print // nil: it is short
	altered  bool           // a rule changed the bytes: the source has others
}

// asListed is the message as the source lists it; its size is unknown if a rule changed the bytes.
func (t *traits) asListed() *mail.Message {
	m := t.listed
	if t.altered {
		m.Size = -1
	}
	return &m
}

// recall is what an account remembers of erased messages.
type recall struct {
	base *snapshot.Erased // all that its snapshots know; no marks
}

// add takes in what a snapshot remembers; nil: nothing. The newest, which comes first, decides about the salt.
func (m *recall) add(of *snapshot.Erased) {
	switch {
	case of == nil:
	case m.base == nil:
		m.base = of.Clone()
		m.base.Clear(false)
	default:
		m.base.Join(of)
	}
}

// with is what a snapshot remembers, which remembered past (nil: nothing), when messages are erased. It is the same whether the
// run was cut short and begun again, so that the second finds what the first has made.
func (m *recall) with(past *snapshot.Erased, messages []*Message) *snapshot.Erased {
	if m.base == nil {
		m.base = snapshot.NewErased()
	}
	next := m.base.Clone()
	if past != nil {
		next = past.Clone()
		next.Join(m.base)
	}
	for _, msg := range messages {
		if msg.Kept {
			continue // were it known by its bytes, no later run would store the copy that stays
		}
		t := &msg.traits
		if msg.Unread == nil {
			next.Learn(next.Print(msg.Print))
		}
		if t.opening != nil {
			next.Learn(next.Opening(*t.opening))
		}
		if t.identity != "" && t.listed.GUID != "" {
			next.Learn(next.Look(t.identity, t.asListed()))
		}
	}
	return next
}

// mark is where a hit stood.
func mark(e *snapshot.Erased, h *hit) snapshot.Mark {
	mark := snapshot.Mark{Slot: h.entry.Slot}
	if h.entry.Key != h.entry.Slot.Key() {
		mark.Key = e.Key(h.entry.Key)
	}
	if t := &h.message.traits; !t.altered {
		look := t.listed
		look.InternalDate, look.Size, look.GUID = h.stored.Date, h.stored.Size, h.entry.GUID
		mark.Look = e.Look(t.identity, &look)
	}
	return mark
}
