package backup

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/store/memory"
)

// A share of an account, or a number of messages, may go; all of it only if the user says so.
func TestMaxShrink(t *testing.T) {
	for _, c := range []struct {
		bound         string
		before, after int64
		want          bool
	}{
		{"", 0, 0, true},
		{"", 6, 7, true},
		{"", 6, 0, false},
		{"", 1, 0, false},
		{"", 101, 1, true}, // small accounts are not bothered
		{"", 102, 1, false},
		{"", 1000, 500, true},
		{"", 1000, 499, false},
		{"50%", 1000, 499, false},
		{"51%", 1000, 490, true},
		{"10%", 1000, 901, true},
		{"10%", 2000, 1799, false},
		{"0%", 2000, 1899, false},
		{"100%", 6, 0, true},
		{"100%", 1 << 40, 0, true},
		{"99%", 6, 0, false},
		{"10", 30, 20, true},
		{"10", 30, 19, false},
		{"10", 6, 0, false},
		{"0", 30, 29, false},
		{"0", 30, 30, true},
	} {
		m, err := ParseMaxShrink(c.bound)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Allows(c.before, c.after); got != c.want {
			t.Errorf("%q allows %d to become %d: %v, want %v", c.bound, c.before, c.after, got, c.want)
		}
	}
	for _, bad := range []string{"%", "-1", "101%", "half", "5 %", "1e3", "99999999999999999999"} {
		if m, err := ParseMaxShrink(bad); err == nil {
			t.Errorf("ParseMaxShrink(%q) = %v, want an error", bad, m)
		}
	}
}

// TestASuddenlyEmptyStoreIsRefused: the newest snapshot goes on holding all, until the
// user says that the mail was deleted. What came meanwhile is not fetched again then.
func TestASuddenlyEmptyStoreIsRefused(t *testing.T) { synctest.Test(t, testSuddenlyEmpty) }

func testSuddenlyEmpty(t *testing.T) {
	w := newWorld(t, 1, memory.Options{})
	keys := fill(t, w.store, mail.Inbox, 300)
	held := contents(t, w.store)
	first := w.backup(w.store, Options{})
	for name, src := range map[string]mail.Source{
		"another, empty store":       memory.New(memory.Options{ID: "other"}),
		"this one without its mail":  memory.New(memory.Options{ID: "world"}),
		"this one without a mailbox": bare{memory.New(memory.Options{ID: "world"})},
		"another, without a mailbox": bare{memory.New(memory.Options{ID: "other"})},
	} {
		for _, o := range []Options{{}, {Full: true}, {DryRun: true}} {
			report, err := w.tryBackup(src, o)
			if !errors.Is(err, ErrShrunk) || !report.Snapshot.IsNull() || report.Ledger.Total().Vanished != 300 {
				t.Errorf("%s, dry %v: %v; snapshot %s, %d vanished", name, o.DryRun, err, report.Snapshot.Short(), report.Ledger.Total().Vanished)
			}
		}
	}
	if err := w.store.Expunge(t.Context(), mail.Inbox, keys[:151]); err != nil {
		t.Fatal(err)
	}
	fill(t, w.store, mail.Inbox, 0)
	if _, err := w.tryBackup(w.store, Options{}); !errors.Is(err, ErrShrunk) {
		t.Errorf("151 of 300 gone: %v, want a refusal", err)
	}
	all, err := w.repo.Snapshots(t.Context())
	if err != nil || len(all) != 1 || all[0].ID != first.Snapshot {
		t.Fatalf("snapshots: %v, %v; want the first alone", all, err)
	}
	if d := cmp.Diff(held, contents(t, w.open(all[0].ID))); d != "" {
		t.Errorf("the newest snapshot (-held +got):\n%s", d)
	}
	bound, err := ParseMaxShrink("60%")
	if err != nil {
		t.Fatal(err)
	}
	report := w.backup(w.store, Options{MaxShrink: bound})
	if total := report.Ledger.Total(); total.Vanished != 151 || total.Held != 149 || !report.Complete() {
		t.Errorf("with 60%%: %+v", total)
	}
	if report = w.backup(w.store, Options{}); !report.Complete() {
		t.Errorf("the run after: %+v", report.Ledger.Total())
	}
}

// bare shows no mailbox.
type bare struct{ *memory.Store }

func (bare) Mailboxes(context.Context) ([]mail.Mailbox, error) { return nil, nil }

// TestMovedMailIsNotGone: an account does not shrink by what moves.
func TestMovedMailIsNotGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, memory.Options{NoGUID: true})
		keys := fill(t, w.store, mail.Inbox, 300)
		if err := w.store.Create(t.Context(), "Old"); err != nil {
			t.Fatal(err)
		}
		w.backup(w.store, Options{})
		if _, err := w.store.Move(t.Context(), mail.Inbox, keys, "Old"); err != nil {
			t.Fatal(err)
		}
		if report := w.backup(w.store, Options{}); report.Ledger.Total().Vanished != 300 || report.Messages != 300 {
			t.Errorf("%+v", report.Ledger.Total())
		}
		old := memory.New(memory.Options{ID: "world"}) // nothing can be read of it
		if err := old.Create(t.Context(), "Old"); err != nil {
			t.Fatal(err)
		}
		if report, err := w.tryBackup(denied{old}, Options{}); err != nil || report.Complete() || report.Messages != 300 {
			t.Errorf("not readable: %v, %d messages, want 300", err, report.Messages)
		}
	})
}

// TestNoMailboxIsNoBackup: a place without a mailbox is taken for a wrong place, not for an account without mail.
func TestNoMailboxIsNoBackup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, memory.Options{})
		if report, err := w.tryBackup(bare{w.store}, Options{}); !errors.Is(err, ErrEmpty) || !report.Snapshot.IsNull() {
			t.Errorf("%v, snapshot %s; want ErrEmpty and none", err, report.Snapshot.Short())
		}
	})
}
