package mailsync

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"roost/mail"
	"roost/plan"
)

// box is one mailbox of the source on its way to the destination.
type box struct {
	*run
	source mail.Mailbox
	index  int   // in run.boxes and run.places
	denied error // why its place at the destination cannot be read

	settled chan struct{} // closed when the box has its place and is done with run.places

	task      plan.Task
	validity  uint32            // UIDVALIDITY at the source
	before    mail.Changes      // the destination, before anything was done
	made      bool              // the mailbox was made by this run, so it held nothing
	keepsUIDs bool              // the destination gives messages their UIDs of the source
	replacing map[int32]bool    // of task.A: the message replaces one that is there
	fate      []fate            // of each of task.A
	key       []mail.Key        // of each of task.A: its key at the destination, if it is known
	foreign   map[mail.Key]bool // keys that appeared at the destination and are not ours
	suspect   map[int32]bool    // of task.A: was appended, and the destination may have altered it
	losses    losses

	row     mail.Row
	steps   []plan.Step
	remarks []string
}

// fate is what became of a message.
type fate uint8

const (
	pending  fate = iota
	sent          // handed to the destination, which has not answered
	present       // was there already
	stored        // appended
	replaced      // was there already, and has been appended anew
	failed        // has a problem
	gone          // vanished from the source before it was read
)

// restore does the whole mailbox and balances its row.
func (b *box) restore(ctx context.Context) {
	err := b.do(ctx)
	b.leave()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		if reach := damageOf(err); reach == ofRun || reach == passing {
			b.stop(err)
		}
		b.problem("", err)
	}
	b.close()
}

func (b *box) do(ctx context.Context) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := b.listSource(ctx); err != nil {
		return err
	}
	if len(b.task.A.Messages) == 0 && b.filtered() {
		return nil
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	if err := b.listDestination(ctx); err != nil {
		return err
	}
	d, err := b.decide(ctx)
	if err != nil {
		return err
	}
	steps := b.task.Steps(d)
	if b.options.DryRun {
		b.steps = append(b.steps, steps...)
		for i, f := range b.fate {
			if f == pending {
				b.done(int32(i))
			}
		}
		return nil
	}
	return b.carryOut(ctx, steps)
}

// listSource lists the mailbox at the source, and leaves out what is not
// wanted.
func (b *box) listSource(ctx context.Context) error {
	if b.source.Err != nil {
		return b.source.Err
	}
	c, err := changes(ctx, b.src, b.source.Name, "")
	if err != nil {
		return err
	}
	b.row.Server = c.Count
	b.row.Listed = int64(len(c.Messages) + len(c.Failed))
	b.row.Method = c.Method
	b.validity = c.UIDValidity
	if b.source.UIDNext < c.UIDNext {
		b.source.UIDNext = c.UIDNext
	}
	for _, e := range c.Failed {
		b.row.Failed++
		b.problem(e.Key, e.Err)
	}
	if len(c.Partial) > 0 { // no whim of the destination: the mailbox is not whole
		b.problem("", fmt.Errorf("the flags of %d messages are lost: %w", len(c.Partial), c.Partial[0].Err))
	}
	for _, e := range c.Partial {
		b.losses.add(e.Key, &mail.Loss{Detail: "flags (" + e.Err.Error() + ")"})
	}
	if b.filtered() {
		if c.Messages, err = b.filter(ctx, c.Messages); err != nil {
			return err
		}
	}
	b.task = plan.Task{From: b.source.Name, A: plan.Side{Messages: c.Messages}, Rules: b.rules}
	b.fate = make([]fate, len(c.Messages))
	b.key = make([]mail.Key, len(c.Messages))
	b.tell(func(p *Progress) { p.Messages += int64(len(c.Messages)) })
	return nil
}

// changes lists a mailbox.
func changes(ctx context.Context, s mail.Source, name mail.Name, since mail.Token) (c mail.Changes, err error) {
	err = again(ctx, func() error {
		c, err = s.Changes(ctx, name, since)
		return err
	})
	return c, err
}

// listDestination lists what is in the mailbox at the destination, if it was
// there before.
func (b *box) listDestination(ctx context.Context) error {
	place := &b.places[b.index]
	b.task.To = place.Name
	if !b.made && place.Exists {
		if b.denied != nil {
			return fmt.Errorf("read %s at the destination: %w", place.Name, b.denied)
		}
		c, err := changes(ctx, b.dst, place.Name, "")
		if err != nil {
			return fmt.Errorf("list the destination: %w", err)
		}
		if len(c.Failed) > 0 {
			// They could be any of the messages, so nothing can be said to be missing.
			return fmt.Errorf("list the destination: %d messages of %s cannot be read: %w", len(c.Failed), place.Name, c.Failed[0])
		}
		b.before = c
		b.task.B.Messages = c.Messages
	}
	if b.options.DryRun {
		return nil
	}
	return b.number(ctx)
}

// number makes the destination keep UIDs, if that is wanted and can be.
func (b *box) number(ctx context.Context) error {
	n, ok := b.dst.(mail.Numberer)
	if !ok || !b.options.KeepUIDs || b.validity == 0 {
		return nil
	}
	if len(b.task.B.Messages) > 0 {
		// An earlier run was cut short: it has numbered the mailbox.
		b.keepsUIDs = b.before.UIDValidity == b.validity
		return nil
	}
	err := again(ctx, func() error { return n.Number(ctx, b.task.To, b.validity, b.source.UIDNext) })
	switch {
	case err == nil:
		b.keepsUIDs = true
		b.before = mail.Changes{UIDValidity: b.validity} // what was listed is void
	case damageOf(err) == ofRun || damageOf(err) == passing:
		return fmt.Errorf("number %s: %w", b.task.To, err)
	case !errors.Is(err, mail.ErrUnsupported):
		b.remark("messages get new UIDs: %v", err)
	}
	return nil
}

// decide finds out what must be done, and notes what need not.
func (b *box) decide(ctx context.Context) (plan.Decision, error) {
	if b.rules.Collisions == plan.Replace && !b.options.DryRun && len(b.task.B.Messages) > 0 {
		if err := b.dst.Expunge(ctx, b.task.To, nil); errors.Is(err, mail.ErrUnsupported) {
			b.task.Rules.NoExpunge = true
			b.remark("messages there keep their internal dates: the store cannot expunge just one message")
		}
	}
	d, unread, err := decide(ctx, b.run, &b.task)
	if err != nil {
		return d, err
	}
	for _, p := range d.Present {
		b.fate[p.A] = present
		b.key[p.A] = b.task.B.Messages[p.B].Key
	}
	for _, i := range d.Unreadable {
		b.fail(i, unread[i])
	}
	b.row.Changed = int64(len(d.Reflag) + len(d.Replace))
	b.replacing = make(map[int32]bool, len(d.Replace))
	for _, p := range d.Replace {
		b.replacing[p.A] = true
		b.fate[p.A] = pending
	}
	for _, p := range d.Altered {
		if !b.replacing[p.A] {
			b.lost(b.task.A.Messages[p.A].Key)
		}
	}
	b.tell(func(p *Progress) { p.MessagesDone += int64(len(d.Present) - len(d.Replace) + len(d.Unreadable)) })
	return d, nil
}

// carryOut does the steps in order.
func (b *box) carryOut(ctx context.Context, steps []plan.Step) error {
	for _, s := range steps {
		var err error
		switch s.Kind {
		case plan.Mark, plan.SetFlags:
			err = again(ctx, func() error { return b.dst.SetFlags(ctx, s.Mailbox, s.Keys, s.Add, s.Remove) })
		case plan.Append:
			err = b.append(ctx, s)
		case plan.Expunge:
			err = b.expunge(ctx, s)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// expunge removes old copies of which the new one is stored, and takes the mark
// from the others.
func (b *box) expunge(ctx context.Context, s plan.Step) error {
	keys := s.Keys
	if s.After != nil {
		var kept []mail.Key
		keys = nil
		for n, i := range s.After {
			if b.fate[i] == replaced {
				keys = append(keys, s.Keys[n])
			} else {
				kept = append(kept, s.Keys[n])
			}
		}
		if len(kept) > 0 {
			if err := again(ctx, func() error { return b.dst.SetFlags(ctx, s.Mailbox, kept, "", plan.Replaced) }); err != nil {
				return err
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	err := again(ctx, func() error { return b.dst.Expunge(ctx, s.Mailbox, keys) })
	if errors.Is(err, mail.ErrGone) {
		return nil
	}
	return err
}

// fail gives up a message of the source. One that shall replace another is held
// nevertheless, as it was.
func (b *box) fail(i int32, err error) {
	switch {
	case b.replacing[i]:
		b.fate[i] = present
		b.row.Changed--
		err = fmt.Errorf("not replaced: %w", err)
	case errors.Is(err, mail.ErrGone):
		b.fate[i] = gone
		return
	default:
		b.fate[i] = failed
	}
	b.problem(b.task.A.Messages[i].Key, err)
}

func (b *box) problem(key mail.Key, err error) {
	b.row.Problems = append(b.row.Problems, mail.Problem{
		Mailbox: b.source.Name, Key: key, Reason: err.Error(), Since: b.options.Now, Tries: 1,
	})
}

func (b *box) remark(format string, args ...any) {
	b.remarks = append(b.remarks, fmt.Sprintf("%s: %s", b.source.Name, fmt.Sprintf(format, args...)))
}

// close makes the row of the ledger.
func (b *box) close() {
	row := &b.row
	if b.fate == nil && len(row.Problems) > 0 && row.Listed == 0 { // it could not be listed
		row.Server = b.source.Count
		row.Listed = max(b.source.Count, 0)
		row.Failed = row.Listed
		return
	}
	for i, f := range b.fate {
		switch f {
		case present, replaced:
			row.Held++
			row.Known++
		case stored:
			row.Held++
			row.New++
			if b.options.StripDeleted && b.task.A.Messages[i].Flags.Has(mail.Deleted) {
				row.Altered++
			}
		case gone:
			row.Gone++
		case pending, sent:
			if b.replacing[int32(i)] { // it is held as it was
				row.Held++
				row.Known++
			} else {
				row.Failed++
			}
		case failed:
			row.Failed++
		}
	}
	row.Problems = slices.Concat(row.Problems, b.losses.problems(b.source.Name, b.options.Now))
	b.tellPlaced()
}

// tellPlaced reports where the messages are.
func (b *box) tellPlaced() {
	if b.options.Placed == nil || b.options.DryRun {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, f := range b.fate {
		if f != present && f != replaced && f != stored {
			continue
		}
		m := &b.task.A.Messages[i]
		b.options.Placed(Placed{
			Mailbox: b.source.Name, Key: m.Key, UIDValidity: b.validity, UID: m.UID, GUID: m.GUID,
			To: b.task.To, ToKey: b.key[i], Known: f != stored,
		})
	}
}
