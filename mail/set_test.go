package mail

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestFlags: a set has one spelling, whatever the order, case and number of its members.
func TestFlags(t *testing.T) {
	f := FlagsOf("work", `\SEEN`, `\Recent`, "", "Work", `\flagged`, "a b")
	if want := Flags(`\Flagged \Seen a_b work`); f != want {
		t.Errorf("FlagsOf = %q, want %q", f, want)
	}
	if f.Len() != 4 || !f.Has("WORK") || !f.Has(Seen) || f.Has("wor") || f.Has("") {
		t.Errorf("%q has the wrong members", f)
	}
	if got := f.Plus(FlagsOf("WORK", "new")); got != `\Flagged \Seen a_b new work` {
		t.Errorf("Plus = %q", got)
	}
	if got := f.Minus(FlagsOf("WORK", Seen, "none")); got != `\Flagged a_b` {
		t.Errorf("Minus = %q", got)
	}
	if got := f.Keywords(); got != "a_b work" {
		t.Errorf("Keywords = %q", got)
	}
	if e := Flags(""); e.Len() != 0 || e.List() != nil || e.Plus(f) != f || f.Minus(e) != f || f.Plus(e) != f {
		t.Error("the empty set does not behave")
	}
}

// TestUIDSet holds a set against a map of its members.
func TestUIDSet(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		var s UIDSet
		model := map[uint32]bool{}
		for range rng.IntN(30) {
			first := uint32(rng.IntN(60))
			last := first + uint32(rng.IntN(6))
			if rng.IntN(2) == 0 {
				s.AddRange(first, last)
			} else {
				s.AddRange(last, first)
			}
			for u := max(first, 1); u <= last; u++ {
				model[u] = true
			}
		}
		for u := range uint32(80) {
			if s.Contains(u) != model[u] {
				t.Fatalf("round %d: %s.Contains(%d) = %v", round, s, u, s.Contains(u))
			}
			for last := u; last < 80; last += 7 {
				want := false
				for x := u; x <= last; x++ {
					want = want || model[x]
				}
				if s.Intersects(u, last) != want {
					t.Fatalf("round %d: %s.Intersects(%d, %d) = %v", round, s, u, last, !want)
				}
			}
		}
		if int(s.Len()) != len(model) || len(slices.Collect(s.All())) != len(model) {
			t.Fatalf("round %d: %s.Len() = %d, want %d", round, s, s.Len(), len(model))
		}
		again, err := ParseUIDSet(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("round %d: ParseUIDSet(%s) = %s, %v", round, s, again, err)
		}
	}
	var all UIDSet
	all.AddRange(5, 1<<32-1)
	all.AddRange(1, 4)
	if all.String() != "1:4294967295" || !all.Contains(1<<32-1) || all.Len() != 1<<32-1 {
		t.Errorf("the set of all UIDs is %s", all)
	}
	for _, bad := range []string{"a", "1:", ":1", "1,,2", "4294967296", "-1", "1:*"} {
		if s, err := ParseUIDSet(bad); err == nil {
			t.Errorf("ParseUIDSet(%q) = %s, want an error", bad, s)
		}
	}
}

// TestLedger: a row balances only if it sums, and is complete only if nothing failed.
func TestLedger(t *testing.T) {
	cases := map[string]struct {
		row                 Row
		balances, completes bool
	}{
		"all held":             {Row{Server: 3, Listed: 3, Held: 3}, true, true},
		"the source is silent": {Row{Server: -1, Listed: 3, Held: 3}, true, true},
		"each kind":            {Row{Server: 7, Listed: 7, Held: 3, Excluded: 2, Gone: 1, Erased: 1}, true, true},
		"one failed":           {Row{Server: 3, Listed: 3, Held: 2, Failed: 1}, true, false},
		"one lost":             {Row{Server: 3, Listed: 3, Held: 2}, false, false},
		"one not listed":       {Row{Server: 4, Listed: 3, Held: 3}, false, false},
		"not read":             {Row{Server: -1, Problems: []Problem{{Reason: "denied"}}}, true, false},
		"a flag lost":          {Row{Listed: 1, Server: 1, Held: 1, Problems: []Problem{{Key: "1", Loss: true}}}, true, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if got := c.row.Balance() == nil; got != c.balances {
				t.Errorf("Balance() = %v", c.row.Balance())
			}
			l := Ledger{Rows: []Row{{Server: 1, Listed: 1, Held: 1}, c.row}}
			if got := l.Complete(); got != c.completes {
				t.Errorf("Complete() = %v", got)
			}
			if total := l.Total(); total.Listed != c.row.Listed+1 || (total.Server < 0) != (c.row.Server < 0) {
				t.Errorf("Total() = %+v", total)
			}
		})
	}
}
