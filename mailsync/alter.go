package mailsync

import (
	"context"
	"fmt"

	"roost/mail"
	"roost/message"
	"roost/plan"
)

// alteration is what a store is known to do to messages.
func alteration(ctx context.Context, s mail.Store) (kind mail.Alteration, err error) {
	a, ok := s.(mail.Alterer)
	if !ok {
		return 0, nil
	}
	err = again(ctx, func() error {
		kind, err = a.Alters(ctx)
		return err
	})
	return kind, err
}

// printed is the alteration as the prints of messages know it.
func printed(a mail.Alteration) message.Alteration {
	switch a {
	case mail.MaskedHeader:
		return message.MaskedHeader
	case mail.DroppedCR:
		return message.DroppedCR
	}
	return 0
}

// compare reads back those of the messages that were appended which the
// destination may have altered, and reports those that it has.
func (b *box) compare(ctx context.Context, s plan.Step) error {
	var a, there plan.Side
	for _, i := range s.Messages {
		if !b.suspect[i] || b.key[i] == "" || b.fate[i] != stored && b.fate[i] != replaced {
			continue
		}
		a.Messages = append(a.Messages, b.task.A.Messages[i])
		there.Messages = append(there.Messages, mail.Message{Key: b.key[i]})
	}
	all := make([]int32, len(a.Messages))
	for n := range all {
		all[n] = int32(n)
	}
	sent := knower{source: b.src, name: b.task.From, side: &a}
	if err := sent.know(ctx, all, mail.Whole); err != nil {
		return fmt.Errorf("read again what the destination may have altered: %w", err)
	}
	kept := knower{source: b.dst, name: b.task.To, side: &there}
	if err := kept.know(ctx, all, mail.Whole); err != nil {
		return fmt.Errorf("read back what the destination may have altered: %w", err)
	}
	for n := range all {
		if x, y := a.Known[n], there.Known[n]; x.Dead || y.Dead || x.Print != y.Print {
			b.lost(a.Messages[n].Key)
		}
	}
	return nil
}

// lost reports that a message is not kept as it is.
func (b *box) lost(key mail.Key) {
	b.losses.add(key, &mail.Loss{Detail: b.alters.String()})
}
