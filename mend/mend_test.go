package mend

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/backup"
	"roost/blob"
	"roost/blob/blobtest"
	"roost/mail"
	"roost/repo"
	"roost/snapshot"
	"roost/store/memory"
)

const (
	secret  = "secret"
	account = "alice@example.com"
)

func open(t *testing.T, b blob.Bucket) *repo.Repo {
	t.Helper()
	r, err := repo.Open(t.Context(), b, repo.NewPassword(secret))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run backs the store up.
func run(t *testing.T, r *repo.Repo, s mail.Source, day int) backup.Report {
	t.Helper()
	var report backup.Report
	err := r.Write(t.Context(), repo.WriteOptions{}, func(ctx context.Context, session *repo.Session) (err error) {
		report, err = backup.Run(ctx, s, r, session, backup.Options{Account: account, Host: "host", Now: time.Date(2026, 11, day, 9, 0, 0, 0, time.UTC)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// fill puts messages into a mailbox, enough for several shards.
func fill(t *testing.T, s *memory.Store, box mail.Name, n int) {
	t.Helper()
	if err := s.Create(t.Context(), box); err != nil && box != mail.Inbox {
		t.Fatal(err)
	}
	for i := range n {
		body := fmt.Sprintf("Subject: %s %d\r\n\r\nText.\r\n", box, i)
		m := mail.Message{Flags: mail.FlagsOf(mail.Seen), InternalDate: time.Unix(int64(1e9+i), 0), Size: int64(len(body))}
		if _, err := s.Append(t.Context(), box, m, strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
	}
}

// letters are the messages of a source: flags and bytes by mailbox and key.
func letters(t *testing.T, src mail.Source) map[string]string {
	t.Helper()
	all := map[string]string{}
	boxes, err := src.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, box := range boxes {
		ch, err := src.Changes(t.Context(), box.Name, "")
		if err != nil {
			t.Fatal(err)
		}
		var keys []mail.Key
		flags := map[mail.Key]mail.Flags{}
		for _, m := range ch.Messages {
			keys = append(keys, m.Key)
			flags[m.Key] = m.Flags
		}
		for f, err := range src.Fetch(t.Context(), box.Name, keys, mail.Whole) {
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(f.Body)
			if err != nil {
				t.Fatal(err)
			}
			all[fmt.Sprintf("%s:%s", box.Name, f.Key)] = string(flags[f.Key]) + "\n" + string(body)
		}
	}
	return all
}

// Wherever a pack is damaged: once the index is repaired and the snapshots are mended, check finds nothing, each snapshot has every
// message that is not named as lost, as it was, the books sum, and the next run brings back what the source still has.
func TestMendedSnapshotsAreWhole(t *testing.T) { synctest.Test(t, testMended) }

func testMended(t *testing.T) {
	clean := &blobtest.Memory{}
	r, err := repo.Init(t.Context(), clean, repo.NewPassword(secret), repo.InitOptions{KDF: repo.KDF{N: 1 << 10, R: 8, P: 1}})
	if err != nil {
		t.Fatal(err)
	}
	store := memory.New(memory.Options{ID: "world"})
	fill(t, store, mail.Inbox, 300)
	run(t, r, store, 1)
	fill(t, store, "Work", 70)
	run(t, r, store, 2)
	want := letters(t, store)
	step := 499
	if testing.Short() {
		step = 2003
	}
	n, mended := 0, 0
	for e := range clean.List(t.Context(), blob.Pack) {
		for at := 11; at < int(e.Size); at += step {
			n++
			b := clean.Clone()
			h := blob.Handle{Kind: blob.Pack, Name: e.Name}
			body, err := b.Load(t.Context(), h, 1<<24)
			if err != nil {
				t.Fatal(err)
			}
			body = bytes.Clone(body)
			body[at] ^= 8
			b.Put(h, body)
			mended += mustMend(t, b, store, want, fmt.Sprintf("byte %d of %v", at, h))
		}
	}
	if mended == 0 {
		t.Error("nothing had to be mended: this test shows nothing")
	}
	t.Logf("%d damages, %d snapshots mended", n, mended)
}

func mustMend(t *testing.T, b *blobtest.Memory, store *memory.Store, want map[string]string, what string) (mended int) {
	t.Helper()
	if _, err := open(t, b).Repair(t.Context(), repo.RepairOptions{ReadData: true}); err != nil {
		t.Fatalf("%s: Repair: %v", what, err)
	}
	r := open(t, b)
	report, err := Run(t.Context(), r, time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC))
	if err != nil {
		t.Fatalf("%s: Run: %v", what, err)
	}
	lost := map[repo.ID]map[string]bool{}
	for _, sn := range report.Snapshots {
		lost[sn.New] = map[string]bool{}
		for _, e := range sn.Lost {
			lost[sn.New][fmt.Sprintf("%s:%s", e.Mailbox, e.Key)] = true
		}
		for _, e := range sn.Bare {
			lost[sn.New][fmt.Sprintf("%s:%s", e.Mailbox, e.Key)] = true // its flags are others
		}
	}
	r = open(t, b)
	all, err := r.Snapshots(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("%s: %d snapshots, %v", what, len(all), err)
	}
	if len(report.Hopeless) == 0 {
		mustBeWhole(t, r, what)
		for i, sn := range all {
			mustHold(t, r, sn, want, lost[sn.ID], i == 0, what)
		}
	}
	after := run(t, open(t, b), store, 4)
	newest, err := snapshot.Open(t.Context(), open(t, b), must(open(t, b).LoadSnapshot(t.Context(), after.Snapshot)))
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if d := cmp.Diff(want, letters(t, newest)); d != "" {
		t.Fatalf("%s: the next snapshot (-store +snapshot):\n%s", what, d)
	}
	if !after.Complete() {
		t.Errorf("%s: the next run: %v", what, after.Ledger.Problems())
	}
	return len(report.Snapshots)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func mustBeWhole(t *testing.T, r *repo.Repo, what string) {
	t.Helper()
	check, err := r.Check(t.Context(), repo.CheckOptions{ReadData: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range check.Problems {
		t.Fatalf("%s: after it: %v %v", what, p, p.Paths)
	}
}

// mustHold holds a snapshot against the store. The first one had no Work yet.
func mustHold(t *testing.T, r *repo.Repo, sn *repo.Snapshot, want map[string]string, lost map[string]bool, first bool, what string) {
	t.Helper()
	src, err := snapshot.Open(t.Context(), r, sn)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	got := letters(t, src)
	unnamed := int64(0)
	for name, body := range want {
		switch {
		case first && strings.HasPrefix(name, "Work:") || got[name] == body || lost[name]:
		case got[name] == "":
			unnamed++
		default:
			t.Errorf("%s: %s is %q, want %q", what, name, got[name], body)
		}
	}
	ledger, err := src.Ledger(t.Context())
	if err != nil {
		return // it is what was damaged
	}
	var failed int64
	for i := range ledger.Rows {
		row := &ledger.Rows[i]
		failed += row.Failed
		if err := row.Balance(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if unnamed > 0 && len(src.Problems()) == 0 {
		t.Errorf("%s: %d messages are not there, and no problem tells of it", what, unnamed)
	}
}
