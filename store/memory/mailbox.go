package memory

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strconv"

	"roost/mail"
)

// mailbox is one mailbox. Its store's mutex guards it.
type mailbox struct {
	id         string
	role       mail.Role
	subscribed bool
	noSelect   bool // the rest is unused

	uidValidity uint32
	uidNext     uint32
	lastUID     uint32 // highest UID ever given; less than uidNext
	keepsUIDs   bool   // Number was called
	modSeq      uint64
	messages    []*message // ascending by UID
	expunged    []expunged // ascending by modSeq
}

// message is one message. Its body never changes, so it may be read without
// the mutex.
type message struct {
	mail.Message
	body []byte
}

type expunged struct {
	uid    uint32
	modSeq uint64
}

// add gives m a key, a UID and a mod-sequence, and puts it into the mailbox.
func (b *mailbox) add(m *message) mail.Key {
	if !b.keepsUIDs || m.UID <= b.lastUID || m.UID == math.MaxUint32 {
		m.UID = b.uidNext
	}
	b.lastUID = m.UID
	b.uidNext = max(b.uidNext, m.UID+1)
	b.modSeq++
	m.ModSeq = b.modSeq
	m.Key = keyOf(m.UID)
	b.messages = append(b.messages, m)
	return m.Key
}

// room is an error if the mailbox has no UIDs left for n more messages.
func (b *mailbox) room(n int) error {
	if uint64(b.uidNext)+uint64(n) > math.MaxUint32 {
		return errors.New("no UIDs are left in this mailbox")
	}
	return nil
}

// find is the message with this key, or nil if it is gone.
func (b *mailbox) find(key mail.Key) *message {
	uid, err := strconv.ParseUint(string(key), 10, 32)
	if err != nil || keyOf(uint32(uid)) != key {
		return nil
	}
	i, found := slices.BinarySearchFunc(b.messages, uint32(uid), func(m *message, uid uint32) int {
		return int(int64(m.UID) - int64(uid))
	})
	if !found {
		return nil
	}
	return b.messages[i]
}

// remove expunges the messages with these keys, all under one mod-sequence.
func (b *mailbox) remove(keys []mail.Key) {
	gone := make(map[*message]bool, len(keys))
	for _, k := range keys {
		if m := b.find(k); m != nil {
			gone[m] = true
		}
	}
	if len(gone) == 0 {
		return
	}
	b.modSeq++
	b.messages = slices.DeleteFunc(b.messages, func(m *message) bool {
		if gone[m] {
			b.expunged = append(b.expunged, expunged{m.UID, b.modSeq})
		}
		return gone[m]
	})
}

// renumber begins a new UIDVALIDITY. Tokens given before are void. Messages
// are replaced, not changed, since a list that was given out may share them.
func (b *mailbox) renumber(uidValidity uint32) {
	old := b.messages
	b.uidValidity, b.uidNext, b.lastUID = uidValidity, 1, 0
	b.keepsUIDs = false
	b.messages, b.expunged = nil, nil
	for _, m := range old {
		fresh := *m
		fresh.UID = 0
		b.add(&fresh)
	}
	b.modSeq++
}

func keyOf(uid uint32) mail.Key { return mail.Key(strconv.FormatUint(uint64(uid), 10)) }

// header is a message's header with the empty line that ends it; all of a
// message that has no empty line.
func header(body []byte) []byte {
	for i := 0; i < len(body); {
		n := bytes.IndexByte(body[i:], '\n')
		if n < 0 {
			return body
		}
		line := body[i : i+n]
		i += n + 1
		if len(line) == 0 || len(line) == 1 && line[0] == '\r' {
			return body[:i]
		}
	}
	return body
}
