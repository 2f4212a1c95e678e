package backup

import (
	"slices"

	"roost/mail"
	"roost/snapshot"
)

// listed is a message as the source lists it, at its place in the mailbox.
type listed struct {
	slot snapshot.Slot
	m    *mail.Message
}

// folded is what becomes of some ranges of a mailbox.
type folded struct {
	keep     []snapshot.Entry // messages that stay, with the flags they have now; ascending
	fresh    []listed         // messages whose bytes the snapshot lacks; ascending
	former   []snapshot.Entry // what the snapshot holds of some of fresh, otherwise than it should; it stays until they are stored; ascending
	unlisted int              // of keep: how many are there, but could not be listed
	vanished []snapshot.Slot  // messages that are gone from the source; ascending
	changed  int              // of keep and former: how many have other flags than before
	touched  []snapshot.Slot  // ranges whose .flags must be written anew; ascending
	renamed  []snapshot.Slot  // ranges whose .ids must be written anew; ascending
}

// changes reports whether anything must be written.
func (f *folded) changes() bool {
	return len(f.fresh) > 0 || len(f.vanished) > 0 || len(f.touched) > 0 || len(f.renamed) > 0
}

// has reports whether the snapshot holds a message of fresh already, in some way.
func (f *folded) has(slot snapshot.Slot) bool {
	_, ok := slices.BinarySearchFunc(f.former, slot, func(e snapshot.Entry, s snapshot.Slot) int { return compare(e.Slot, s) })
	return ok
}

// telling is how the source's word on some ranges is to be read.
type telling struct {
	failed map[mail.Key]bool                                 // messages that are there, though nothing more is known of them
	full   bool                                              // what is not listed has vanished
	gone   func(snapshot.Slot) bool                          // not full: whether a message that is not listed has vanished
	again  func(old *snapshot.Entry, now *mail.Message) bool // whether the bytes of a message that both have are wanted again
}

// fold puts what the source says of some ranges (now) beside what the last
// snapshot has of them (old), both ascending by slot. A message that has the
// slot of an old one and another GUID is another message.
func fold(old []snapshot.Entry, now []listed, t telling) folded {
	var f folded
	if len(old) == 0 {
		f.fresh = now // not copied: a first list may be long
		return f
	}
	f.keep = make([]snapshot.Entry, 0, len(old))
	i, j := 0, 0
	for i < len(old) || j < len(now) {
		switch {
		case j == len(now) || i < len(old) && old[i].Slot < now[j].slot:
			switch unlisted := t.failed[old[i].Key]; {
			case unlisted:
				f.unlisted++
				f.keep = append(f.keep, old[i])
			case t.full || t.gone(old[i].Slot):
				f.vanish(old[i].Slot)
			default:
				f.keep = append(f.keep, old[i])
			}
			i++
		case i == len(old) || now[j].slot < old[i].Slot:
			f.fresh = append(f.fresh, now[j])
			j++
		default:
			f.meet(&old[i], now[j], &t)
			i++
			j++
		}
	}
	return f
}

// meet folds a message that both sides have.
func (f *folded) meet(old *snapshot.Entry, now listed, t *telling) {
	if old.GUID != "" && now.m.GUID != "" && old.GUID != now.m.GUID {
		f.vanish(old.Slot)
		f.fresh = append(f.fresh, now)
		return
	}
	e := *old
	if e.Flags != now.m.Flags {
		f.changed++
	}
	if e.Flags != now.m.Flags || e.ModSeq != now.m.ModSeq {
		e.Flags, e.ModSeq = now.m.Flags, now.m.ModSeq
		f.touched = appendRange(f.touched, e.Slot)
	}
	if x := now.m.Extra; x != nil && (e.Extra == nil || e.Extra.ThreadID != x.ThreadID || !slices.Equal(e.Extra.Labels, x.Labels)) {
		changed := snapshot.Extra{Extra: *x}
		if e.Extra != nil {
			changed.Altered, changed.ListedSize = e.Extra.Altered, e.Extra.ListedSize
		}
		e.Extra = &changed
		f.renamed = appendRange(f.renamed, e.Slot)
	}
	if t.again(old, now.m) {
		f.fresh, f.former = append(f.fresh, now), append(f.former, e)
		return
	}
	f.keep = append(f.keep, e)
}

func (f *folded) vanish(s snapshot.Slot) {
	f.vanished = append(f.vanished, s)
	f.touched = appendRange(f.touched, s)
}

// appendRange adds the range of s to ranges, which ascend.
func appendRange(ranges []snapshot.Slot, s snapshot.Slot) []snapshot.Slot {
	r := s.Range()
	if n := len(ranges); n > 0 && ranges[n-1] == r {
		return ranges
	}
	return append(ranges, r)
}

// entryOf is what the snapshot will know of a message that is stored with so many octets.
func entryOf(l listed, altered string, size int64) snapshot.Entry {
	e := snapshot.Entry{Slot: l.slot, ModSeq: l.m.ModSeq, Flags: l.m.Flags, Key: l.m.Key, GUID: l.m.GUID}
	otherSize := l.m.Size >= 0 && l.m.Size != size
	if l.m.Extra == nil && altered == "" && !otherSize {
		return e
	}
	e.Extra = &snapshot.Extra{Altered: altered}
	if l.m.Extra != nil {
		e.Extra.Extra = *l.m.Extra
	}
	if otherSize {
		e.Extra.ListedSize = &l.m.Size
	}
	return e
}
