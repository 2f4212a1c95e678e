package backup

import (
	"fmt"
	"io"
	"slices"
	"sync"

	"roost/mail"
	"roost/message"
	"roost/snapshot"
)

// What the user had erased from the snapshots is not stored again, although the source may still have it. The last snapshot says
// where such messages stand (its marks): they are passed over without being read. One that turns up elsewhere, as after a
// move, is known by how the source lists it, or else by its bytes, which are then read and dropped before any of them is stored.
// In the books all of them count as erased.

// erasure is what a run knows of erased messages.
type erasure struct {
	past     *snapshot.Erased // of the last snapshot; nil: nothing was erased
	identity string           // of the source
	again    bool             // erased messages are wanted again, and no more known for erased

	mu    sync.Mutex // guards what follows
	marks map[mail.Name][]snapshot.Mark
}

// lists reports whether the source's list tells that a message is an erased one.
func (e *erasure) lists(m *mail.Message) bool {
	if e.again || !e.past.Recognises() || e.identity == "" || m.GUID == "" {
		return false
	}
	whatever := *m
	whatever.Size = -1 // of one that was stored without its attachments
	return e.past.Knows(e.past.Look(e.identity, m)) || e.past.Knows(e.past.Look(e.identity, &whatever))
}

// holds reports whether raw is an erased message.
func (e *erasure) holds(raw []byte) bool {
	return !e.again && e.past.Recognises() && e.past.Knows(e.past.Print(message.PrintOf(raw)))
}

// opens reports whether raw, a long message or the beginning of one, begins as an erased one does.
func (e *erasure) opens(raw []byte) bool {
	if e.again || !e.past.Recognises() {
		return false
	}
	o, long := snapshot.OpeningOf(raw)
	return long && e.past.Knows(e.past.Opening(o))
}

// keep notes which erased messages the source still has in a mailbox.
func (e *erasure) keep(name mail.Name, marks []snapshot.Mark) {
	if len(marks) == 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.marks == nil {
		e.marks = make(map[mail.Name][]snapshot.Mark)
	}
	e.marks[name] = marks
}

// next is what the new snapshot is to remember.
func (e *erasure) next() *snapshot.Erased {
	if e.past == nil {
		return nil
	}
	next := e.past.Clone()
	next.Clear(e.again)
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, marks := range e.marks {
		next.SetMarks(name, marks)
	}
	return next
}

// erasedBefore are the marks that the last snapshot has of the mailbox.
func (m *mailbox) erasedBefore() []snapshot.Mark {
	if m.old == nil {
		return nil
	}
	return m.run.erasure.past.Marks(m.old.Name)
}

// erasedWanted reports whether erased messages of the mailbox must be read again.
func (m *mailbox) erasedWanted() bool { return m.run.erasure.again && len(m.erasedBefore()) > 0 }

// passOver takes erased messages out of now, which is ascending by slot, and out of what could not be listed, and notes those
// that the source still has.
func (m *mailbox) passOver(now []listed) []listed {
	m.marks = nil
	marks := m.erasedBefore()
	if m.voided || m.run.erasure.again || len(marks) == 0 {
		return now
	}
	rest := now[:0]
	i := 0
	failed := m.failedDigests()
	unlisted := func() {
		key := marks[i].Key
		if len(failed) > 0 && key.IsZero() {
			key = m.run.erasure.past.Key(marks[i].Slot.Key())
		}
		if failed[key] || !m.changes.Full && !m.isGone(marks[i].Slot.UID(m.changes.UIDValidity)) {
			m.marks = append(m.marks, marks[i])
			delete(failed, key)
		}
		i++
	}
	for _, l := range now {
		for i < len(marks) && marks[i].Slot < l.slot {
			unlisted()
		}
		if i == len(marks) || marks[i].Slot != l.slot {
			rest = append(rest, l)
			continue
		}
		if look := marks[i].Look; look.IsZero() || look == m.run.erasure.past.Look(m.run.erasure.identity, l.m) {
			m.marks = append(m.marks, marks[i])
		} else {
			rest = append(rest, l) // its bytes will tell
		}
		i++
	}
	for i < len(marks) {
		unlisted()
	}
	clear(now[len(rest):])
	m.changes.Failed = slices.DeleteFunc(m.changes.Failed, func(f *mail.Error) bool { return !failed[m.run.erasure.past.Key(f.Key)] })
	return rest
}

// failedDigests are the digests of the keys of messages that could not be listed.
func (m *mailbox) failedDigests() map[snapshot.Digest]bool {
	failed := make(map[snapshot.Digest]bool, len(m.changes.Failed))
	for _, f := range m.changes.Failed {
		failed[m.run.erasure.past.Key(f.Key)] = true
	}
	return failed
}

// markedSlots puts the slots of erased messages without UID among those that loose gives to messages.
func (m *mailbox) markedSlots(messages []mail.Message, loose []snapshot.Slot) []snapshot.Slot {
	marks := m.erasedBefore()
	if m.voided || m.run.erasure.again {
		return loose
	}
	past := m.run.erasure.past
	slots := make(map[snapshot.Digest]snapshot.Slot)
	for _, mark := range marks {
		switch {
		case mark.Slot.UID(m.changes.UIDValidity) != 0:
		case mark.Key.IsZero():
			slots[past.Key(mark.Slot.Key())] = mark.Slot
		default:
			slots[mark.Key] = mark.Slot
		}
	}
	if len(slots) == 0 {
		return loose
	}
	if loose == nil {
		loose = make([]snapshot.Slot, len(messages))
	}
	for i := range messages {
		if loose[i] != 0 || messages[i].UID != 0 && m.changes.UIDValidity != 0 {
			continue
		}
		key := past.Key(messages[i].Key)
		loose[i] = slots[key]
		delete(slots, key) // were the key listed twice, the other is judged by its bytes
	}
	return loose
}

// mark notes that an item proved to be an erased message.
func (m *mailbox) mark(it *item) {
	past := m.run.erasure.past
	mark := snapshot.Mark{Slot: it.slot, Look: past.Look(m.run.erasure.identity, it.m)}
	if it.m.Key != it.slot.Key() {
		mark.Key = past.Key(it.m.Key)
	}
	m.marks = append(m.marks, mark)
}

// judge reads a long message that begins as an erased one, and stores nothing of it. If it proves to be another one, it is
// asked for again.
func (m *mailbox) judge(it *item, body io.Reader) {
	var p message.Printer
	size, err := io.Copy(struct{ io.Writer }{&p}, body)
	switch {
	case err != nil:
		it.err = fmt.Errorf("%w: %w", errCutOff, err)
	case m.run.erasure.past.Knows(m.run.erasure.past.Print(p.Print())):
		it.state, it.octets = erased, size
		m.run.progress.message(size, false)
	default:
		it.innocent = true
		it.err = fmt.Errorf("%w: it begins as an erased message, and had to be read whole first", errCutOff)
	}
}
