package erase

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"roost/backup"
	"roost/blob/blobtest"
	"roost/mail"
	"roost/query"
	"roost/repo"
	"roost/store/memory"
)

// eraseIn is a whole run of the program.
func eraseIn(ctx context.Context, b *blobtest.Faulty, c query.Choice) error {
	r, err := repo.Open(ctx, b, repo.NewPassword(secret))
	if err != nil {
		return err
	}
	plan, err := Look(ctx, r, Options{Choose: &c})
	if err != nil {
		return err
	}
	if len(plan.Doubts) > 0 {
		return &plan.Doubts[0]
	}
	return plan.Carry(ctx)
}

// Wherever an erasure is cut short, every other message of every snapshot is there, the repository is whole, and the next run
// leaves each snapshot once, without the messages, as one that was not cut short would.
func TestErasureCutShort(t *testing.T) { synctest.Test(t, testErasureCutShort) }

func testErasureCutShort(t *testing.T) {
	w := newWorld(t, 1, memory.Options{})
	w.put(mail.Inbox, "")
	key := w.put(mail.Inbox, "")
	for range 3 {
		w.put(mail.Inbox, "")
		w.backup(backup.Options{})
	}
	was := w.snapshots()
	choice := query.Choice{Places: []query.Place{{Mailbox: mail.Inbox, Key: key}}}
	want := make([]map[mail.Name][]string, len(was))
	for i := range was {
		want[i] = lines(was[i].facts, func(_ mail.Name, f fact) bool { return f.key != key })
	}
	first, step := w.bucket.(*blobtest.Memory), int64(1)
	if testing.Short() {
		step = 9
	}
	for _, mode := range []struct {
		name        string
		once, after bool
	}{{"killed before", false, false}, {"killed after", false, true}, {"one call fails", true, false}} {
		for n := int64(1); ; n += step {
			b := first.Clone()
			faulty := &blobtest.Faulty{Bucket: b, FailAt: n, Once: mode.once, After: mode.after}
			err := eraseIn(t.Context(), faulty, choice)
			if faulty.Calls() < n {
				if err != nil {
					t.Errorf("%s: no call failed, yet: %v", mode.name, err)
				}
				break
			}
			w.bucket = b
			w.reopen()
			if _, err := w.repo.Unlock(t.Context(), repo.UnlockOptions{All: true}); err != nil {
				t.Fatal(err)
			}
			w.mustCheck()
			for _, h := range w.snapshots() {
				got := lines(h.facts, func(_ mail.Name, f fact) bool { return f.key != key })
				if i := len(got[mail.Inbox]) - len(want[0][mail.Inbox]); i < 0 || i >= len(want) || !cmp.Equal(got, want[i]) {
					t.Fatalf("%s %d: %v: a snapshot of %d messages is as none was", mode.name, n, err, len(got[mail.Inbox]))
				}
			}
			if err := eraseIn(t.Context(), &blobtest.Faulty{Bucket: b}, choice); err != nil {
				t.Fatalf("%s %d: the next run: %v", mode.name, n, err)
			}
			w.reopen()
			now := w.snapshots()
			if len(now) != len(was) {
				t.Fatalf("%s %d: after the next run %d snapshots, want %d", mode.name, n, len(now), len(was))
			}
			for i := range now {
				if d := cmp.Diff(want[i], lines(now[i].facts, everything)); d != "" {
					t.Fatalf("%s %d: snapshot %d (-want +got):\n%s", mode.name, n, i, d)
				}
			}
			w.mustCheck()
		}
	}
}

// mustCheck holds that the repository is whole.
func (w *world) mustCheck() {
	w.Helper()
	report, err := w.repo.Check(w.Context(), repo.CheckOptions{ReadData: true})
	if err != nil || !report.OK() {
		w.Fatalf("Check: %v %+v", err, report)
	}
}

// A snapshot that must not be written anew stops the whole, before anything is written.
func TestGuardedSnapshotStopsErasure(t *testing.T) { synctest.Test(t, testGuarded) }

func testGuarded(t *testing.T) {
	w := newWorld(t, 1, memory.Options{})
	key := w.put(mail.Inbox, "")
	w.backup(backup.Options{})
	w.put(mail.Inbox, "")
	w.backup(backup.Options{})
	was := w.snapshots()
	held := errors.New("it is held")
	c := query.Choice{Places: []query.Place{{Mailbox: mail.Inbox, Key: key}}}
	plan, err := Look(t.Context(), w.repo, Options{Choose: &c, Guard: func(sn *repo.Snapshot) error {
		if sn.ID == was[0].sn.ID {
			return held
		}
		return nil
	}})
	if err != nil || len(plan.Refused) != 1 || plan.Refused[0].Snapshot.ID != was[0].sn.ID {
		t.Fatalf("Look = %+v, %v, want one refusal", plan, err)
	}
	if err := plan.Carry(t.Context()); !errors.Is(err, ErrRefused) || !errors.Is(err, held) {
		t.Errorf("Carry = %v, want ErrRefused and why", err)
	}
	for i, h := range w.snapshots() {
		if h.sn.ID != was[i].sn.ID {
			t.Errorf("snapshot %s is %s now", was[i].sn.ID.Short(), h.sn.ID.Short())
		}
	}
}

// Snapshots that came since the plan was made stop it: they may hold the messages, too.
func TestErasureOfOtherSnapshotsIsRefused(t *testing.T) { synctest.Test(t, testChanged) }

func testChanged(t *testing.T) {
	w := newWorld(t, 1, memory.Options{})
	key := w.put(mail.Inbox, "")
	w.backup(backup.Options{})
	c := query.Choice{Places: []query.Place{{Mailbox: mail.Inbox, Key: key}}}
	plan, err := Look(t.Context(), w.repo, Options{Choose: &c})
	if err != nil {
		t.Fatal(err)
	}
	w.put(mail.Inbox, "")
	w.backup(backup.Options{})
	if err := plan.Carry(t.Context()); !errors.Is(err, ErrChanged) {
		t.Errorf("Carry = %v, want ErrChanged", err)
	}
}
