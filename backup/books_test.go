package backup

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"roost/mail"
	"roost/query"
	"roost/store/memory"
)

// told says otherwise of mailboxes than the store does.
type told struct {
	mail.Source
	say func(*mail.Mailbox)
}

func (s *told) Identity() string { return s.Source.(mail.Identifier).Identity() }

func (s *told) Mailboxes(ctx context.Context) ([]mail.Mailbox, error) {
	boxes, err := s.Source.Mailboxes(ctx)
	for i := range boxes {
		s.say(&boxes[i])
	}
	return boxes, err
}

func rowOf(report Report, name mail.Name) mail.Row {
	i := slices.IndexFunc(report.Ledger.Rows, func(r mail.Row) bool { return r.Mailbox == name })
	if i < 0 {
		return mail.Row{}
	}
	return report.Ledger.Rows[i]
}

// TestLeftOutIsCountedOrSaidToBeUnknown: books that show 0 excluded say that a rule left nothing out. They must not where
// nobody looked.
func TestLeftOutIsCountedOrSaidToBeUnknown(t *testing.T) {
	without := Options{Selection: query.Selection{Exclude: []string{"Junk"}}}
	countless := func(s *memory.Store) mail.Source {
		return &told{s, func(box *mail.Mailbox) { box.Count, box.Token = -1, "" }}
	}
	for _, c := range []struct {
		name      string
		source    func(*memory.Store) mail.Source // nil: the store
		first     bool                            // an earlier run held the mailbox
		then      func(*world)                    // after it
		held      int64
		excluded  int64
		uncounted bool
	}{
		{name: "the store counts", excluded: 5},
		{name: "the store does not count", source: countless, uncounted: true},
		{name: "held, and nothing changed", first: true, held: 5},
		{name: "held, and one came", first: true, then: func(w *world) { fill(w.t, w.store, "Junk", 1) }, held: 5, uncounted: true},
		{name: "held, and the store says nothing", source: countless, first: true, held: 5, uncounted: true},
		{name: "another of that name is held", first: true, then: func(w *world) {
			err := errors.Join(w.store.Delete(w.t.Context(), "Junk"), w.store.Create(w.t.Context(), "Junk"))
			if err != nil {
				w.t.Fatal(err)
			}
			fill(w.t, w.store, "Junk", 2)
		}, held: 5, excluded: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1, memory.Options{})
				fill(t, w.store, mail.Inbox, 3)
				if err := w.store.Create(t.Context(), "Junk"); err != nil {
					t.Fatal(err)
				}
				fill(t, w.store, "Junk", 5)
				var src mail.Source = w.store
				if c.source != nil {
					src = c.source(w.store)
				}
				if c.first {
					w.backup(src, Options{})
				}
				if c.then != nil {
					c.then(w)
				}
				report := w.backup(src, without)
				row := rowOf(report, "Junk")
				if row.Held != c.held || row.Excluded != c.excluded || row.Uncounted != c.uncounted || !report.Complete() {
					t.Errorf("row %+v, complete %v; want held %d, excluded %d, uncounted %v", row, report.Complete(), c.held, c.excluded, c.uncounted)
				}
			})
		})
	}
}

// TestAMailboxThatHoldsNoMailAnyMoreLostIt: a mailbox that turned into a mere name above others has lost all its messages.
func TestAMailboxThatHoldsNoMailAnyMoreLostIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, memory.Options{})
		fill(t, w.store, mail.Inbox, 3)
		if err := w.store.Create(t.Context(), "Work"); err != nil {
			t.Fatal(err)
		}
		fill(t, w.store, "Work", 2)
		w.backup(w.store, Options{})
		report := w.backup(&told{w.store, func(box *mail.Mailbox) { box.NoSelect = box.Name == "Work" }}, Options{})
		if row := rowOf(report, "Work"); row.Vanished != 2 || row.Held != 0 || row.Balance() != nil {
			t.Errorf("row %+v, want 2 vanished", row)
		}
	})
}

// TestProblemsAreToldInOrder: two runs that find the same must tell the same, to the letter.
func TestProblemsAreToldInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, memory.Options{})
		src := &counting{Source: w.store, refuse: make(map[mail.Key]error)}
		for _, key := range fill(t, w.store, mail.Inbox, 12) {
			src.refuse[key] = errors.New("NO")
		}
		w.backup(src, Options{})
		unread := &told{src, func(box *mail.Mailbox) { box.Err = &mail.Error{Op: "list", Mailbox: box.Name, Err: mail.ErrDenied} }}
		for name, report := range map[string]Report{
			"left out": w.backup(src, Options{Selection: query.Selection{Exclude: []string{"INBOX"}}}),
			"not read": w.backup(unread, Options{}),
		} {
			var told []mail.Key
			for _, p := range rowOf(report, mail.Inbox).Problems {
				if p.Key != "" {
					told = append(told, p.Key)
				}
			}
			if len(told) != 12 || !slices.IsSorted(told) {
				t.Errorf("%s: the problems are told in the order %q", name, told)
			}
		}
	})
}
