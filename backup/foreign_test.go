package backup

import (
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/query"
	"roost/store/memory"
)

// TestAnotherStoreIsNoDeletion: when an account has moved to another store, what a rule
// leaves out there stays as the old one had it, and what is replaced is counted. Nothing of the one store
// is ever taken for the other's, though their UIDs and GUIDs are equal.
func TestAnotherStoreIsNoDeletion(t *testing.T) { synctest.Test(t, testAnotherStore) }

func testAnotherStore(t *testing.T) {
	w := newWorld(t, 1, memory.Options{})
	other := memory.New(memory.Options{ID: "other"})
	for _, s := range []*memory.Store{w.store, other} {
		if err := s.Create(t.Context(), "Work"); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, w.store, mail.Inbox, 6)
	fill(t, w.store, "Work", 3)
	fill(t, other, mail.Inbox, 2)
	fill(t, other, "Work", 1)
	if err := other.SetFlags(t.Context(), mail.Inbox, []mail.Key{"1", "2"}, mail.FlagsOf(mail.Flagged), ""); err != nil {
		t.Fatal(err)
	}
	was := contents(t, w.store)
	w.backup(w.store, Options{})

	work := query.Selection{Folders: []string{"Work"}}
	for range 2 { // the second time, what was kept is of another store than the snapshot
		report := w.backup(other, Options{Selection: work})
		got := contents(t, w.open(report.Snapshot))
		for name, kept := range map[mail.Name]int{mail.Inbox: 6, "Work": 1} {
			if len(got[name]) != kept {
				t.Errorf("by a rule: %s has %d messages, want %d", name, len(got[name]), kept)
			}
		}
		if box, _ := w.open(report.Snapshot).Box(mail.Inbox); box.Identity != "memory:world" || box.Kept.IsZero() {
			t.Errorf("by a rule: the line of INBOX is %+v", box)
		}
		w.n++
	}
	report := w.backup(other, Options{})
	if d := cmp.Diff(contents(t, other), contents(t, w.open(report.Snapshot))); d != "" {
		t.Errorf("without a rule (-store +snapshot):\n%s", d)
	}
	if total := report.Ledger.Total(); total.Vanished != 6 || total.New != 2 || total.Known != 0 || !report.Complete() {
		t.Errorf("without a rule: %+v", total)
	}
	if box, _ := w.open(report.Snapshot).Box(mail.Inbox); box.Identity != "" {
		t.Errorf("without a rule: the line of INBOX is %+v", box)
	}

	// Back again, with a rule and then without.
	w.backup(w.store, Options{Selection: work})
	report = w.backup(w.store, Options{})
	if d := cmp.Diff(was, contents(t, w.open(report.Snapshot))); d != "" {
		t.Errorf("back again (-store +snapshot):\n%s", d)
	}
	if total := report.Ledger.Total(); total.Vanished != 2 || total.New != 6 {
		t.Errorf("back again: %+v", total)
	}
}

// TestAKeptMailboxIsItsOwnStoresAgain: what one run against another store only kept is
// not read again when the account is back.
func TestAKeptMailboxIsItsOwnStoresAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, memory.Options{})
		fill(t, w.store, mail.Inbox, 6)
		w.backup(w.store, Options{})
		other := memory.New(memory.Options{ID: "other"})
		if err := other.Create(t.Context(), "Work"); err != nil {
			t.Fatal(err)
		}
		w.backup(other, Options{Selection: query.Selection{Folders: []string{"Work"}}})
		src := &counting{Source: w.store}
		report := w.backup(src, Options{})
		if total := report.Ledger.Total(); src.fetched != 0 || total.Held != 6 || total.New != 0 || total.Vanished != 0 {
			t.Errorf("fetched %d, want 0; %+v", src.fetched, total)
		}
		if d := cmp.Diff(contents(t, w.store), contents(t, w.open(report.Snapshot))); d != "" {
			t.Errorf("-store +snapshot:\n%s", d)
		}
	})
}

// TestARecreatedMailboxIsCounted: a mailbox that was deleted and made again under its name
// is another. What it held has vanished, but for what is known by its GUID; left out by a rule, it stays.
func TestARecreatedMailboxIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, memory.Options{})
		if err := w.store.Create(t.Context(), "Work"); err != nil {
			t.Fatal(err)
		}
		keys := fill(t, w.store, "Work", 5)
		w.backup(w.store, Options{})
		if _, err := w.store.Move(t.Context(), "Work", keys[:2], mail.Inbox); err != nil {
			t.Fatal(err)
		}
		if err := w.store.Delete(t.Context(), "Work"); err != nil {
			t.Fatal(err)
		}
		if err := w.store.Create(t.Context(), "Work"); err != nil {
			t.Fatal(err)
		}
		inbox, err := w.store.Changes(t.Context(), mail.Inbox, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.Move(t.Context(), mail.Inbox, []mail.Key{inbox.Messages[0].Key}, "Work"); err != nil {
			t.Fatal(err)
		}
		report := w.backup(w.store, Options{Selection: query.Selection{Exclude: []string{"Work"}}})
		if got := contents(t, w.open(report.Snapshot)); len(got["Work"]) != 5 {
			t.Errorf("left out: %d messages, want 5", len(got["Work"]))
		}
		report = w.backup(w.store, Options{})
		for _, row := range report.Ledger.Rows {
			if row.Mailbox == "Work" && (row.Vanished != 4 || row.New != 1 || row.Known != 1) {
				t.Errorf("row = %+v, want 4 vanished", row)
			}
		}
		if d := cmp.Diff(contents(t, w.store), contents(t, w.open(report.Snapshot))); d != "" {
			t.Errorf("-store +snapshot:\n%s", d)
		}
	})
}
