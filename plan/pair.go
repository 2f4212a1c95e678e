package plan

import (
	"slices"

	"roost/mail"
)

// Print is the digest of all the bytes of a message, with line ends evened out.
// Equal prints are equal messages. The zero value is no print.
type Print [32]byte

// Side is the messages of one mailbox on one side.
type Side struct {
	Messages []mail.Message
	Known    []Known // as long as Messages, in the same order; nil: nothing is known
}

// Known is what was found out about a message by reading it.
type Known struct {
	Hint  uint64 // messages with equal headers have equal hints, others mostly not; 0: not read yet
	Print Print  // zero: not read yet
	Dead  bool   // it cannot be read, and so equals nothing

	// What becomes of it in B, if that is known to change such a message when
	// it stores it. Of A only; zero: nothing, or not read yet.
	AlteredHint  uint64
	AlteredPrint Print
}

// Ask names messages of which more must be known before anything is decided.
type Ask struct {
	Part mail.Part // Header: Known.Hint is wanted; Whole: Known.Print, and Known.Hint too
	A, B []int32   // indexes into Side.Messages, ascending
}

// Empty reports whether nothing is asked.
func (q Ask) Empty() bool { return len(q.A) == 0 && len(q.B) == 0 }

// Pair says that two messages are the same. A and B are indexes into
// Side.Messages.
type Pair struct{ A, B int32 }

// altered reports whether B's message is A's as the store has altered it.
func (t *Task) altered(p Pair) bool {
	a, b := t.A.known(p.A), t.B.known(p.B)
	return b.Print != Print{} && a.Print != b.Print && a.AlteredPrint == b.Print
}

func (s *Side) known(i int32) Known {
	if s.Known == nil {
		return Known{}
	}
	return s.Known[i]
}

// pairing is a matching under way. Of messages with the same identity, those
// are paired first that also agree in date and flags, so that of two copies the
// right one is found and nothing is left to change; then those that agree in
// date; then the rest, in order.
type pairing struct {
	a, b  *Side
	rules Rules
	mate  []int32 // of each of a: its mate in b, or -1
	taken []bool  // of each of b: it has a mate
}

// identify pairs what it can. If it must know more first, it says so; then the
// pairing is not finished and worth nothing.
func (p *pairing) identify() Ask {
	p.mate = make([]int32, len(p.a.Messages))
	for i := range p.mate {
		p.mate[i] = -1
	}
	p.taken = make([]bool, len(p.b.Messages))

	// What has no equal there may stand there as the store has altered it. The
	// other way round nothing is matched: a message that looks like an altered
	// one is no copy of what it was.
	for _, identity := range []func(*Side, int32) (Print, bool){p.print, p.alteredPrint} {
		if ask := p.by(identity); !ask.Empty() {
			return ask
		}
	}
	return Ask{}
}

// storeID is the identity of a message within its store.
type storeID struct {
	guid string
	size int64
}

func storeIdentity(s *Side, i int32) (storeID, bool) {
	m := &s.Messages[i]
	return storeID{m.GUID, m.Size}, m.GUID != ""
}

// print is the identity of equal messages, in whatever store.
func (p *pairing) print(s *Side, i int32) (Print, bool) {
	k := s.known(i)
	return k.Print, k.Print != Print{}
}

// alteredPrint is the identity of a message of a and what b has made of it.
func (p *pairing) alteredPrint(s *Side, i int32) (Print, bool) {
	if s == p.b {
		return p.print(s, i)
	}
	k := s.known(i)
	return k.AlteredPrint, k.AlteredPrint != Print{}
}

// by pairs what has no mate yet by one identity.
func (p *pairing) by(identity func(*Side, int32) (Print, bool)) Ask {
	marked := func(m *mail.Message) bool { return m.Flags.Has(Replaced) }
	unmarked := func(m *mail.Message) bool { return !marked(m) }
	if slices.ContainsFunc(p.b.Messages, func(m mail.Message) bool { return marked(&m) }) {
		// A replacement was cut short. If the new copy is there, with the date of
		// the source, that is the mate. If not, the old one is: just any other
		// copy would leave the old one over, as if it had been replaced.
		if ask := p.among(unmarked, true, identity); !ask.Empty() {
			return ask
		}
		if ask := p.among(marked, false, identity); !ask.Empty() {
			return ask
		}
	}
	return p.among(unmarked, false, identity)
}

// among pairs messages of a that have no mate yet with those of b that fit; if
// dated, only those that agree in date.
func (p *pairing) among(fits func(*mail.Message) bool, dated bool, identity func(*Side, int32) (Print, bool)) Ask {
	as, bs := p.free(fits)
	if len(as) == 0 || len(bs) == 0 {
		return Ask{}
	}
	if p.rules.SameStore {
		// Where a date or size differs, the bytes are asked.
		matchAll(p, as, bs, true, storeIdentity)
		as, bs = p.free(fits)
	}
	if ask := askPrints(p.a, p.b, as, bs); !ask.Empty() {
		return ask
	}
	matchAll(p, as, bs, dated, identity)
	return Ask{}
}

// free lists what has no mate.
func (p *pairing) free(fits func(*mail.Message) bool) (as, bs []int32) {
	for i, mate := range p.mate {
		if mate < 0 {
			as = append(as, int32(i))
		}
	}
	for i, taken := range p.taken {
		if !taken && fits(&p.b.Messages[i]) {
			bs = append(bs, int32(i))
		}
	}
	return as, bs
}

// askPrints asks for what must be known to compare as with bs by print: first
// the hints of all, then the prints of those whose hint is on the other side
// too. Sizes are not looked at: stores count them differently, or wrongly.
func askPrints(a, b *Side, as, bs []int32) Ask {
	as, bs = alive(a, as), alive(b, bs)
	if len(as) == 0 || len(bs) == 0 {
		return Ask{}
	}
	ask := Ask{Part: mail.Header, A: without(a, as, hinted), B: without(b, bs, hinted)}
	if !ask.Empty() {
		return ask
	}
	return Ask{Part: mail.Whole, A: without(a, shared(a, as, b, bs), printed), B: without(b, shared(b, bs, a, as), printed)}
}

func hinted(k Known) bool  { return k.Hint != 0 }
func printed(k Known) bool { return k.Print != Print{} }

func alive(s *Side, list []int32) []int32 {
	return without(s, list, func(k Known) bool { return k.Dead })
}

// without is list less those of which has is true.
func without(s *Side, list []int32, has func(Known) bool) []int32 {
	var out []int32
	for _, i := range list {
		if !has(s.known(i)) {
			out = append(out, i)
		}
	}
	return out
}

// shared is those of list whose hint one of others has as well.
func shared(s *Side, list []int32, o *Side, others []int32) []int32 {
	hints := make(map[uint64]struct{}, len(others))
	for _, i := range others {
		k := o.known(i)
		hints[k.Hint] = struct{}{}
		if k.AlteredHint != 0 {
			hints[k.AlteredHint] = struct{}{}
		}
	}
	var out []int32
	for _, i := range list {
		k := s.known(i)
		_, equal := hints[k.Hint]
		_, altered := hints[k.AlteredHint]
		if equal || altered && k.AlteredHint != 0 {
			out = append(out, i)
		}
	}
	return out
}

// matchAll pairs messages with the same identity, the best fitting first; if
// onlyDated, those of another date not at all.
func matchAll[K comparable](p *pairing, as, bs []int32, onlyDated bool, identity func(*Side, int32) (K, bool)) {
	type dated struct {
		id   K
		date int64
	}
	type exact struct {
		dated
		flags mail.Flags
	}
	date := func(s *Side, i int32) (dated, bool) {
		id, ok := identity(s, i)
		return dated{id, s.Messages[i].InternalDate.Unix()}, ok
	}
	match(p, as, bs, func(s *Side, i int32) (exact, bool) {
		d, ok := date(s, i)
		flags := s.Messages[i].Flags
		if s == p.a {
			flags = p.rules.flags(flags)
		}
		return exact{d, flags}, ok
	})
	match(p, as, bs, date)
	if !onlyDated {
		match(p, as, bs, identity)
	}
}

// match pairs those of as and bs that are still free and have the same key,
// in order.
func match[K comparable](p *pairing, as, bs []int32, key func(*Side, int32) (K, bool)) {
	first := make(map[K]int32) // place in bs of the first free one with this key
	next := make([]int32, len(bs))
	for n := len(bs) - 1; n >= 0; n-- {
		if p.taken[bs[n]] {
			continue
		}
		k, ok := key(p.b, bs[n])
		if !ok {
			continue
		}
		next[n] = -1
		if f, ok := first[k]; ok {
			next[n] = f
		}
		first[k] = int32(n)
	}
	if len(first) == 0 {
		return
	}
	for _, i := range as {
		if p.mate[i] >= 0 {
			continue
		}
		k, ok := key(p.a, i)
		if !ok {
			continue
		}
		n, ok := first[k]
		if !ok {
			continue
		}
		p.mate[i], p.taken[bs[n]] = bs[n], true
		if next[n] < 0 {
			delete(first, k)
		} else {
			first[k] = next[n]
		}
	}
}
