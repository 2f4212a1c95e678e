package job

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/query"
	"roost/repo"
)

func (w *world) items(sn *Snapshot, o LookOptions) []string {
	w.Helper()
	o.Headers = true
	var got []string
	for item, err := range w.repo.Items(w.Context(), sn, o) {
		if err != nil {
			w.Fatal(err)
		}
		line := fmt.Sprintf("%s %s", item.Mailbox, item.Subject)
		if !item.DeletedSince.IsZero() {
			line += " deleted since " + item.DeletedSince.Format("15:04")
		}
		got = append(got, line)
	}
	return got
}

// What was expunged, moved away, or went with its mailbox is deleted since the
// first snapshot without it; what came back under its key is not.
func TestItemsDeleted(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	if err := w.store.Create(ctx, "Old"); err != nil {
		t.Fatal(err)
	}
	w.append("INBOX", "stays")
	lost := w.append("INBOX", "expunged")
	w.append("Old", "went with its mailbox")
	first := w.backup("alice") // 13:00
	if err := w.store.Expunge(ctx, "INBOX", []mail.Key{lost}); err != nil {
		t.Fatal(err)
	}
	second := w.backup("alice") // 14:00
	if err := w.store.Delete(ctx, "Old"); err != nil {
		t.Fatal(err)
	}
	w.append("INBOX", "new")
	last := w.backup("alice") // 15:00

	want := []string{"INBOX stays", "INBOX new", "INBOX expunged deleted since 14:00", "Old went with its mailbox deleted since 15:00"}
	if diff := cmp.Diff(want, w.items(last, LookOptions{Deleted: true})); diff != "" {
		t.Errorf("items of the last snapshot (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want[:2], w.items(last, LookOptions{})); diff != "" {
		t.Errorf("items without deleted (-want +got):\n%s", diff)
	}
	wantFirst := []string{"INBOX stays", "INBOX expunged", "Old went with its mailbox"}
	if diff := cmp.Diff(wantFirst, w.items(first, LookOptions{Deleted: true})); diff != "" {
		t.Errorf("items of the first snapshot (-want +got):\n%s", diff)
	}
	holds := map[string]repo.ID{}
	for item, err := range w.repo.Items(ctx, last, LookOptions{Deleted: true, Headers: true}) {
		if err != nil {
			t.Fatal(err)
		}
		holds[item.Subject] = item.Snapshot
	}
	wantHolds := map[string]repo.ID{"stays": last.ID, "new": last.ID, "expunged": first.ID, "went with its mailbox": second.ID}
	if diff := cmp.Diff(wantHolds, holds); diff != "" {
		t.Errorf("snapshots that hold the items (-want +got):\n%s", diff)
	}
	only := LookOptions{Deleted: true, Select: query.Selection{Folders: []string{"Old"}}}
	if diff := cmp.Diff(want[3:], w.items(last, only)); diff != "" {
		t.Errorf("items of one mailbox (-want +got):\n%s", diff)
	}
}

func TestItemsByPeriod(t *testing.T) {
	w := newWorld(t)
	w.append("INBOX", "one")
	sn := w.backup("alice")
	in := query.Selection{Since: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), Before: time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)}
	if got := w.items(sn, LookOptions{Select: in}); len(got) != 0 {
		t.Errorf("by internal date: %q, want nothing", got)
	}
	in.Date = query.ByHeader
	if got := w.items(sn, LookOptions{Select: in}); len(got) != 1 {
		t.Errorf("by header date: %q, want the message", got)
	}
}

func TestStats(t *testing.T) {
	w := newWorld(t)
	if err := w.store.CreateRole(t.Context(), "Sent", mail.RoleSent); err != nil {
		t.Fatal(err)
	}
	w.append("INBOX", "one", mail.Seen)
	lost := w.append("INBOX", "two")
	w.append("INBOX", "three")
	w.backup("alice")
	if err := w.store.Expunge(t.Context(), "INBOX", []mail.Key{lost}); err != nil {
		t.Fatal(err)
	}
	sn := w.backup("alice")
	got, err := w.repo.Stats(t.Context(), sn, LookOptions{Deleted: true})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	want := []Stat{
		{Mailbox: "INBOX", Messages: 2, Unseen: 1, Bytes: got[0].Bytes, Oldest: at, Newest: at, Deleted: 1},
		{Mailbox: "Sent", Role: mail.RoleSent},
	}
	if diff := cmp.Diff(want, got); diff != "" || got[0].Bytes < 150 {
		t.Errorf("Stats, %d octets (-want +got):\n%s", got[0].Bytes, diff)
	}
}

func TestDiff(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	keep, gone := w.append("INBOX", "one"), w.append("INBOX", "two")
	older := w.backup("alice")
	if err := w.store.SetFlags(ctx, "INBOX", []mail.Key{keep}, mail.FlagsOf(mail.Seen), ""); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Expunge(ctx, "INBOX", []mail.Key{gone}); err != nil {
		t.Fatal(err)
	}
	added := w.append("INBOX", "three")
	if err := w.store.Create(ctx, "New"); err != nil {
		t.Fatal(err)
	}
	newer := w.backup("alice")
	diffs := func(a, b *Snapshot) (got []Difference) {
		for d, err := range Diff(ctx, a.Source, b.Source, query.Selection{}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, d)
		}
		return got
	}
	want := []Difference{
		{Mailbox: "INBOX", Kind: Reflagged, Key: keep, New: mail.Seen},
		{Mailbox: "INBOX", Kind: Added, Key: added},
		{Mailbox: "INBOX", Kind: Removed, Key: gone},
		{Mailbox: "New", Kind: Added},
	}
	if diff := cmp.Diff(want, diffs(older, newer)); diff != "" {
		t.Errorf("Diff (-want +got):\n%s", diff)
	}
	if got := diffs(older, older); len(got) != 0 {
		t.Errorf("Diff of a snapshot with itself = %v", got)
	}
	if err := w.store.Renumber(ctx, "INBOX"); err != nil {
		t.Fatal(err)
	}
	if got := diffs(newer, w.backup("alice")); len(got) == 0 || got[0].Kind != Renewed {
		t.Errorf("Diff across a new UIDVALIDITY = %v, want %q first", got, Renewed)
	}
}

func TestCopyMessage(t *testing.T) {
	w := newWorld(t)
	key := w.append("INBOX", "one")
	sn := w.backup("alice")
	var b strings.Builder
	if err := sn.CopyMessage(t.Context(), &b, "INBOX", key); err != nil || !strings.HasSuffix(b.String(), "\r\n\r\nHello.\r\n") {
		t.Errorf("CopyMessage = %q, %v", b.String(), err)
	}
	for name, want := range map[mail.Name]error{"INBOX": mail.ErrGone, "Nope": mail.ErrNoMailbox} {
		if err := sn.CopyMessage(t.Context(), &b, name, "999"); err == nil || !strings.Contains(err.Error(), want.Error()) {
			t.Errorf("CopyMessage(%s, 999) = %v, want %v", name, err, want)
		}
	}
}
