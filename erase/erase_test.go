package erase

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"roost/backup"
	"roost/mail"
	"roost/message"
	"roost/query"
	"roost/repo"
	"roost/store/memory"
)

// Whatever is erased, whenever: all other messages of all snapshots stay as they were, the chosen ones are in none, and
// no later backup brings them back, wherever they went; its books balance.
func TestErasedForGood(t *testing.T) {
	seeds := uint64(2)
	if testing.Short() {
		seeds = 1
	}
	for name, o := range map[string]memory.Options{"delta": {}, "full lists": {FullOnly: true}, "no GUIDs": {NoGUID: true}, "no UIDs": {}, "no UIDs, no GUIDs": {NoGUID: true}} {
		for seed := range seeds {
			t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, seed, o)
					if name[:4] == "no U" {
						w.source = loose{w.store}
					}
					testErasedForGood(w)
				})
			})
		}
	}
}

func testErasedForGood(w *world) {
	for round := range 5 {
		for range 3 {
			for range w.rng.IntN(5) {
				w.change()
			}
			report := w.backup(backup.Options{Full: w.rng.IntN(4) == 0})
			if !report.Complete() {
				w.Fatalf("incomplete: %+v, cut: %v", report.Ledger.Problems(), report.Cut)
			}
		}
		was := w.snapshots()
		want := lines(facts(w.T, w.source), w.left)
		if d := cmp.Diff(want, lines(was[len(was)-1].facts, everything)); d != "" {
			w.Fatalf("round %d: the newest snapshot (-store +snapshot):\n%s", round, d)
		}
		choice, chosen := w.random(was)
		if choice.IsZero() {
			continue
		}
		plan := w.erase(choice)
		w.mustBeErased(was, chosen, plan)
		w.reopen()
		if again := w.erase(choice); again.Messages() != 0 || again.Snapshots() != 0 {
			w.Errorf("round %d: erased a second time: %d messages", round, again.Messages())
		}
	}
	if check, err := w.repo.Check(w.Context(), repo.CheckOptions{ReadData: true}); err != nil || !check.OK() {
		w.Fatalf("Check: %v %+v", err, check)
	}
}

// mustBeErased holds the snapshots against what they were.
func (w *world) mustBeErased(was []held, chosen func(mail.Name, fact) bool, plan *Plan) {
	w.Helper()
	now := w.snapshots()
	if len(now) != len(was) {
		w.Fatalf("%d snapshots, want %d", len(now), len(was))
	}
	bodies, kept := map[string]bool{}, map[string]bool{}
	prints := map[message.Print]string{}
	touched := 0
	for i := range was {
		gone := map[mail.Name]int64{}
		want := lines(was[i].facts, func(box mail.Name, f fact) bool {
			if chosen(box, f) {
				gone[box]++
				prints[message.PrintOf([]byte(f.body))] = f.body
				bodies[f.body] = true
				return false
			}
			kept[f.body] = true
			return true
		})
		if d := cmp.Diff(want, lines(now[i].facts, everything)); d != "" {
			w.Fatalf("snapshot %d of %d (-want +got):\n%s", i+1, len(was), d)
		}
		if len(gone) > 0 {
			touched++
		}
		w.mustKeepAccounts(&was[i], &now[i], gone)
	}
	for body := range bodies {
		w.erased[body] = !kept[body]
	}
	newest := was[len(was)-1].facts
	for box, list := range facts(w.T, w.source) {
		for _, f := range list {
			in := slices.IndexFunc(newest[box], func(g fact) bool { return g.body == f.body })
			if in >= 0 && chosen(box, newest[box][in]) {
				w.struck[query.Place{Mailbox: box, Key: f.key}] = true
			}
		}
	}
	for _, m := range plan.Accounts[0].Messages {
		if body := prints[m.Print]; m.Kept != kept[body] {
			w.Errorf("%s:%s: kept elsewhere: %t, want %t", m.Mailbox, m.Key, m.Kept, kept[body])
		}
	}
	if plan.Snapshots() != touched {
		w.Errorf("the plan says %d snapshots, %d had something", plan.Snapshots(), touched)
	}
}

// mustKeepAccounts holds what stands beside the messages against what it was.
func (w *world) mustKeepAccounts(was, now *held, gone map[mail.Name]int64) {
	w.Helper()
	if d := cmp.Diff(was.sn, now.sn, cmpopts.IgnoreFields(repo.Snapshot{}, "ID", "Tree", "Original", "Parent")); d != "" {
		w.Errorf("the snapshot (-was +now):\n%s", d)
	}
	if now.sn.ID != was.sn.ID {
		if want := orElse(was.sn.Original, &was.sn.ID); now.sn.Original == nil || *now.sn.Original != *want {
			w.Errorf("original is %v, want %v", now.sn.Original, want)
		}
	}
	a, b := was.src.Account(), now.src.Account()
	if a.Layout, b.Layout = 0, 0; cmp.Diff(a, b) != "" {
		w.Errorf("the account was %+v, is %+v", a, b)
	}
	for i, box := range was.src.Boxes() {
		got := now.src.Boxes()[i]
		box.Messages, box.Erased = box.Messages-gone[box.Name], box.Erased+gone[box.Name]
		var octets int64
		for _, f := range now.facts[box.Name] {
			octets += int64(len(f.body))
		}
		box.Bytes = octets
		if d := cmp.Diff(box, got); d != "" {
			w.Errorf("%s (-want +got):\n%s", box.Name, d)
		}
	}
	before, err1 := was.src.Ledger(w.Context())
	after, err2 := now.src.Ledger(w.Context())
	if err1 != nil || err2 != nil {
		w.Fatal(err1, err2)
	}
	for i := range before.Rows {
		r := &before.Rows[i]
		r.Held, r.Erased = r.Held-gone[r.Mailbox], r.Erased+gone[r.Mailbox]
		if err := after.Rows[i].Balance(); err != nil {
			w.Error(err)
		}
	}
	if d := cmp.Diff(before, after); d != "" {
		w.Errorf("the ledger (-want +got):\n%s", d)
	}
	marks, err := now.src.Erased(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	for _, box := range now.src.Boxes() {
		if int64(len(marks.Marks(box.Name))) != box.Erased {
			w.Errorf("%s: %d marks, the line says %d", box.Name, len(marks.Marks(box.Name)), box.Erased)
		}
	}
}

func orElse(id, other *repo.ID) *repo.ID {
	if id == nil {
		return other
	}
	return id
}
