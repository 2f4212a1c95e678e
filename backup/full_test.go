package backup

import (
	"context"
	"strings"
	"testing"
	"time"

	"roost/mail"
	"roost/store/memory"
)

// hushed is a store whose log knows nothing of flags that change: asked what
// changed, it says nothing did; only a full list shows them.
type hushed struct {
	*memory.Store
	boxes []mail.Mailbox // as they were at first
}

func (h *hushed) Mailboxes(context.Context) ([]mail.Mailbox, error) { return h.boxes, nil }

func (h *hushed) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	ch, err := h.Store.Changes(ctx, name, "")
	if since != "" {
		ch.Messages, ch.Full = nil, false
	}
	ch.Token = h.boxes[0].Token
	return ch, err
}

// A change that the server's log misses is seen by a run that lists in full,
// which comes about by itself when the last one is as old as FullEvery says.
func TestFullListing(t *testing.T) {
	w := newWorld(t, 1, memory.Options{})
	const body = "Subject: one\r\n\r\nOne.\r\n"
	key, err := w.store.Append(t.Context(), "INBOX", mail.Message{Size: int64(len(body))}, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	boxes, err := w.store.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h := &hushed{w.store, boxes}
	day := func(n int) time.Time { return time.Date(2026, 3, 1+n, 9, 0, 0, 0, time.UTC) }
	for _, step := range []struct {
		name    string
		change  mail.Flags // is added to the message before the run
		day     int
		o       Options
		changed int64 // flags that the run finds changed
		full    int   // the day that the snapshot calls the last full listing
	}{
		{"first", "", 0, Options{}, 0, 0},
		{"unheard of", mail.FlagsOf(mail.Seen), 1, Options{}, 0, 0},
		{"not due", "", 29, Options{FullEvery: 30 * 24 * time.Hour}, 0, 0},
		{"due", "", 30, Options{FullEvery: 30 * 24 * time.Hour}, 1, 30},
		{"done", mail.FlagsOf(mail.Flagged), 31, Options{FullEvery: 30 * 24 * time.Hour}, 0, 30},
		{"asked for", "", 31, Options{Full: true}, 1, 31},
		{"within a day", mail.FlagsOf(mail.Answered), 31, Options{Full: true}, 1, 31},
	} {
		if step.change != "" {
			if err := w.store.SetFlags(t.Context(), "INBOX", []mail.Key{key}, step.change, ""); err != nil {
				t.Fatal(err)
			}
		}
		step.o.Now = day(step.day)
		report := w.backup(h, step.o)
		if got := report.Ledger.Total().Changed; got != step.changed || !report.Complete() {
			t.Errorf("%s: %d flags changed, complete %v, want %d", step.name, got, report.Complete(), step.changed)
		}
		box, ok := w.open(report.Snapshot).Box("INBOX")
		if !ok || !box.Full.Equal(day(step.full)) {
			t.Errorf("%s: last full listing %v, want %v", step.name, box.Full, day(step.full))
		}
	}
}
