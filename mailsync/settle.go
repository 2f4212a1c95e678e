package mailsync

import (
	"context"
	"errors"
	"fmt"

	"roost/mail"
	"roost/plan"
)

// settle makes the mailbox at the destination. Boxes do it one after the other,
// in the order of the source, whatever else they do at the same time: which
// name a mailbox gets must not depend on who comes first, or the next run would
// not find it again.
func (b *box) settle(ctx context.Context) error {
	if b.index > 0 {
		select {
		case <-b.boxes[b.index-1].settled:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	defer b.leave()
	place := &b.places[b.index]
	if b.options.DryRun {
		b.steps = append(b.steps, place.Steps()...)
		return nil
	}
	for !place.Exists {
		err := b.create(ctx, place)
		if err == nil {
			break
		}
		if damageOf(err) == ofRun || damageOf(err) == passing {
			return err
		}
		other, listErr := b.otherName(ctx, err)
		if listErr != nil {
			return listErr
		}
		if !other {
			return err
		}
	}
	if place.Why != "" && place.Name != b.report.Root.Join(place.Source) {
		b.remark("goes to %s: %s", place.Name, place.Why)
	}
	return b.subscribe(ctx, place)
}

// leave lets the next box have its turn. It waits for its own, so that no box
// overtakes.
func (b *box) leave() {
	select {
	case <-b.settled:
		return
	default:
	}
	if b.index > 0 {
		<-b.boxes[b.index-1].settled
	}
	close(b.settled)
}

// create makes the mailbox, with its role if the store can give one.
func (b *box) create(ctx context.Context, place *plan.Place) error {
	unsupported := true
	tries := 0
	err := again(ctx, func() error {
		tries++
		if place.Role != "" && unsupported {
			if c, ok := b.dst.(mail.RoleCreator); ok {
				err := c.CreateRole(ctx, place.Name, place.Role)
				if !errors.Is(err, mail.ErrUnsupported) {
					return err
				}
			}
			unsupported = false
		}
		return b.dst.Create(ctx, place.Name)
	})
	// After a try that was cut off, the mailbox may be there. It is listed
	// then, for another may have made it and filled it.
	b.made = err == nil && tries == 1
	place.Exists = err == nil
	return err
}

// otherName looks for a place where the mailbox can be, after the destination
// has refused to make it.
func (b *box) otherName(ctx context.Context, refusal error) (bool, error) {
	there, err := b.mailboxes(ctx, b.dst)
	if err != nil {
		return false, fmt.Errorf("list the mailboxes of the destination: %w", err)
	}
	place := &b.places[b.index]
	for i := range there {
		if there[i].Name == place.Name && !there[i].NoSelect { // made as the parent of another, or by someone else
			place.Exists = true
			b.denied = there[i].Err
			return true, nil
		}
	}
	if !plan.Other(b.places, b.index, there, errors.Is(refusal, mail.ErrExist)) {
		return false, nil
	}
	for i := range there {
		if there[i].Name == place.Name {
			b.denied = there[i].Err
		}
	}
	return true, nil
}

func (b *box) subscribe(ctx context.Context, place *plan.Place) error {
	s, ok := b.dst.(mail.Subscriber)
	if !ok || !place.Subscribe {
		return nil
	}
	err := again(ctx, func() error { return s.Subscribe(ctx, place.Name, true) })
	switch {
	case err == nil, errors.Is(err, mail.ErrUnsupported):
		return nil
	case damageOf(err) == ofRun || damageOf(err) == passing:
		return err
	}
	b.remark("not subscribed: %v", err)
	return nil
}
