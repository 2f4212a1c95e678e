package backup

import (
	"context"
	"slices"

	"roost/mail"
	"roost/snapshot"
)

// The bytes of a message that the snapshot holds are read again if
//
//   - an earlier run tried that and failed;
//   - the snapshot holds a placeholder, and the rule that made it is gone;
//   - a full list shows another size or date than it did when they were stored: a file was rewritten under its
//     name, or a server that was set back gave a UID twice. Where the store says by a GUID that it is the same message it is
//     believed, but for names of files.
//
// Until they are stored again, what the snapshot holds stays, and counts as failed.

// wantedAgain reports whether that is so of a message. stored finds what the snapshot holds of it.
func (m *mailbox) wantedAgain(old *snapshot.Entry, now *mail.Message, stored *shelf) bool {
	if m.pending[now.Key] != nil {
		return true
	}
	if old.Extra != nil && old.Extra.Altered != "" && !m.run.o.Selection.SkipAttachments {
		return true
	}
	byGUID := old.GUID != "" && old.GUID == now.GUID && !m.changes.FileDates
	if !m.changes.Full || byGUID {
		return false
	}
	was, ok := stored.find(old.Slot)
	return ok && differs(old, &was, now)
}

// differs reports whether what the source says of a message is not what it said when it was stored.
func differs(old *snapshot.Entry, was *snapshot.Stored, now *mail.Message) bool {
	if now.Size >= 0 {
		size, known := listedSize(old, was.Size)
		if known && size != now.Size {
			return true
		}
	}
	return !now.InternalDate.IsZero() && !was.Date.IsZero() && now.InternalDate.Unix() != was.Date.Unix()
}

// listedSize is what the source said of the size of a message that was stored with so many octets.
func listedSize(e *snapshot.Entry, stored int64) (size int64, known bool) {
	switch {
	case e.Extra == nil:
		return stored, true
	case e.Extra.ListedSize != nil:
		return *e.Extra.ListedSize, true
	}
	return stored, e.Extra.Altered == ""
}

// agrees reports whether nothing that the source says of a message speaks against
// what is stored under its GUID. Names of files make GUIDs, and people copy files.
func (m *mailbox) agrees(now *mail.Message, known *snapshot.Stored) bool {
	if now.Size >= 0 && now.Size != known.Size {
		return false
	}
	return !m.changes.FileDates || now.InternalDate.Unix() == known.Date.Unix()
}

// A shelf is what the last snapshot has stored of a bucket. It is read when something is first looked for.
type shelf struct {
	read   func() ([]snapshot.Stored, error)
	loaded bool
	stored []snapshot.Stored // ascending
	err    error             // of reading; then nothing is found
}

func (m *mailbox) shelf(ctx context.Context, b snapshot.Bucket) *shelf {
	return &shelf{read: func() ([]snapshot.Stored, error) { return m.run.prev.StoredLeft(ctx, b) }}
}

func (s *shelf) find(slot snapshot.Slot) (snapshot.Stored, bool) {
	if !s.loaded {
		s.stored, s.err = s.read()
		s.loaded = true
	}
	if s.err != nil {
		return snapshot.Stored{}, false
	}
	i, ok := slices.BinarySearchFunc(s.stored, slot, func(x snapshot.Stored, slot snapshot.Slot) int { return compare(x.Slot, slot) })
	if !ok {
		return snapshot.Stored{}, false
	}
	return s.stored[i], true
}
