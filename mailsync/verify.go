package mailsync

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"roost/mail"
	"roost/plan"
)

var (
	errVanished = errors.New("appended, but the destination does not list it")
	errDeleted  = errors.New(`appended, but the destination does not list it: it may expunge what is marked \Deleted at once; restore without that flag`)
)

// verify lists the destination again, and holds what was appended against it:
// each message is there, with its flags and date. It comes before anything is
// expunged.
func (b *box) verify(ctx context.Context, s plan.Step) error {
	listed, extra, err := b.relist(ctx)
	if err != nil {
		return err
	}
	bare := make(map[mail.Flags][]int32) // by the flags that they lack
	for _, i := range s.Messages {
		if f := b.fate[i]; f != stored && f != replaced {
			continue
		}
		if b.key[i] == "" {
			extra--
			continue
		}
		m, ok := listed[b.key[i]]
		if !ok {
			b.vanished(i, s)
			continue
		}
		extra--
		if lacks := b.lacks(i, s, m); lacks != "" {
			bare[lacks] = append(bare[lacks], i)
		}
		if date := b.task.A.Messages[i].InternalDate; !date.IsZero() && !m.InternalDate.IsZero() && date.Unix() != m.InternalDate.Unix() {
			b.losses.add(b.task.A.Messages[i].Key, &mail.Loss{Detail: "internal date"})
		}
	}
	switch {
	case extra < 0:
		b.problem("", fmt.Errorf("%d messages were appended that the destination does not list", -extra))
	case extra > 0:
		b.remark("%d messages more than were appended: something else writes to %s, or copies arrived after their connection was lost", extra, b.task.To)
	}
	if err := b.compare(ctx, s); err != nil {
		return err
	}
	return b.reflag(ctx, s, bare)
}

// relist lists what is new at the destination, and counts what is new, and
// foreign or not yet ascribed to a message.
func (b *box) relist(ctx context.Context) (listed map[mail.Key]*mail.Message, extra int, err error) {
	c, err := changes(ctx, b.dst, b.task.To, b.before.Token)
	if err != nil {
		return nil, 0, fmt.Errorf("list the destination again: %w", err)
	}
	old := make(map[mail.Key]bool, len(b.task.B.Messages))
	for i := range b.task.B.Messages {
		old[b.task.B.Messages[i].Key] = true
	}
	listed = make(map[mail.Key]*mail.Message, len(c.Messages))
	for i := range c.Messages {
		m := &c.Messages[i]
		if !old[m.Key] {
			listed[m.Key] = m
		}
	}
	return listed, len(listed), nil
}

// vanished gives up a message that was appended and is not there.
func (b *box) vanished(i int32, s plan.Step) {
	err := errVanished
	if b.task.A.Messages[i].Flags.Has(mail.Deleted) && !s.Remove.Has(mail.Deleted) {
		err = errDeleted
	}
	b.fail(i, err)
}

// lacks are the flags that a message should have and has not.
func (b *box) lacks(i int32, s plan.Step, m *mail.Message) mail.Flags {
	want := b.task.A.Messages[i].Flags
	if want == m.Flags {
		return ""
	}
	return want.Minus(s.Remove).Minus(m.Flags).Minus(b.losses.flags(b.task.A.Messages[i].Key))
}

// reflag sets flags that were lost on the way, and reports those that stay
// lost.
//
// QUIRK: Exchange takes \Flagged in STORE, but drops it in APPEND.
func (b *box) reflag(ctx context.Context, s plan.Step, bare map[mail.Flags][]int32) error {
	if len(bare) == 0 {
		return nil
	}
	for _, add := range slices.Sorted(maps.Keys(bare)) {
		keys := make([]mail.Key, len(bare[add]))
		for n, i := range bare[add] {
			keys[n] = b.key[i]
		}
		err := again(ctx, func() error { return b.dst.SetFlags(ctx, s.Mailbox, keys, add, "") })
		if reach := damageOf(err); err != nil && (reach == ofRun || reach == passing) {
			return fmt.Errorf("set flags that were lost: %w", err)
		}
	}
	listed, _, err := b.relist(ctx)
	if err != nil {
		return err
	}
	for _, list := range bare {
		for _, i := range list {
			if m, ok := listed[b.key[i]]; ok {
				if lacks := b.lacks(i, s, m); lacks != "" {
					b.losses.add(b.task.A.Messages[i].Key, &mail.Loss{Flags: lacks})
				}
			}
		}
	}
	return nil
}

// losses are what the destination did not keep of messages that it holds.
type losses struct {
	byReason map[string][]mail.Key
	byKey    map[mail.Key]mail.Flags // flags lost
}

func (l *losses) add(key mail.Key, loss *mail.Loss) {
	if l.byReason == nil {
		l.byReason = make(map[string][]mail.Key)
		l.byKey = make(map[mail.Key]mail.Flags)
	}
	reason := loss.Error()
	l.byReason[reason] = append(l.byReason[reason], key)
	if loss.Flags != "" {
		l.byKey[key] = l.byKey[key].Plus(loss.Flags)
	}
}

func (l *losses) flags(key mail.Key) mail.Flags { return l.byKey[key] }

// lossesNamed is how many messages with the same loss are named one by one.
// Some stores keep no flags at all.
const lossesNamed = 20

func (l *losses) problems(name mail.Name, now time.Time) []mail.Problem {
	var out []mail.Problem
	for _, reason := range slices.Sorted(maps.Keys(l.byReason)) {
		keys := l.byReason[reason]
		p := mail.Problem{Mailbox: name, Reason: reason, Since: now, Tries: 1, Loss: true}
		for _, p.Key = range keys[:min(len(keys), lossesNamed)] {
			out = append(out, p)
		}
		if more := len(keys) - lossesNamed; more > 0 {
			p.Key = ""
			p.Reason = fmt.Sprintf("%s, for %d more messages", reason, more)
			out = append(out, p)
		}
	}
	return out
}
