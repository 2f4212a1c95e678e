package mailsync

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/plan"
	"roost/store/memory"
)

var worlds = flag.Int("worlds", 300, "random worlds to restore")

// world is a pair of stores made from a seed.
func world(t *testing.T, seed uint64) (src *memory.Store, dst *breaker, o Options) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	src = memory.New(memory.Options{ID: "a", NoGUID: random.IntN(2) == 0})
	dst = &breaker{
		Store: memory.New(memory.Options{ID: "b", FullOnly: random.IntN(2) == 0}),
		keys:  random.IntN(3) == 0,
	}
	if random.IntN(2) == 0 {
		dst.alters = mail.Alteration(1 + random.IntN(2))
	}
	fill(t, random, src)
	fill(t, random, dst.Store)
	o = Options{InPlace: true, Now: epoch, Parallel: 1 + random.IntN(3), KeepUIDs: random.IntN(2) == 0}
	if random.IntN(3) == 0 {
		o.Collisions = plan.Replace
	}
	return src, dst, o
}

// balanced fails the test if the books do not balance, or mail failed.
func balanced(t *testing.T, seed uint64, report Report) {
	t.Helper()
	for _, row := range report.Ledger.Rows {
		if err := row.Balance(); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
		if !row.Complete() {
			t.Errorf("seed %d: %s is not complete: %v", seed, row.Mailbox, row.Problems)
		}
	}
}

// Nothing is lost, nothing is doubled, and the second run has nothing to do.
func TestRestoreAddsExactlyWhatLacks(t *testing.T) {
	for seed := range uint64(*worlds) {
		src, dst, o := world(t, seed)
		want := union(contents(t, src), contents(t, dst), dst.alters)
		report, err := Restore(t.Context(), src, dst, o)
		if err != nil {
			t.Fatalf("seed %d: Restore: %v", seed, err)
		}
		balanced(t, seed, report)
		if diff := cmp.Diff(want, contents(t, dst)); diff != "" {
			t.Fatalf("seed %d: destination (-want +got):\n%s", seed, diff)
		}
		if o.Collisions == plan.Replace {
			equalWhereBothHold(t, seed, src, dst)
		}
		dst.writes = nil
		report, err = Restore(t.Context(), src, dst, o)
		if err != nil {
			t.Fatalf("seed %d: second Restore: %v", seed, err)
		}
		balanced(t, seed, report)
		if total := report.Ledger.Total(); total.New != 0 || total.Changed != 0 || total.Bytes != 0 {
			t.Errorf("seed %d: second Restore did %+v, want nothing", seed, total)
		}
		for _, what := range dst.writes {
			if what == "append" || what == "set flags" || what == "create" {
				t.Errorf("seed %d: second Restore wrote: %v", seed, dst.writes)
				break
			}
		}
	}
}

// equalWhereBothHold checks that each message of the source is at the
// destination with its flags and date.
func equalWhereBothHold(t *testing.T, seed uint64, src *memory.Store, dst *breaker) {
	t.Helper()
	boxes, err := src.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, box := range boxes {
		have := make(map[string]int)
		for _, line := range sorted(messages(t, dst, box.Name)) {
			have[line]++
		}
		// What is altered may stand there whole, with another date, or in place of another.
		whole := slices.DeleteFunc(messages(t, src, box.Name), func(m sample) bool {
			return dst.alters != 0 && (strings.Contains(m.text, "\xe4") || strings.Contains(m.text, "X")) || strings.Contains(m.text, "\r\r\n")
		})
		for _, line := range sorted(whole) {
			if have[line]--; have[line] < 0 {
				t.Errorf("seed %d: %s lacks %s", seed, box.Name, line)
			}
		}
	}
}

// Broken at any writing call, before or after its effect, for a moment: the run
// itself goes on and adds exactly what lacks.
func TestRestoreGoesOnAfterABreak(t *testing.T) {
	everyCut(t, *worlds/10, func(t *testing.T, seed uint64, src *memory.Store, dst *breaker, o Options, want map[mail.Name]map[string]int) {
		report, err := Restore(t.Context(), src, dst, o)
		if err != nil {
			t.Fatalf("seed %d cut %d after %v: Restore: %v", seed, dst.at, dst.after, err)
		}
		balanced(t, seed, report)
		if diff := cmp.Diff(want, contents(t, dst.Store)); diff != "" {
			t.Fatalf("seed %d cut %d after %v: destination (-want +got):\n%s", seed, dst.at, dst.after, diff)
		}
	})
}

// Cut short for good at any writing call, before or after its effect: the run
// says so, and the next one converges to exactly what one run would have done.
func TestRestoreConvergesAfterACut(t *testing.T) {
	everyCut(t, *worlds/10, func(t *testing.T, seed uint64, src *memory.Store, dst *breaker, o Options, want map[mail.Name]map[string]int) {
		dst.stay = true
		report, err := Restore(t.Context(), src, dst, o)
		if err == nil && !report.Ledger.Complete() {
			t.Errorf("seed %d cut %d: Restore = nil, but is not complete", seed, dst.at)
		}
		for _, row := range report.Ledger.Rows {
			if row.Server >= 0 && row.Balance() != nil {
				t.Errorf("seed %d cut %d: %v", seed, dst.at, row.Balance())
			}
		}
		dst.at = 0
		if report, err = Restore(t.Context(), src, dst, o); err != nil {
			t.Fatalf("seed %d: second Restore: %v", seed, err)
		}
		balanced(t, seed, report)
		if diff := cmp.Diff(want, contents(t, dst.Store)); diff != "" {
			t.Fatalf("seed %d cut %d after %v: destination (-want +got):\n%s", seed, dst.at, dst.after, diff)
		}
		if o.Collisions == plan.Replace {
			equalWhereBothHold(t, seed, src, dst)
		}
	})
}

// everyCut runs do for worlds that are broken at each of their writing calls.
func everyCut(t *testing.T, n int, do func(*testing.T, uint64, *memory.Store, *breaker, Options, map[mail.Name]map[string]int)) {
	for seed := range uint64(n) {
		src, dst, o := world(t, seed)
		want := union(contents(t, src), contents(t, dst), dst.alters)
		if _, err := Restore(t.Context(), src, dst, o); err != nil {
			t.Fatal(err)
		}
		for at := 1; at <= dst.calls; at++ {
			for _, after := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) { // the pauses take no time
					src, broken, o := world(t, seed)
					broken.at, broken.after = at, after
					do(t, seed, src, broken, o, want)
				})
			}
		}
	}
}

// A dry run sends no command that writes, and foretells what the run does.
func TestDryRunWritesNothing(t *testing.T) {
	for seed := range uint64(*worlds) {
		src, dst, o := world(t, seed)
		o.DryRun = true
		dry, err := Restore(t.Context(), src, dst, o)
		if err != nil {
			t.Fatalf("seed %d: dry Restore: %v", seed, err)
		}
		if len(dst.writes) > 0 {
			t.Fatalf("seed %d: dry Restore wrote: %v", seed, dst.writes)
		}
		o.DryRun = false
		wet, err := Restore(t.Context(), src, dst, o)
		if err != nil {
			t.Fatal(err)
		}
		a, b := dry.Ledger.Total(), wet.Ledger.Total()
		if fmt.Sprint(a.Held, a.New, a.Known, a.Changed) != fmt.Sprint(b.Held, b.New, b.Known, b.Changed) {
			t.Errorf("seed %d: dry Restore foretold %+v, but the run did %+v", seed, a, b)
		}
	}
}
