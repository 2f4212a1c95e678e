package plan

import (
	"slices"

	"roost/mail"
)

// Replaced is the keyword that a message at the destination carries while it is
// being replaced: it is set before the new copy is appended, and the message is
// expunged after. So a run that was cut short between the two leaves a mark by
// which the next one knows the old copy from a second copy.
const Replaced = "$RoostReplaced"

// Collisions says what to do with a message that the destination holds already.
type Collisions int

const (
	// Skip leaves it as it is, with its flags and date.
	Skip Collisions = iota
	// Copy appends another one, whatever is there. It is the one rule under
	// which a second run adds again.
	Copy
	// Replace gives it the flags and the internal date of the source. Flags
	// are set. A date cannot be: if both sides know it and they differ, the
	// message is appended anew and the old copy expunged, just that one.
	// Messages that the source does not hold are left alone.
	Replace
)

// Rules are what the user wants, and what is known of the two sides.
type Rules struct {
	Collisions   Collisions
	SameStore    bool // GUIDs of both sides are of one store, and so can be compared
	NoExpunge    bool // the destination cannot expunge just one message, so that none is replaced for its date
	StripDeleted bool // do not give \Deleted to the destination: there are servers that expunge such a message at once
}

// flags are the flags to give to a message that has these at the source.
func (r Rules) flags(f mail.Flags) mail.Flags {
	if r.StripDeleted && f.Has(mail.Deleted) {
		f = f.Minus(mail.Deleted)
	}
	if f.Has(Replaced) { // taken while a replacement was under way there
		f = f.Minus(Replaced)
	}
	return f
}

// Task is one mailbox of the source, A, and the one at the destination that
// shall hold its messages, B.
type Task struct {
	From, To mail.Name
	A, B     Side
	Rules    Rules
}

// Decision is what is to be done for a Task. All of A are in one of Append,
// Present and Unreadable.
type Decision struct {
	Append     []int32 // of A: not there yet
	Present    []Pair  // there already
	Altered    []Pair  // of Present: not equal, but as B alters such a message
	Unreadable []int32 // of A: cannot be compared, since it cannot be read

	Reflag  []Pair  // of Present: flags must be set
	Replace []Pair  // of Present: B's message has another date, and is replaced
	Expunge []int32 // of B: what an earlier replacement left behind
}

// Decide says what is to be done, or what must be known first; then the
// Decision is void. Whoever answers sets Known of each message asked for, to
// what was wanted or to Dead; then none is asked for more than once for its
// header and once for the whole.
func (t *Task) Decide() (Decision, Ask) {
	var d Decision
	if t.Rules.Collisions == Copy {
		for i := range t.A.Messages {
			d.Append = append(d.Append, int32(i))
		}
		return d, Ask{}
	}
	p := pairing{a: &t.A, b: &t.B, rules: t.Rules}
	if ask := p.identify(); !ask.Empty() {
		return d, ask
	}
	var ask Ask
	if t.Rules.Collisions == Replace {
		if d.Expunge, ask = p.leftovers(); !ask.Empty() {
			return Decision{}, ask
		}
	}
	for i, mate := range p.mate {
		a := int32(i)
		switch {
		case mate >= 0:
			pair := Pair{a, mate}
			d.Present = append(d.Present, pair)
			if t.altered(pair) {
				d.Altered = append(d.Altered, pair)
			}
		case t.A.known(a).Dead:
			d.Unreadable = append(d.Unreadable, a)
		default:
			d.Append = append(d.Append, a)
		}
	}
	if t.Rules.Collisions == Replace {
		t.change(&d)
	}
	return d, Ask{}
}

// change finds the pairs that do not agree in flags or date.
func (t *Task) change(d *Decision) {
	for _, p := range d.Present {
		a, b := &t.A.Messages[p.A], &t.B.Messages[p.B]
		add, remove := t.reflag(p)
		// Appended anew, it would be altered: then the old copy is the better one.
		whole := t.A.known(p.A).AlteredPrint != Print{} && !t.altered(p)
		switch {
		case !t.Rules.NoExpunge && !whole && !a.InternalDate.IsZero() && !b.InternalDate.IsZero() && a.InternalDate.Unix() != b.InternalDate.Unix():
			d.Replace = append(d.Replace, p)
		case add != "" || remove != "":
			d.Reflag = append(d.Reflag, p)
		}
	}
}

// reflag is what makes B's flags those of A.
func (t *Task) reflag(p Pair) (add, remove mail.Flags) {
	want, have := t.Rules.flags(t.A.Messages[p.A].Flags), t.B.Messages[p.B].Flags
	if want == have {
		return "", ""
	}
	return want.Minus(have), have.Minus(want)
}

// leftovers are the messages of b that carry Replaced, have no mate, and equal a
// message whose mate is its new copy.
func (p *pairing) leftovers() ([]int32, Ask) {
	var marked []int32
	for i, taken := range p.taken {
		if !taken && p.b.Messages[i].Flags.Has(Replaced) {
			marked = append(marked, int32(i))
		}
	}
	if len(marked) == 0 {
		return nil, Ask{}
	}
	var paired []int32
	guids := make(map[storeID]bool)
	for i, mate := range p.mate {
		if mate < 0 {
			continue
		}
		a, b := &p.a.Messages[i], &p.b.Messages[mate]
		if !b.Flags.Has(Replaced) && a.InternalDate.Equal(b.InternalDate) {
			paired = append(paired, int32(i))
			if id, ok := storeIdentity(p.a, int32(i)); ok {
				guids[id] = p.rules.SameStore
			}
		}
	}
	if ask := askPrints(p.a, p.b, paired, marked); !ask.Empty() {
		return nil, ask
	}
	prints := make(map[Print]bool)
	for _, i := range paired {
		k := p.a.known(i)
		prints[k.Print], prints[k.AlteredPrint] = true, true
	}
	return slices.DeleteFunc(marked, func(i int32) bool {
		id, ok := storeIdentity(p.b, i)
		print := p.b.known(i).Print
		return !(ok && guids[id]) && !(print != Print{} && prints[print])
	}), Ask{}
}
