package backup

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/snapshot"
)

// randomList is what some source may list: of UIDs or file names, in any zone, with much or little known.
func randomList(rnd *rand.Rand) []listed {
	list := make([]listed, rnd.IntN(300))
	slot := snapshot.Slot(rnd.Uint64N(uint64(snapshot.FirstLoose)))
	sets := []mail.Flags{"", `\Seen`, `\Flagged \Seen`, "Ünï"}
	for i := range list {
		slot += 1 + snapshot.Slot(rnd.IntN(3))
		m := &mail.Message{Key: slot.Key(), Flags: sets[rnd.IntN(len(sets))], ModSeq: rnd.Uint64() >> rnd.IntN(64), Size: rnd.Int64()>>rnd.IntN(63) - 1}
		if m.Size < 0 {
			m.Size = -1
		}
		switch rnd.IntN(4) {
		case 0:
			m.Key = mail.Key(fmt.Sprintf("%d.M%dP1.host", 1_500_000_000+i, rnd.IntN(1000)))
		case 1:
			m.Key = mail.Key(strconv.Itoa(rnd.IntN(1000)))
		case 2:
			m.UID = uint32(rnd.Uint64N(uint64(slot)))
		}
		if m.UID == 0 && rnd.IntN(2) == 0 && slot < snapshot.FirstLoose {
			m.UID = uint32(slot)
		}
		m.GUID = []string{"", string(m.Key), fmt.Sprintf("guid-%d", rnd.IntN(10)), "="}[rnd.IntN(4)]
		if rnd.IntN(3) > 0 {
			zone := []*time.Location{time.UTC, time.FixedZone("CEST", 7200), time.FixedZone("", -16200)}[rnd.IntN(3)]
			m.InternalDate = time.Unix(rnd.Int64N(1<<36)-1<<35, 0).In(zone)
		}
		if rnd.IntN(5) == 0 {
			m.Extra = &mail.Extra{ThreadID: fmt.Sprint(i)}
		}
		list[i] = listed{slot, m}
	}
	return list
}

// What a roll packs comes out again.
func TestRollsKeepAll(t *testing.T) {
	var flags flagTable
	for seed := range uint64(500) {
		list := randomList(rand.New(rand.NewPCG(seed, 7)))
		r := newRoll(list, &flags)
		got := r.list(&flags)
		sameTime := cmp.Comparer(func(a, b time.Time) bool { return a.Format(time.RFC3339) == b.Format(time.RFC3339) })
		if diff := cmp.Diff(list, got, cmp.AllowUnexported(listed{}), sameTime); diff != "" {
			t.Fatalf("seed %d (-listed +unpacked):\n%s", seed, diff)
		}
	}
}

// A million messages of a Maildir wait in 50 MB.
func TestRollsAreSmall(t *testing.T) {
	var flags flagTable
	var list []listed
	const n = 4096
	for i := range n {
		key := mail.Key(fmt.Sprintf("%d.M%06dP4242.mail.example.com", 1_500_000_000+300*i, i))
		m := &mail.Message{Key: key, GUID: string(key), Flags: `\Seen`, Size: int64(1800 + i%700), InternalDate: time.Unix(1_500_000_000+300*int64(i), 0)}
		list = append(list, listed{snapshot.Slot(i + 1), m})
	}
	if r := newRoll(list, &flags); len(r.packed) > 50*n {
		t.Errorf("a message takes %d octets, want at most 50", len(r.packed)/n)
	}
}

// BenchmarkRoll packs and unpacks a bucket.
func BenchmarkRoll(b *testing.B) {
	list := randomList(rand.New(rand.NewPCG(1, 7)))
	b.ReportAllocs()
	for b.Loop() {
		var flags flagTable
		r := newRoll(list, &flags)
		r.list(&flags)
	}
}
