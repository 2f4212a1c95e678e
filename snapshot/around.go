package snapshot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"roost/mail"
)

// Around reads a snapshot around its damage: Changes lists what can still be found, and what is known to be missing. Where a
// Source would not list a mailbox at all, an Around lists its other messages. What the books of the mailbox count and
// nothing is known of any more makes Count differ from the list.
type Around struct{ *Source }

// Changes lists a mailbox (mail.Source), always in full. Messages that cannot be found are in Failed, those whose flags and other
// properties cannot be read are in Partial.
func (a Around) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	ch, err := a.Source.Changes(ctx, name, since)
	if err == nil || errors.Is(err, mail.ErrNoMailbox) || ctx.Err() != nil {
		return ch, err
	}
	box, _ := a.Box(name)
	ch = mail.Changes{Full: true, UIDValidity: box.UIDValidity, UIDNext: box.UIDNext, HighestModSeq: box.HighestModSeq, Count: box.Messages, Method: "snapshot"}
	buckets, bucketsErr := a.BucketsLeft(ctx, name)
	var in Interner
	for _, b := range buckets {
		if err := a.around(ctx, &ch, b, box, &in, bucketsErr); err != nil {
			return mail.Changes{}, err
		}
	}
	if len(ch.Messages)+len(ch.Failed) == 0 {
		return mail.Changes{}, err // nothing is left: then the whole mailbox is what cannot be read
	}
	return ch, nil
}

// around lists a bucket. why tells why it has no Meta, if so.
func (a Around) around(ctx context.Context, ch *mail.Changes, b Bucket, box *Box, in *Interner, why error) error {
	entries, unknown := a.entriesLeft(ctx, b, in, why)
	stored, lost := a.shardsLeft(ctx, b)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	fail := func(key mail.Key, err error) *mail.Error {
		return &mail.Error{Op: "list", Mailbox: box.Name, Key: key, Err: err}
	}
	told := make(map[Slot]bool, len(entries))
	for i := range entries {
		e := &entries[i]
		told[e.Slot] = true
		m := mail.Message{Key: e.Slot.Key(), UID: e.Slot.UID(box.UIDValidity), ModSeq: e.ModSeq, Flags: e.Flags}
		if a.StoreOf(box) != a.Identity() {
			e.GUID = ""
		}
		m.GUID = e.GUID
		if e.Extra != nil {
			m.Extra = &e.Extra.Extra
		}
		at, ok := slices.BinarySearchFunc(stored, e.Slot, func(m Stored, s Slot) int { return int(int64(m.Slot) - int64(s)) })
		switch {
		case ok:
			m.InternalDate, m.Size = stored[at].Date, stored[at].Size
			ch.Messages = append(ch.Messages, m)
		case lost[e.Slot.Shard()] != nil:
			ch.Failed = append(ch.Failed, fail(m.Key, lost[e.Slot.Shard()]))
		default:
			ch.Failed = append(ch.Failed, fail(m.Key, errors.New("it has flags but no bytes: the snapshot is damaged")))
		}
	}
	for _, m := range stored {
		if err := unknown[m.Slot.Range()]; err != nil && !told[m.Slot] {
			ch.Messages = append(ch.Messages, mail.Message{Key: m.Slot.Key(), UID: m.Slot.UID(box.UIDValidity), InternalDate: m.Date, Size: m.Size})
			ch.Partial = append(ch.Partial, fail(m.Slot.Key(), err))
		}
	}
	slices.SortFunc(ch.Messages, func(a, b mail.Message) int {
		x, _ := ParseSlot(string(a.Key))
		y, _ := ParseSlot(string(b.Key))
		return int(int64(x) - int64(y))
	})
	return nil
}

// entriesLeft reads the ranges of a bucket that can be read, ascending, and why the others cannot.
func (a Around) entriesLeft(ctx context.Context, b Bucket, in *Interner, why error) (entries []Entry, unknown map[Slot]error) {
	unknown = make(map[Slot]error)
	for first := b.First; first < b.First+BucketSize; first += RangeSize {
		if b.Meta.IsNull() {
			unknown[first] = errors.Join(errors.New("its flags cannot be found"), why)
			continue
		}
		some, err := a.Entries(ctx, b, func(r Slot) bool { return r == first }, in)
		if err != nil {
			unknown[first] = fmt.Errorf("its flags cannot be read: %w", err)
			continue
		}
		entries = append(entries, some...)
	}
	return entries, unknown
}

// shardsLeft reads the shards of a bucket that can be read, ascending, and why the others cannot.
func (a Around) shardsLeft(ctx context.Context, b Bucket) (stored []Stored, lost map[Slot]error) {
	lost = make(map[Slot]error)
	for first := b.First; first < b.First+BucketSize; first += ShardSize {
		shard, err := a.Shard(ctx, b, first)
		if err != nil {
			lost[first] = err
			continue
		}
		stored = append(stored, shard.stored...)
	}
	return stored, lost
}

// A MessagePlace is where a message stands in an account.
type MessagePlace struct {
	Account, Mailbox string // as directories are called: of odd names the escaped form
	Key              mail.Key
}

func (p MessagePlace) String() string {
	return p.Account + ", " + p.Mailbox + " message " + string(p.Key)
}

// PlaceOf tells which message a file in the tree of a snapshot is, by its path behind "SNAPSHOT:"; false if it is none.
func PlaceOf(path string) (MessagePlace, bool) {
	steps := strings.Split(strings.TrimPrefix(path, "/"), "/")
	n := len(steps)
	if n < 6 || steps[1] != mailDir || !strings.HasPrefix(steps[n-3], bucketPrefix) {
		return MessagePlace{}, false
	}
	digits, ok := strings.CutSuffix(steps[n-1], messageExt)
	slot, err := ParseSlot(digits)
	if !ok || err != nil {
		return MessagePlace{}, false
	}
	return MessagePlace{Account: steps[0], Mailbox: strings.Join(steps[2:n-3], "/"), Key: slot.Key()}, true
}
