package job

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"time"

	"roost/mail"
	"roost/message"
	"roost/query"
	"roost/repo"
	"roost/snapshot"
)

// fetchChunk is how many headers are asked for at once.
const fetchChunk = 256

// maxHeader bounds how much of a header is kept, in octets.
const maxHeader = 256 << 10

// Stat is what a snapshot holds in one mailbox, of the messages selected.
type Stat struct {
	Mailbox  mail.Name `json:"mailbox"`
	Role     mail.Role `json:"role"`
	Messages int64     `json:"messages"`
	Unseen   int64     `json:"unseen"`
	Bytes    int64     `json:"bytes"`
	Oldest   time.Time `json:"oldest,omitzero"` // by internal date
	Newest   time.Time `json:"newest,omitzero"`
	Deleted  int64     `json:"deleted"` // in earlier snapshots and not in this one; -1: not asked for
}

// Item is one message in a snapshot, or one that was in an earlier snapshot.
type Item struct {
	Mailbox      mail.Name
	Message      mail.Message
	From         string // decoded, for people
	Subject      string
	Date         time.Time // of the header; zero: it has none
	HeaderErr    error     // why From, Subject and Date are not known
	DeletedSince time.Time // when the first snapshot without it was begun; zero: it is there
	Snapshot     repo.ID   // the one that holds it: the one looked at, or the last before DeletedSince
}

// LookOptions say what Items and Stats look at.
type LookOptions struct {
	Select  query.Selection
	Deleted bool // also messages that only earlier snapshots of the account hold
	Headers bool // read headers; without, From, Subject and Date are empty
}

// Stats sums up each mailbox.
func (r *Repository) Stats(ctx context.Context, sn *Snapshot, o LookOptions) ([]Stat, error) {
	o.Headers = false
	var stats []Stat
	at := map[mail.Name]int{}
	add := func(box mail.Mailbox) *Stat {
		i, ok := at[box.Name]
		if !ok {
			i = len(stats)
			at[box.Name] = i
			stats = append(stats, Stat{Mailbox: box.Name, Role: box.Role})
		}
		return &stats[i]
	}
	boxes, err := sn.Source.Mailboxes(ctx)
	if err != nil {
		return nil, err
	}
	meant, _ := o.Select.Mailboxes(boxes)
	for _, box := range meant {
		add(box)
	}
	for item, err := range r.Items(ctx, sn, o) {
		if err != nil {
			return nil, err
		}
		s := add(mail.Mailbox{Name: item.Mailbox})
		if !item.DeletedSince.IsZero() {
			s.Deleted++
			continue
		}
		s.count(&item.Message)
	}
	if !o.Deleted {
		for i := range stats {
			stats[i].Deleted = -1
		}
	}
	return stats, nil
}

func (s *Stat) count(m *mail.Message) {
	s.Messages++
	s.Bytes += max(m.Size, 0)
	if !m.Flags.Has(mail.Seen) {
		s.Unseen++
	}
	if m.InternalDate.IsZero() {
		return
	}
	if s.Oldest.IsZero() || m.InternalDate.Before(s.Oldest) {
		s.Oldest = m.InternalDate
	}
	if m.InternalDate.After(s.Newest) {
		s.Newest = m.InternalDate
	}
}

// Items yields the messages of a snapshot that o selects, mailbox by mailbox, and
// behind each mailbox's those that were deleted. An error ends the stream; it is
// a *Missing if a mask means no mailbox. What earlier snapshots cannot tell
// because they are damaged is an error behind everything else.
func (r *Repository) Items(ctx context.Context, sn *Snapshot, o LookOptions) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		var past history
		var damage error
		if o.Deleted {
			var err error
			if past, damage, err = r.history(ctx, sn, o.Select); err != nil {
				yield(Item{}, err)
				return
			}
		}
		boxes, err := sn.Source.Mailboxes(ctx)
		if err != nil {
			yield(Item{}, err)
			return
		}
		if unmatched := o.Select.Unmatched(past.boxes(boxes)); len(unmatched) > 0 {
			one := query.Selection{Folders: unmatched[:1], NoChildren: o.Select.NoChildren}
			yield(Item{}, r.Require(ctx, sn, one, nil))
			return
		}
		meant, _ := o.Select.Mailboxes(boxes)
		for _, box := range meant {
			if !box.NoSelect && !yieldBox(ctx, sn.Source, box.Name, o, time.Time{}, nil, yield) {
				return
			}
			for _, lost := range past[box.Name] {
				if !yieldBox(ctx, lost.source, box.Name, o, lost.since, lost.keys, yield) {
					return
				}
			}
			delete(past, box.Name)
		}
		for _, name := range slices.Sorted(maps.Keys(past)) { // mailboxes that are gone as a whole
			for _, lost := range past[name] {
				if !yieldBox(ctx, lost.source, name, o, lost.since, lost.keys, yield) {
					return
				}
			}
		}
		if damage != nil {
			yield(Item{}, damage)
		}
	}
}

// yieldBox yields one mailbox's messages; of those only which keys has, unless
// it is nil. It reports whether to go on.
func yieldBox(ctx context.Context, src *snapshot.Source, name mail.Name, o LookOptions, deleted time.Time, keys map[mail.Key]bool,
	yield func(Item, error) bool) bool {
	ch, err := src.Changes(ctx, name, "")
	if err != nil {
		return yield(Item{}, err) && false
	}
	if keys != nil {
		ch.Messages = slices.DeleteFunc(ch.Messages, func(m mail.Message) bool { return !keys[m.Key] })
	}
	headers := o.Headers || o.Select.NeedsHeader()
	for some := range slices.Chunk(ch.Messages, fetchChunk) {
		items := make([]Item, len(some))
		for i := range some {
			items[i] = Item{Mailbox: name, Message: some[i], DeletedSince: deleted, Snapshot: src.ID()}
		}
		if headers {
			if err := readHeaders(ctx, src, name, items); err != nil {
				return yield(Item{}, err) && false
			}
		}
		for _, item := range items {
			if _, out := o.Select.Message(&item.Message, item.Date); out {
				continue
			}
			if !yield(item, nil) {
				return false
			}
		}
	}
	return true
}

// readHeaders fills in what items' headers say.
func readHeaders(ctx context.Context, src mail.Source, name mail.Name, items []Item) error {
	keys := make([]mail.Key, len(items))
	at := make(map[mail.Key]*Item, len(items))
	for i := range items {
		keys[i] = items[i].Message.Key
		at[keys[i]] = &items[i]
	}
	for f, err := range src.Fetch(ctx, name, keys, mail.Header) {
		if err != nil {
			key, ok := mail.KeyOf(err)
			if !ok {
				return err
			}
			at[key].HeaderErr = err
			continue
		}
		item := at[f.Key]
		raw, err := io.ReadAll(io.LimitReader(f.Body, maxHeader))
		if err != nil {
			item.HeaderErr = err
			continue
		}
		h := message.Header(raw)
		item.From, item.Subject = h.From(), h.Subject()
		item.Date, _ = h.Date()
	}
	return nil
}

// CopyMessage writes one message of the snapshot, as it was received, to w.
func (s *Snapshot) CopyMessage(ctx context.Context, w io.Writer, name mail.Name, key mail.Key) error {
	if _, ok := s.Source.Box(name); !ok {
		return &mail.Error{Op: "open", Mailbox: name, Err: mail.ErrNoMailbox}
	}
	for f, err := range s.Source.Fetch(ctx, name, []mail.Key{key}, mail.Whole) {
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, f.Body); err != nil {
			return fmt.Errorf("copy %s message %s: %w", name, key, err)
		}
	}
	return nil
}
