package backup

import (
	"context"
	"testing"
	"testing/synctest"

	"roost/mail"
	"roost/store/memory"
)

// miscounting says one message more than there is, in its deltas.
type miscounting struct{ *memory.Store }

func (m miscounting) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	ch, err := m.Store.Changes(ctx, name, since)
	if !ch.Full {
		ch.Count++
	}
	return ch, err
}

// TestADoubtedDeltaIsListedAnew: what was read for the delta does not stand for the whole then.
func TestADoubtedDeltaIsListedAnew(t *testing.T) { synctest.Test(t, testADoubtedDeltaIsListedAnew) }

func testADoubtedDeltaIsListedAnew(t *testing.T) {
	w := newWorld(t, 1, memory.Options{})
	keys := fill(t, w.store, mail.Inbox, 600)
	w.backup(w.store, Options{})
	if err := w.store.SetFlags(t.Context(), mail.Inbox, keys[:1], `\Flagged`, ""); err != nil {
		t.Fatal(err)
	}
	report := w.backup(miscounting{w.store}, Options{})
	row := report.Ledger.Rows[0]
	if row.Held != 600 || row.New != 0 || row.Changed != 1 || row.Vanished != 0 || row.Balance() != nil {
		t.Errorf("row = %+v, want 600 held and 1 changed", row)
	}
	if n := w.files(report.Snapshot); n != 600 {
		t.Errorf("%d messages in the snapshot, want 600", n)
	}
}
