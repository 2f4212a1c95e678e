package plan

import (
	"fmt"
	"slices"

	"roost/mail"
)

// Kind is what a step does.
type Kind int

// The kinds of steps, in the order in which they may stand in the plan of a
// mailbox: what adds comes before what removes.
const (
	Create    Kind = iota + 1 // make Mailbox, with Role if it is not ""
	Subscribe                 // subscribe Mailbox
	Mark                      // set Add on Keys before they are replaced
	Append                    // append Messages of From to Mailbox
	SetFlags                  // set Add and clear Remove on Keys
	Expunge                   // expunge Keys
)

// Step is one thing to do to the destination.
type Step struct {
	Kind    Kind
	Mailbox mail.Name // at the destination
	Role    mail.Role // Create

	Keys   []mail.Key // Append: messages at the source, in its order; Mark, SetFlags, Expunge: at the destination
	Add    mail.Flags // Mark, SetFlags
	Remove mail.Flags // SetFlags; Append: flags that are left out

	From     mail.Name // Append: the mailbox at the source
	Messages []int32   // Append: where the Keys stand in Task.A
	After    []int32   // Expunge: Keys[i] only once message After[i] of Task.A was appended; nil: at once
}

// String says what the step does, in a line.
func (s Step) String() string {
	switch s.Kind {
	case Create:
		if s.Role != "" {
			return fmt.Sprintf("create %s as %s", s.Mailbox, s.Role)
		}
		return fmt.Sprintf("create %s", s.Mailbox)
	case Subscribe:
		return fmt.Sprintf("subscribe %s", s.Mailbox)
	case Mark:
		return fmt.Sprintf("mark %s to be replaced in %s", count(len(s.Keys)), s.Mailbox)
	case Append:
		return fmt.Sprintf("append %s of %s to %s", count(len(s.Keys)), s.From, s.Mailbox)
	case SetFlags:
		text := fmt.Sprintf("set flags of %s in %s:", count(len(s.Keys)), s.Mailbox)
		for f := range s.Add.All() {
			text += " +" + f
		}
		for f := range s.Remove.All() {
			text += " -" + f
		}
		return text
	case Expunge:
		return fmt.Sprintf("expunge %s replaced in %s", count(len(s.Keys)), s.Mailbox)
	}
	return fmt.Sprintf("step of kind %d in %s", s.Kind, s.Mailbox)
}

func count(n int) string {
	if n == 1 {
		return "1 message"
	}
	return fmt.Sprintf("%d messages", n)
}

// Steps carries d out, in order. A step may be done again: the effect is the
// same, but for Append, whose outcome must be known before it is repeated.
func (t *Task) Steps(d Decision) []Step {
	var steps []Step
	if len(d.Replace) > 0 {
		steps = append(steps, Step{Kind: Mark, Mailbox: t.To, Add: Replaced, Keys: t.keysB(d.Replace)})
	}
	if adds := len(d.Append) + len(d.Replace); adds > 0 {
		indexes := make([]int32, 0, adds)
		indexes = append(indexes, d.Append...)
		for _, p := range d.Replace {
			indexes = append(indexes, p.A)
		}
		slices.Sort(indexes) // the order of the source, by which UIDs can be kept
		s := Step{Kind: Append, Mailbox: t.To, From: t.From, Remove: Replaced, Keys: make([]mail.Key, adds), Messages: indexes}
		if t.Rules.StripDeleted {
			s.Remove = s.Remove.Plus(mail.Deleted)
		}
		for n, i := range indexes {
			s.Keys[n] = t.A.Messages[i].Key
		}
		steps = append(steps, s)
	}
	steps = append(steps, t.reflags(d.Reflag)...)
	if len(d.Replace) > 0 {
		s := Step{Kind: Expunge, Mailbox: t.To, Keys: t.keysB(d.Replace)}
		for _, p := range d.Replace {
			s.After = append(s.After, p.A)
		}
		steps = append(steps, s)
	}
	if len(d.Expunge) > 0 {
		s := Step{Kind: Expunge, Mailbox: t.To}
		for _, i := range d.Expunge {
			s.Keys = append(s.Keys, t.B.Messages[i].Key)
		}
		steps = append(steps, s)
	}
	return steps
}

// reflags are the steps that set flags: one for all messages with the same
// change, in the order in which the changes are first met.
func (t *Task) reflags(pairs []Pair) []Step {
	type change struct{ add, remove mail.Flags }
	place := make(map[change]int)
	var steps []Step
	for _, p := range pairs {
		var c change
		c.add, c.remove = t.reflag(p)
		n, ok := place[c]
		if !ok {
			n = len(steps)
			place[c] = n
			steps = append(steps, Step{Kind: SetFlags, Mailbox: t.To, Add: c.add, Remove: c.remove})
		}
		steps[n].Keys = append(steps[n].Keys, t.B.Messages[p.B].Key)
	}
	return steps
}

func (t *Task) keysB(pairs []Pair) []mail.Key {
	keys := make([]mail.Key, len(pairs))
	for n, p := range pairs {
		keys[n] = t.B.Messages[p.B].Key
	}
	return keys
}
