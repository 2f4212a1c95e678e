package backup

import (
	"roost/mail"
	"roost/snapshot"
)

// A mailbox goes on where the last snapshot has it from the same store under the
// same ID, or without one under the same name. What stands under its name otherwise
// is another mailbox: of another store, or deleted since. It makes room as soon as the new one is read, and counts as
// vanished then. Till then it stays: a mailbox that a rule leaves out, or that cannot be read, takes nothing away.

// past is what the last snapshot has of a mailbox, and whether under another name.
func (r *run) past(box *mail.Mailbox) (old *snapshot.Box, moved bool) {
	if r.prev == nil {
		return nil, false
	}
	if old, ok := r.prev.Box(box.Name); ok && r.native(old) && (old.ID == "" || box.ID == "" || old.ID == box.ID) {
		return old, false
	}
	if box.ID == "" {
		return nil, false
	}
	boxes := r.prev.Boxes()
	for i := range boxes {
		if boxes[i].ID == box.ID && r.native(&boxes[i]) {
			return &boxes[i], true
		}
	}
	return nil, false
}

// namesake is another mailbox that the last snapshot has under the name of box, nil if there is none.
func (r *run) namesake(box *mail.Mailbox) *snapshot.Box {
	if r.prev == nil {
		return nil
	}
	old, ok := r.prev.Box(box.Name)
	if !ok || r.renamed(old) {
		return nil
	}
	return old
}

// native reports whether a mailbox of the last snapshot was read from the source: else its UIDs, GUIDs and token mean nothing.
func (r *run) native(old *snapshot.Box) bool {
	return r.identity != "" && r.prev.StoreOf(old) == r.identity
}

// renamed reports whether a mailbox of the last snapshot is there, under whatever name.
func (r *run) renamed(old *snapshot.Box) bool {
	return old.ID != "" && r.ids[old.ID] && r.native(old)
}

// storeOf is what the line of a mailbox that is carried over says of the store it was read from.
func (r *run) storeOf(old *snapshot.Box) string {
	if store := r.prev.StoreOf(old); store != r.identity {
		return store
	}
	return ""
}
