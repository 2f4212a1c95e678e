package erase

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"

	"roost/mail"
	"roost/query"
	"roost/repo"
	"roost/snapshot"
)

// place is a mailbox as long as its slots mean the same messages.
type place struct {
	identity    string // of the store
	box         mail.Name
	uidValidity uint32
}

// bucketAt is a bucket of a mailbox. Equal ones are looked at once: most of a mailbox is the same in all snapshots.
type bucketAt struct {
	place
	snapshot.Bucket
}

// contentID stands for the bytes of a message.
type contentID [16]byte

func contentOf(ids []repo.ID) contentID {
	h := sha256.New()
	for i := range ids {
		h.Write(ids[i][:])
	}
	return contentID(h.Sum(nil)[:16])
}

// sighting tells messages apart.
type sighting struct {
	place
	slot    snapshot.Slot
	content contentID
}

// cut is what goes from one bucket.
type cut struct {
	old    snapshot.Bucket
	hits   []hit           // ascending by slot
	former []snapshot.Slot // of whose messages, gone before, only identities are left; ascending

	new    snapshot.Bucket // once made
	octets int64           // of the messages in it
	made   bool
}

// hit is a chosen message in a bucket.
type hit struct {
	entry   snapshot.Entry
	stored  snapshot.Stored
	message *Message
}

func (c *cut) slots() []snapshot.Slot {
	slots := make([]snapshot.Slot, len(c.hits))
	for i := range c.hits {
		slots[i] = c.hits[i].entry.Slot
	}
	return slots
}

// boxWork is what goes from one mailbox of a snapshot.
type boxWork struct {
	place
	name mail.Name // in this snapshot
	cuts []*cut    // ascending
	gone []int     // problems of the snapshot that were of erased messages
}

// accountLook looks at one account.
type accountLook struct {
	plan     *Plan
	account  *Account
	memory   *recall
	reader   *reader
	chosen   map[bucketAt]*cut // nil values: nothing is chosen
	former   map[bucketAt]*cut
	messages map[sighting]*Message
	slots    map[place]map[snapshot.Slot]bool // of chosen messages
	names    map[string][]place               // by mailbox ID: the places where messages were chosen
	keys     map[place]map[mail.Key]bool      // source's keys of chosen messages
	sorted   map[boxAt][]snapshot.Slot
}

// lookAt looks at the snapshots of one account, oldest first.
func (p *Plan) lookAt(ctx context.Context, sns []*repo.Snapshot) error {
	l := &accountLook{plan: p, account: &Account{}, memory: &recall{}, reader: newReader(p.o.Choose), sorted: make(map[boxAt][]snapshot.Slot), chosen: make(map[bucketAt]*cut), former: make(map[bucketAt]*cut), messages: make(map[sighting]*Message),
		slots: make(map[place]map[snapshot.Slot]bool), names: make(map[string][]place), keys: make(map[place]map[mail.Key]bool)}
	var readable []*repo.Snapshot
	for i := len(sns) - 1; i >= 0; i-- { // the newest first: its memory is the last word
		p.progress("choose", len(sns)-1-i, len(sns))
		src, err := snapshot.Open(ctx, p.repo, sns[i])
		var gone *snapshot.Erased
		if err == nil {
			gone, err = src.Erased(ctx)
		}
		if errors.Is(err, snapshot.ErrNotMail) && !errors.Is(err, snapshot.ErrLayout) {
			continue // of restic, with our tag
		}
		if err == nil && len(src.Strange()) > 0 {
			err = fmt.Errorf("it holds %q, which this program does not know and would lose", src.Strange())
		}
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			l.doubt(sns[i], "", "", err)
			continue
		}
		l.account.Name = src.Account().Name
		l.memory.add(gone)
		readable = append(readable, sns[i])
		if err := l.choose(ctx, sns[i], src); err != nil {
			return err
		}
	}
	if len(l.messages) == 0 {
		return nil
	}
	slices.Reverse(readable)
	for i, sn := range readable {
		p.progress("look for what is left", i, len(readable))
		if err := l.trace(ctx, sn, i == len(readable)-1); err != nil {
			return err
		}
	}
	l.finish()
	return nil
}

// doubt notes what could not be read: a snapshot, a mailbox in it, or a message.
func (l *accountLook) doubt(sn *repo.Snapshot, box mail.Name, key mail.Key, err error) {
	name := l.account.Name
	if name == "" {
		name = strings.TrimPrefix(sn.Paths[0], "/")
	}
	where := "snapshot " + sn.ID.Short() + " of " + name
	if box != "" {
		where += ", " + string(box)
	}
	if key != "" {
		where += " message " + string(key)
	}
	l.plan.Doubts = append(l.plan.Doubts, Doubt{Where: where, Err: err})
}

// choose finds the messages in a snapshot that are chosen.
func (l *accountLook) choose(ctx context.Context, sn *repo.Snapshot, src *snapshot.Source) error {
	all, err := src.Mailboxes(ctx)
	if err != nil {
		return err
	}
	meant, _ := l.plan.o.Choose.Mailboxes(all)
	for _, box := range meant {
		if box.NoSelect || box.Count == 0 {
			continue
		}
		at := place{storeOf(src, box.Name), box.Name, box.UIDValidity}
		buckets, err := src.Buckets(ctx, box.Name)
		if err != nil {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			l.doubt(sn, box.Name, "", err)
			continue
		}
		for _, b := range buckets {
			c, known := l.chosen[bucketAt{at, b}]
			if !known {
				if c, err = l.bucket(ctx, sn, src, at, b); err != nil {
					return err
				}
				l.chosen[bucketAt{at, b}] = c
			}
			if c == nil {
				continue
			}
			l.note(at, box.ID, c)
		}
	}
	return nil
}

// storeOf is the store that a mailbox was read from.
func storeOf(src *snapshot.Source, name mail.Name) string {
	box, ok := src.Box(name)
	if !ok {
		return src.Identity()
	}
	return src.StoreOf(box)
}

// note counts the messages of a cut in one more snapshot.
func (l *accountLook) note(at place, boxID string, c *cut) {
	if l.slots[at] == nil {
		l.slots[at], l.keys[at] = make(map[snapshot.Slot]bool), make(map[mail.Key]bool)
	}
	if boxID != "" && !slices.Contains(l.names[boxID], at) {
		l.names[boxID] = append(l.names[boxID], at)
	}
	for i := range c.hits {
		h := &c.hits[i]
		h.message.Snapshots++
		l.slots[at][h.entry.Slot] = true
		l.keys[at][h.entry.Key] = true
	}
}

// bucket finds the chosen messages of a bucket; nil if there are none. What cannot be read is a doubt.
func (l *accountLook) bucket(ctx context.Context, sn *repo.Snapshot, src *snapshot.Source, at place, b snapshot.Bucket) (*cut, error) {
	var in snapshot.Interner
	entries, err := src.Entries(ctx, b, nil, &in)
	if err != nil {
		if ctx.Err() == nil {
			l.doubt(sn, at.box, "", err)
		}
		return nil, ctx.Err()
	}
	var hits []hit
	var asked []question
	var shard snapshot.Shard
	for _, e := range entries {
		if !shard.Holds(b, e.Slot) {
			if shard, err = src.Shard(ctx, b, e.Slot); err != nil {
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				l.doubt(sn, at.box, e.Slot.Key(), err)
				shard = snapshot.Shard{}
				continue
			}
		}
		stored, ok := shard.Find(e.Slot)
		if !ok {
			l.doubt(sn, at.box, e.Slot.Key(), errors.New("it has flags but no bytes: the snapshot is damaged"))
			continue
		}
		h := hit{entry: e, stored: stored}
		m := messageOf(&h, at.uidValidity)
		switch v := l.plan.o.Choose.Lists(at.box, &m); {
		case v == query.In:
			hits = append(hits, h)
		case v != query.Out:
			asked = append(asked, question{h, v})
		}
	}
	yes, failed, err := l.reader.answer(ctx, src, at.box, asked)
	if err != nil {
		return nil, err
	}
	for key, err := range failed {
		l.doubt(sn, at.box, key, err)
	}
	return l.hit(ctx, src, at, b, append(hits, yes...))
}

// messageOf is a message as a snapshot lists it.
func messageOf(h *hit, uidValidity uint32) mail.Message {
	m := mail.Message{Key: h.entry.Slot.Key(), UID: h.entry.Slot.UID(uidValidity), ModSeq: h.entry.ModSeq, GUID: h.entry.GUID, Flags: h.entry.Flags,
		InternalDate: h.stored.Date, Size: h.stored.Size}
	if h.entry.Extra != nil {
		m.Extra = &h.entry.Extra.Extra
	}
	return m
}

// hit notes the messages that hits are.
func (l *accountLook) hit(ctx context.Context, src *snapshot.Source, at place, b snapshot.Bucket, hits []hit) (*cut, error) {
	if len(hits) == 0 {
		return nil, nil
	}
	slices.SortFunc(hits, func(a, b hit) int { return cmp.Compare(a.entry.Slot, b.entry.Slot) })
	if err := l.reader.print(ctx, src, at.box, hits); err != nil {
		return nil, err
	}
	for i := range hits {
		h := &hits[i]
		id := sighting{at, h.entry.Slot, contentOf(h.stored.Content)}
		if h.message = l.messages[id]; h.message == nil {
			h.message = &Message{Mailbox: at.box, Key: h.entry.Slot.Key(), Size: h.stored.Size, Blobs: h.stored.Content}
			l.reader.describe(h, at.identity, at.uidValidity)
			l.messages[id] = h.message
		}
	}
	return &cut{old: b, hits: hits}, nil
}

// finish puts the messages in order and hands the account in.
func (l *accountLook) finish() {
	ids := make([]sighting, 0, len(l.messages))
	for id := range l.messages {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b sighting) int {
		return cmp.Or(cmp.Compare(a.box, b.box), cmp.Compare(a.uidValidity, b.uidValidity), cmp.Compare(a.slot, b.slot),
			cmp.Compare(a.identity, b.identity), slices.Compare(a.content[:], b.content[:]))
	})
	for _, id := range ids {
		l.account.Messages = append(l.account.Messages, l.messages[id])
	}
	l.account.memory = l.memory
	l.plan.Accounts = append(l.plan.Accounts, l.account)
}
