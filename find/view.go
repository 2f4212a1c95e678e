package find

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"roost/mail"
	"roost/snapshot"
)

// View is the messages that were found, as a Source: each mailbox holds those that were found in it, from
// whichever snapshots they come. Its keys are those of the snapshots, with something behind where two
// messages had the same.
type View struct {
	newest *snapshot.Source
	boxes  []mail.Mailbox // sorted by name
	held   map[mail.Name][]held
}

type held struct {
	*Found
	key mail.Key
}

// NewView returns a view of found. newest is the newest snapshot that was looked at: UIDs and GUIDs are those of
// the store that it was taken from, and messages that had theirs in another have none.
func NewView(newest *snapshot.Source, found []Found) *View {
	v := &View{newest: newest, held: make(map[mail.Name][]held)}
	latest := make(map[mail.Name]*Found)
	for i := range found {
		f := &found[i]
		if l := latest[f.Mailbox]; l == nil || l.Last.Time.Before(f.Last.Time) {
			latest[f.Mailbox] = f
		}
	}
	for name, f := range latest {
		box := mail.Mailbox{Name: name}
		if b, ok := f.source.Box(name); ok {
			box = b.Mailbox()
		}
		box.Count = 0
		v.boxes = append(v.boxes, box)
	}
	slices.SortFunc(v.boxes, func(a, b mail.Mailbox) int { return strings.Compare(string(a.Name), string(b.Name)) })
	taken := make(map[mail.Name]map[mail.Key]bool)
	for i := range found {
		f := &found[i]
		n, _ := v.box(f.Mailbox)
		v.boxes[n].Count++
		if f.validity != v.boxes[n].UIDValidity {
			f.Message.UID = 0
		}
		if box, ok := f.source.Box(f.Mailbox); !ok || f.source.StoreOf(box) != newest.Identity() {
			f.Message.GUID = ""
		}
		keys := taken[f.Mailbox]
		if keys == nil {
			keys = make(map[mail.Key]bool)
			taken[f.Mailbox] = keys
		}
		key := f.Message.Key
		for n := 2; keys[key]; n++ {
			key = mail.Key(fmt.Sprintf("%s@%s.%d", f.Message.Key, f.Last.Snapshot.Short(), n))
		}
		keys[key] = true
		v.held[f.Mailbox] = append(v.held[f.Mailbox], held{f, key})
	}
	return v
}

func (v *View) box(name mail.Name) (int, bool) {
	return slices.BinarySearchFunc(v.boxes, name, func(b mail.Mailbox, n mail.Name) int { return strings.Compare(string(b.Name), string(n)) })
}

// Identity is that of the store which the newest snapshot was taken from (mail.Identifier).
func (v *View) Identity() string { return v.newest.Identity() }

// Mailboxes lists the mailboxes in which something was found (mail.Source).
func (v *View) Mailboxes(context.Context) ([]mail.Mailbox, error) { return slices.Clone(v.boxes), nil }

// Changes lists what was found in a mailbox (mail.Source), always in full.
func (v *View) Changes(_ context.Context, name mail.Name, _ mail.Token) (mail.Changes, error) {
	n, ok := v.box(name)
	if !ok {
		return mail.Changes{}, &mail.Error{Op: "list", Mailbox: name, Err: mail.ErrNoMailbox}
	}
	box := v.boxes[n]
	ch := mail.Changes{Full: true, UIDValidity: box.UIDValidity, UIDNext: box.UIDNext, HighestModSeq: box.HighestModSeq,
		Count: box.Count, Method: "query"}
	for _, h := range v.held[name] {
		m := h.Message
		m.Key = h.key
		ch.Messages = append(ch.Messages, m)
	}
	slices.SortStableFunc(ch.Messages, func(a, b mail.Message) int { return int(int64(a.UID) - int64(b.UID)) })
	return ch, nil
}

// Fetch yields messages, snapshot by snapshot (mail.Source).
func (v *View) Fetch(ctx context.Context, name mail.Name, keys []mail.Key, part mail.Part) iter.Seq2[mail.Fetched, error] {
	return func(yield func(mail.Fetched, error) bool) {
		place := make(map[mail.Key]*held, len(v.held[name]))
		for i := range v.held[name] {
			place[v.held[name][i].key] = &v.held[name][i]
		}
		bySource := make(map[*snapshot.Source][]mail.Key)
		outer := make(map[*snapshot.Source]map[mail.Key]mail.Key) // the key in the view, by that in the snapshot
		for _, key := range keys {
			h := place[key]
			if h == nil {
				if !yield(mail.Fetched{Key: key}, &mail.Error{Op: "fetch", Mailbox: name, Key: key, Err: mail.ErrGone}) {
					return
				}
				continue
			}
			if outer[h.source] == nil {
				outer[h.source] = make(map[mail.Key]mail.Key)
			}
			outer[h.source][h.Message.Key] = key
			bySource[h.source] = append(bySource[h.source], h.Message.Key)
		}
		for src, inner := range bySource {
			for f, err := range src.Fetch(ctx, name, inner, part) {
				var e *mail.Error
				if _, one := mail.KeyOf(err); one && errors.As(err, &e) {
					err = &mail.Error{Op: e.Op, Mailbox: e.Mailbox, Key: outer[src][e.Key], Err: e.Err}
				}
				f.Key = outer[src][f.Key]
				if !yield(f, err) {
					return
				}
				if _, one := mail.KeyOf(err); err != nil && !one {
					return
				}
			}
		}
	}
}

// Close does nothing; the snapshots stay open.
func (v *View) Close() error { return nil }
