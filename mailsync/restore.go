package mailsync

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"roost/mail"
	"roost/plan"
	"roost/query"
)

// Options say what is restored, where to and how. The zero value puts
// everything into a new tree of mailboxes.
type Options struct {
	// Select narrows the source; zero: everything. It cannot skip attachments.
	Select query.Selection
	// MessageFilter narrows it further: it says which rule of the user leaves
	// out a message, if one does. nil: none. With it, or with a period or size
	// in Select, only mailboxes are made of which a message is wanted. It is
	// called from several goroutines at once.
	MessageFilter func(mail.Name, *mail.Message) (rule string, exclude bool)

	// Root is the mailbox below which everything is put, "dump/alice". "":
	// a new one, called by the date and the time of Now.
	Root mail.Name
	// InPlace puts everything into the mailboxes it came from, or into those
	// of the same role; then Root must be "".
	InPlace bool

	Collisions   plan.Collisions // what to do with a message that is there already; default plan.Skip
	StripDeleted bool            // leave out the flag \Deleted, for a destination that would expunge the message at once
	KeepUIDs     bool            // give mailboxes that are new or empty the UIDs of the source, if the store can

	DryRun   bool      // send no command that changes anything; Report.Steps says what would be done
	Parallel int       // mailboxes at a time; default 4
	Now      time.Time // when the run began

	Progress func(Progress) // is told how far the run is; never called twice at a time
	Placed   func(Placed)   // is told where each message is; never called twice at a time
}

// Progress is how far a run is. A message that turns out to be there already
// counts as done.
type Progress struct {
	Mailboxes, MailboxesDone int
	Messages, MessagesDone   int64 // those listed so far, without what a rule leaves out
	Bytes                    int64 // octets sent
}

// Placed says where a message of the source is at the destination, so that its
// old identity can be found when the store does not keep it.
type Placed struct {
	Mailbox     mail.Name // at the source
	Key         mail.Key
	UIDValidity uint32 // 0: the source has none
	UID         uint32 // 0: the source has none
	GUID        string // "" unknown

	To    mail.Name // at the destination
	ToKey mail.Key  // "" if the store does not tell
	Known bool      // it was there before
}

// Report is what a run did.
type Report struct {
	// Ledger has a row for each mailbox of the source that was selected, under
	// its name there. Held is what the destination holds now: New was appended,
	// Known was there already, and of these Changed were given other flags or
	// another date. After a dry run it is what it would be if all went well.
	Ledger mail.Ledger
	// Root is the mailbox below which everything was put; "": in place.
	Root mail.Name
	// Places say where the mailboxes went; those that are called otherwise
	// than at the source say why.
	Places []plan.Place
	// Steps are the plan of a dry run, in order; nil after another run.
	Steps []plan.Step
	// Remarks are for the user: what was noticed and is nobody's failure.
	Remarks []string
}

const defaultParallel = 4

// Restore appends to dst what src holds and dst does not, and never anything
// twice: running it again adds nothing. It deletes nothing, except the old copy
// of a message that it replaces (plan.Replace).
//
// A message that fails stops neither its mailbox nor the run; the ledger says
// so. The error is not nil if the run could not go on: then the report holds
// what was done before, and everything else in it is failed.
func Restore(ctx context.Context, src mail.Source, dst mail.Store, o Options) (Report, error) {
	r := run{src: src, dst: dst, options: o}
	if err := r.prepare(); err != nil {
		return Report{}, err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	r.stop = stop
	if err := r.list(ctx); err != nil {
		return r.report, err
	}
	r.all(ctx)
	for _, b := range r.boxes {
		r.report.Ledger.Rows = append(r.report.Ledger.Rows, b.row)
		r.report.Steps = append(r.report.Steps, b.steps...)
		r.report.Remarks = append(r.report.Remarks, b.remarks...)
	}
	r.report.Places = r.places
	return r.report, context.Cause(ctx)
}

// run is one call of Restore.
type run struct {
	src     mail.Source
	dst     mail.Store
	options Options
	rules   plan.Rules
	stop    context.CancelCauseFunc // ends the run: nothing more can be done
	report  Report
	alters  mail.Alteration // what the destination does to some messages

	boxes  []*box
	places []plan.Place // of the boxes that can be read; each box touches them in its turn only

	mu       sync.Mutex // guards what follows; not held but for the callbacks
	progress Progress
}

func (r *run) prepare() error {
	o := &r.options
	switch {
	case o.InPlace && o.Root != "":
		return fmt.Errorf("restore in place below %s: choose one", o.Root)
	case o.Select.SkipAttachments:
		return errors.New("restore without attachments: only a backup can leave them out")
	}
	if o.Parallel <= 0 {
		o.Parallel = defaultParallel
	}
	r.report.Root = o.Root
	if !o.InPlace && o.Root == "" {
		r.report.Root = mail.NameOf("Restored " + o.Now.Format("2006-01-02 15.04"))
	}
	r.rules = plan.Rules{Collisions: o.Collisions, StripDeleted: o.StripDeleted, SameStore: sameStore(r.src, r.dst)}
	return nil
}

// sameStore reports whether GUIDs of a and b can be compared.
func sameStore(a, b mail.Source) bool {
	x, ok := a.(mail.Identifier)
	if !ok {
		return false
	}
	y, ok := b.(mail.Identifier)
	return ok && x.Identity() != "" && x.Identity() == y.Identity()
}

// list finds the mailboxes of both sides, and a place for each.
func (r *run) list(ctx context.Context) error {
	all, err := r.mailboxes(ctx, r.src)
	if err != nil {
		return fmt.Errorf("list the mailboxes to restore: %w", err)
	}
	there, err := r.mailboxes(ctx, r.dst)
	if err != nil {
		return fmt.Errorf("list the mailboxes of the destination: %w", err)
	}
	if r.alters, err = alteration(ctx, r.dst); err != nil {
		return fmt.Errorf("ask what the destination is: %w", err)
	}
	selected, _ := r.options.Select.Mailboxes(all)
	r.places = plan.Places(selected, there, r.report.Root)
	denied := make(map[mail.Name]error)
	for i := range there {
		denied[there[i].Name] = there[i].Err
	}
	n := 0
	for i := range selected {
		if selected[i].NoSelect {
			continue
		}
		b := &box{run: r, source: selected[i], index: n, denied: denied[r.places[n].Name], settled: make(chan struct{}), suspect: make(map[int32]bool)}
		b.row = mail.Row{Mailbox: b.source.Name, Server: -1}
		r.boxes = append(r.boxes, b)
		n++
	}
	r.progress.Mailboxes = n
	return nil
}

func (r *run) mailboxes(ctx context.Context, s mail.Source) (boxes []mail.Mailbox, err error) {
	err = again(ctx, func() error {
		boxes, err = s.Mailboxes(ctx)
		return err
	})
	return boxes, err
}

// all restores the mailboxes, a few at a time.
func (r *run) all(ctx context.Context) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(r.options.Parallel, len(r.boxes)) {
		workers.Go(func() {
			for n := next.Add(1); n <= int64(len(r.boxes)); n = next.Add(1) {
				b := r.boxes[n-1]
				b.restore(ctx)
				r.tell(func(p *Progress) { p.MailboxesDone++ })
			}
		})
	}
	workers.Wait()
}

// tell changes the progress and reports it.
func (r *run) tell(change func(*Progress)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.progress)
	if r.options.Progress != nil {
		r.options.Progress(r.progress)
	}
}

// filtered reports whether messages may be left out.
func (r *run) filtered() bool {
	s := r.options.Select
	return r.options.MessageFilter != nil || !s.Since.IsZero() || !s.Before.IsZero() || s.MaxSize > 0
}
