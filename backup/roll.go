package backup

import (
	"encoding/binary"
	"time"

	"roost/mail"
	"roost/snapshot"
)

// A roll is what a source lists of one bucket, packed: about 40 octets a message in place of the 104 of a mail.Message and
// the strings behind it. A mailbox waits as rolls between its list and its storing, so that the source's own list,
// and then each bucket, can be forgotten.
type roll struct {
	packed []byte
	n      int
	extras []*mail.Extra // of the messages that have one, in their order
}

// flagTable numbers the sets of flags in a mailbox: there are few.
type flagTable struct {
	sets    []mail.Flags
	numbers map[mail.Flags]uint64
}

func (t *flagTable) number(f mail.Flags) uint64 {
	n, ok := t.numbers[f]
	if !ok {
		if t.numbers == nil {
			t.numbers = make(map[mail.Flags]uint64)
		}
		n = uint64(len(t.sets))
		t.sets = append(t.sets, f)
		t.numbers[f] = n
	}
	return n
}

// What a message in a roll begins with: which of its fields are written, and which follow from others.
const (
	rollUID     = 1 << iota // UID is not the slot
	rollKey                 // key is not the slot in decimal
	rollGUID                // GUID is neither empty nor the key
	rollKeyGUID             // GUID is the key
	rollDate                // date is known
	rollZone                // date is not in UTC
	rollSize                // size is known
	rollExtra               // has an Extra
)

// before is what the fields of a message are written relative to: those of the one before it.
type before struct {
	slot   snapshot.Slot
	key    string
	modSeq uint64
	date   int64
}

// newRoll packs what is listed, ascending by slot.
func newRoll(list []listed, flags *flagTable) roll {
	r := roll{n: len(list)}
	// Most of a roll lives long, so it is copied to its size in the end.
	buf := make([]byte, 0, 64*len(list))
	var last before
	for _, l := range list {
		buf = last.append(buf, l, flags.number(l.m.Flags))
		if l.m.Extra != nil {
			r.extras = append(r.extras, l.m.Extra)
		}
	}
	r.packed = append(make([]byte, 0, len(buf)), buf...)
	return r
}

func (last *before) append(dst []byte, l listed, flags uint64) []byte {
	m, kind, at := l.m, byte(0), len(dst)
	dst = append(dst, 0)
	dst = binary.AppendUvarint(dst, uint64(l.slot-last.slot))
	last.slot = l.slot
	dst = binary.AppendUvarint(dst, flags)
	dst = binary.AppendVarint(dst, int64(m.ModSeq-last.modSeq))
	last.modSeq = m.ModSeq
	if snapshot.Slot(m.UID) != l.slot {
		kind |= rollUID
		dst = binary.AppendUvarint(dst, uint64(m.UID))
	}
	if m.Key != l.slot.Key() {
		kind |= rollKey
		shared := 0
		for shared < min(len(m.Key), len(last.key)) && m.Key[shared] == last.key[shared] {
			shared++
		}
		dst = binary.AppendUvarint(dst, uint64(shared))
		dst = appendText(dst, string(m.Key[shared:]))
		last.key = string(m.Key)
	}
	switch m.GUID {
	case "":
	case string(m.Key):
		kind |= rollKeyGUID
	default:
		kind |= rollGUID
		dst = appendText(dst, m.GUID)
	}
	if !m.InternalDate.IsZero() {
		kind |= rollDate
		dst = binary.AppendVarint(dst, m.InternalDate.Unix()-last.date)
		last.date = m.InternalDate.Unix()
		if _, zone := m.InternalDate.Zone(); zone != 0 {
			kind |= rollZone
			dst = binary.AppendVarint(dst, int64(zone))
		}
	}
	if m.Size >= 0 {
		kind |= rollSize
		dst = binary.AppendUvarint(dst, uint64(m.Size))
	}
	if m.Extra != nil {
		kind |= rollExtra
	}
	dst[at] = kind
	return dst
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// list unpacks the roll. Dates come back in whole seconds, as they were promised.
func (r *roll) list(flags *flagTable) []listed {
	messages := make([]mail.Message, r.n)
	list := make([]listed, r.n)
	u := unroller{rest: r.packed, extras: r.extras, flags: flags.sets}
	for i := range list {
		list[i] = listed{slot: u.next(&messages[i]), m: &messages[i]}
	}
	return list
}

// unroller reads a roll, which nobody but newRoll writes.
type unroller struct {
	rest   []byte
	extras []*mail.Extra
	flags  []mail.Flags
	last   before
	key    []byte
	zone   *time.Location // the last one that was made
	offset int64          // of zone
}

func (u *unroller) next(m *mail.Message) snapshot.Slot {
	kind := u.rest[0]
	u.rest = u.rest[1:]
	slot := u.last.slot + snapshot.Slot(u.uvarint())
	u.last.slot = slot
	m.Flags = u.flags[u.uvarint()]
	m.ModSeq = u.last.modSeq + uint64(u.varint())
	u.last.modSeq = m.ModSeq
	m.UID = uint32(slot)
	if kind&rollUID != 0 {
		m.UID = uint32(u.uvarint())
	}
	if kind&rollKey != 0 {
		u.key = u.key[:u.uvarint()]
		u.key = append(u.key, u.text()...)
		m.Key = mail.Key(u.key)
	} else {
		m.Key = slot.Key()
	}
	switch {
	case kind&rollKeyGUID != 0:
		m.GUID = string(m.Key)
	case kind&rollGUID != 0:
		m.GUID = string(u.text())
	}
	if kind&rollDate != 0 {
		u.last.date += u.varint()
		m.InternalDate = time.Unix(u.last.date, 0).In(u.location(kind))
	}
	m.Size = -1
	if kind&rollSize != 0 {
		m.Size = int64(u.uvarint())
	}
	if kind&rollExtra != 0 {
		m.Extra, u.extras = u.extras[0], u.extras[1:]
	}
	return slot
}

func (u *unroller) location(kind byte) *time.Location {
	if kind&rollZone == 0 {
		return time.UTC
	}
	if offset := u.varint(); u.zone == nil || offset != u.offset {
		u.zone, u.offset = time.FixedZone("", int(offset)), offset
	}
	return u.zone
}

func (u *unroller) uvarint() uint64 {
	n, size := binary.Uvarint(u.rest)
	u.rest = u.rest[size:]
	return n
}

func (u *unroller) varint() int64 {
	n, size := binary.Varint(u.rest)
	u.rest = u.rest[size:]
	return n
}

func (u *unroller) text() []byte {
	n := u.uvarint()
	t := u.rest[:n]
	u.rest = u.rest[n:]
	return t
}
