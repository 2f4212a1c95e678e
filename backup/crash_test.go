package backup

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/blob/blobtest"
	"roost/mail"
	"roost/repo"
	"roost/store/memory"
)

// TestCrashAtAnyCall: whatever call of the bucket is a run's last, no snapshot
// refers to what is not there, each holds what the store held, and the next run
// completes.
func TestCrashAtAnyCall(t *testing.T) {
	var first *blobtest.Memory
	var store *memory.Store
	var held [2]map[mail.Name][]string // when the first snapshot was taken, and since
	synctest.Test(t, func(t *testing.T) { first, store, held = beforeCrash(t) })
	modes := []struct {
		name        string
		once, after bool
	}{{"killed before", false, false}, {"killed after", false, true}, {"one call fails", true, false}}
	step := int64(1)
	if testing.Short() {
		step = 7
	}
	for _, mode := range modes {
		for n, more := int64(1), true; more; n += step {
			t.Run(fmt.Sprintf("%s %d", mode.name, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					fault := &blobtest.Faulty{Bucket: first.Clone(), FailAt: n, Once: mode.once, After: mode.after}
					more = testCrash(t, fault, store, held)
				})
			})
		}
	}
}

// beforeCrash makes a repository with one snapshot of a store that has changed
// since: there are new messages, other flags, messages that moved or are gone,
// and another mailbox.
func beforeCrash(t *testing.T) (bucket *blobtest.Memory, store *memory.Store, held [2]map[mail.Name][]string) {
	w := &world{t: t, store: memory.New(memory.Options{ID: "world"})}
	bucket = &blobtest.Memory{}
	var err error
	if w.repo, err = repo.Init(t.Context(), bucket, repo.NewPassword("secret"), repo.InitOptions{KDF: cheap}); err != nil {
		t.Fatal(err)
	}
	keys := fill(t, w.store, mail.Inbox, 40)
	w.backup(w.store, Options{})
	held[0] = contents(t, w.store)

	ctx := t.Context()
	body := "Subject: large\r\n\r\n" + strings.Repeat("The line.\r\n", 1000)
	_, appended := w.store.Append(ctx, mail.Inbox, mail.Message{Size: int64(len(body)), InternalDate: time.Unix(1e9, 0)}, strings.NewReader(body))
	created := w.store.Create(ctx, "Archive")
	_, moved := w.store.Move(ctx, mail.Inbox, keys[:10], "Archive")
	flagged := w.store.SetFlags(ctx, mail.Inbox, keys[10:15], mail.FlagsOf(mail.Seen), "")
	expunged := w.store.Expunge(ctx, mail.Inbox, keys[15:20])
	for _, err := range []error{appended, created, moved, flagged, expunged} {
		if err != nil {
			t.Fatal(err)
		}
	}
	fill(t, w.store, "Archive", 5)
	held[1] = contents(t, w.store)
	return bucket, w.store, held
}

// testCrash lets a second backup meet the fault, looks at what it left, and
// goes on. It reports whether the fault came.
func testCrash(t *testing.T, fault *blobtest.Faulty, store *memory.Store, held [2]map[mail.Name][]string) bool {
	w := &world{t: t, store: store, n: 1}
	var err error
	if w.repo, err = repo.Open(t.Context(), fault, repo.NewPassword("secret")); err == nil {
		_, err = w.tryBackup(store, Options{})
	}
	came := fault.Calls() >= fault.FailAt
	if err == nil && came && !fault.Once {
		t.Error("the run was killed and reports success")
	}
	if err != nil && !came {
		t.Errorf("no call failed, yet: %v", err)
	}
	if w.repo, err = repo.Open(t.Context(), fault.Bucket, repo.NewPassword("secret")); err != nil {
		t.Fatal(err)
	}
	w.mustHold(held[:])
	report := w.backup(store, Options{})
	if !report.Complete() {
		t.Errorf("the next run: %+v, cut: %v", report.Ledger.Problems(), report.Cut)
	}
	if d := cmp.Diff(held[1], contents(t, w.open(report.Snapshot))); d != "" {
		t.Errorf("the next run (-store +snapshot):\n%s", d)
	}
	w.mustHold(held[:])
	return came
}

// mustHold holds the repository to its check, and its snapshots to what the
// store held: the first to the first, the others to the last.
func (w *world) mustHold(held []map[mail.Name][]string) {
	w.t.Helper()
	if check, err := w.repo.Check(w.t.Context(), repo.CheckOptions{ReadData: true}); err != nil || !check.OK() {
		w.t.Fatalf("Check: %v %+v", err, check)
	}
	all, err := w.repo.Snapshots(w.t.Context())
	if err != nil || len(all) == 0 {
		w.t.Fatalf("Snapshots: %d, %v", len(all), err)
	}
	if err := w.repo.LoadIndex(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	for i, sn := range all {
		if d := cmp.Diff(held[min(i, len(held)-1)], contents(w.t, w.open(sn.ID))); d != "" {
			w.t.Fatalf("snapshot %d of %d (-store +snapshot):\n%s", i+1, len(all), d)
		}
	}
}
