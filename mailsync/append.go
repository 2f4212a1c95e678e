package mailsync

import (
	"context"
	"errors"
	"fmt"

	"roost/mail"
	"roost/plan"
)

// append stores the messages of a step, and looks whether they are there. If
// the destination breaks off, what became of the messages that it had not
// answered is found out, and the rest is sent again.
func (b *box) append(ctx context.Context, s plan.Step) error {
	b.foreign = make(map[mail.Key]bool)
	idle := 0 // tries in which nothing was stored
	for {
		list := b.with(pending, s.Messages)
		if len(list) == 0 {
			return b.verify(ctx, s)
		}
		alone := idle > 1 // does the first message break the connection each time?
		if alone {
			list = list[:1]
		}
		fromSource, err := b.send(ctx, s, list)
		if fromSource != nil {
			return fmt.Errorf("read the source: %w", fromSource)
		}
		if err == nil {
			idle = 0
			continue
		}
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		reach := damageOf(err)
		if reach == ofRun {
			return err
		}
		if len(b.with(pending, list))+len(b.with(sent, list)) < len(list) {
			idle = 0
		} else if idle++; idle == len(pauses) {
			return err
		}
		if err := pause(ctx, idle); err != nil {
			return err
		}
		if err := b.recognise(ctx); err != nil {
			return err
		}
		if reach == ofMailbox {
			return err
		}
		if alone && !errors.Is(err, mail.ErrThrottled) && b.fate[list[0]] == pending {
			b.fail(list[0], err)
			idle = 0
		}
	}
}

// with is what of list has this fate.
func (b *box) with(f fate, list []int32) []int32 {
	var out []int32
	for _, i := range list {
		if b.fate[i] == f {
			out = append(out, i)
		}
	}
	return out
}

// recognise finds out which of the messages that were sent have arrived: what
// is new at the destination is compared with them. Those that have not arrived
// are pending again.
func (b *box) recognise(ctx context.Context) error {
	c, err := changes(ctx, b.dst, b.task.To, b.before.Token)
	if err != nil {
		return fmt.Errorf("list the destination again: %w", err)
	}
	if b.before.UIDValidity != 0 && c.UIDValidity != b.before.UIDValidity {
		return fmt.Errorf("%s was renumbered or made anew meanwhile, so what has arrived cannot be told: run again", b.task.To)
	}
	b.before.UIDValidity = c.UIDValidity
	strangers := b.strangers(c.Messages)

	// Those that the store has taken, but did not say under which key, come
	// first: they are known to be there.
	var keyless, open []int32
	for i, f := range b.fate {
		switch {
		case (f == stored || f == replaced) && b.key[i] == "":
			keyless = append(keyless, int32(i))
		case f == sent:
			open = append(open, int32(i))
		}
	}
	for _, list := range [][]int32{keyless, open} {
		if strangers, err = b.claim(ctx, list, strangers); err != nil {
			return err
		}
	}
	for _, i := range b.with(sent, open) {
		b.fate[i] = pending
	}
	for i := range strangers {
		b.foreign[strangers[i].Key] = true
	}
	return nil
}

// strangers are those of listed of which nothing is known.
func (b *box) strangers(listed []mail.Message) []mail.Message {
	known := make(map[mail.Key]bool, len(b.task.B.Messages))
	for i := range b.task.B.Messages {
		known[b.task.B.Messages[i].Key] = true
	}
	for _, k := range b.key {
		known[k] = true
	}
	var out []mail.Message
	for _, m := range listed {
		if !known[m.Key] && !b.foreign[m.Key] {
			out = append(out, m)
		}
	}
	return out
}

// claim pairs messages of the source, which were sent, with strangers, and
// returns the strangers that are left.
func (b *box) claim(ctx context.Context, list []int32, strangers []mail.Message) ([]mail.Message, error) {
	if len(list) == 0 || len(strangers) == 0 {
		return strangers, nil
	}
	t := plan.Task{From: b.task.From, To: b.task.To, B: plan.Side{Messages: strangers}}
	t.Rules.StripDeleted = b.rules.StripDeleted
	for _, i := range list {
		t.A.Messages = append(t.A.Messages, b.task.A.Messages[i])
	}
	d, unread, err := decide(ctx, b.run, &t)
	if err != nil {
		return nil, err
	}
	ours := make([]bool, len(strangers))
	for _, p := range d.Present {
		i := list[p.A]
		if b.fate[i] == sent {
			b.done(i)
		}
		b.key[i] = strangers[p.B].Key
		ours[p.B] = true
	}
	for _, p := range d.Altered {
		b.suspect[list[p.A]] = true
	}
	for _, n := range d.Unreadable {
		if i := list[n]; b.fate[i] == sent {
			b.fail(i, fmt.Errorf("sent, but whether it arrived cannot be told: %w", unread[n]))
		}
	}
	var left []mail.Message
	for n := range strangers {
		if !ours[n] {
			left = append(left, strangers[n])
		}
	}
	return left, nil
}

// done notes that a message is at the destination.
func (b *box) done(i int32) {
	b.fate[i] = stored
	if b.replacing[i] {
		b.fate[i] = replaced
	}
}
