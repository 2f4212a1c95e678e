package backup

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"roost/mail"
	"roost/query"
	"roost/repo"
	"roost/snapshot"
)

// DefaultConnections is how many fetches run at once for one account, unless
// Options say otherwise: what common servers allow one client.
const DefaultConnections = 3

// Options adjust Run. Account is needed; zero values of the others are sensible.
type Options struct {
	Account   string          // name of the account in the repository
	Host      string          // recorded as the snapshot's hostname; default: this machine's name
	Tags      []string        // of the snapshot, beside "roost"
	Selection query.Selection // what to look at; a view, never a deletion

	Connections int  // fetches at once; default DefaultConnections
	DryRun      bool // list and compare only; no session is needed
	Full        bool // trust no state: list every mailbox in full
	// SkipUnchanged writes no snapshot if it would hold what the last one holds.
	SkipUnchanged bool
	Again         bool // forget that messages were erased, and store those that are still there
	// FullEvery lists a mailbox in full, as Full does, if that was last done so
	// long ago: servers miss changes of flags in their logs. 0: never.
	FullEvery time.Duration
	// MaxShrink refuses a snapshot of an account that shrank by more than that.
	MaxShrink MaxShrink

	Now      time.Time      // when the run began; default: now
	Program  string         // recorded in the snapshot
	Progress func(Progress) // called often, by one goroutine at a time; may be nil
}

// Report is what a run did.
type Report struct {
	Snapshot  repo.ID     `json:"snapshot"`            // null after a dry run
	Parent    repo.ID     `json:"parent"`              // null for an account's first
	Unchanged bool        `json:"unchanged,omitempty"` // no snapshot was written, since the parent holds all
	Ledger    mail.Ledger `json:"ledger"`
	Mailboxes int         `json:"mailboxes"`          // in the snapshot
	Messages  int64       `json:"messages"`           // in the snapshot
	Warnings  []string    `json:"warnings,omitempty"` // what the user should know although nothing is missing
	Cut       error       `json:"-"`                  // why the run was cut short although a snapshot was written; nil if it was not
}

// Complete reports whether the snapshot holds all that the source showed and
// the rules meant.
func (r *Report) Complete() bool { return r.Cut == nil && r.Ledger.Complete() }

// run is one backup of one account.
type run struct {
	o         Options
	src       mail.Source
	repo      *repo.Repo
	session   *repo.Session    // nil in a dry run
	prev      *snapshot.Source // nil: the account's first snapshot
	selection string           // canonical rules that concern messages; "" none
	fetchers  chan struct{}    // tokens: fetches at once
	cutters   chan job         // to those who cut and store
	buffers   chan *[]byte     // for messages on their way to them
	altering  chan struct{}    // a token: long messages that are held whole at once
	identity  string           // of the source; "" if it has none
	ids       map[string]bool  // of the mailboxes that there are
	known     knownGUIDs
	erasure   erasure
	progress  tally
	lost      sync.Once // looks for packs that are gone, when first something is missed
	lostErr   error

	mu       sync.Mutex // guards what follows
	boxes    []snapshot.Box
	rows     []mail.Row
	problems []snapshot.Problem
	edits    []boxEdit
	cut      error // the first failure that reached beyond one message
	warnings []string
}

// boxEdit is a mailbox whose directory must be written anew.
type boxEdit struct {
	name    mail.Name
	buckets []snapshot.Bucket
}

// Run backs up src as one account and returns the books. An error means that
// there is no new snapshot; what was stored is found again by the next run; beside
// ErrShrunk the books tell what it would have lacked. If the source fails or
// ctx is cancelled on the way, a snapshot of what arrived is still written, and
// Report.Cut tells why it is not all.
//
// session is nil for a dry run only. Several Runs may share a session.
func Run(ctx context.Context, src mail.Source, rep *repo.Repo, session *repo.Session, o Options) (Report, error) {
	r, err := start(ctx, src, rep, session, o)
	if err != nil {
		return Report{}, fmt.Errorf("back up %s: %w", o.Account, err)
	}
	report, err := r.run(ctx)
	if err != nil {
		return report, fmt.Errorf("back up %s: %w", o.Account, err)
	}
	return report, nil
}

func start(ctx context.Context, src mail.Source, rep *repo.Repo, session *repo.Session, o Options) (*run, error) {
	if o.Account == "" {
		return nil, errors.New("account has no name")
	}
	if session == nil && !o.DryRun {
		return nil, errors.New("no session to write with")
	}
	var err error
	if o.Selection, err = o.Selection.Clean(); err != nil {
		return nil, err
	}
	if o.Connections <= 0 {
		o.Connections = DefaultConnections
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.Host == "" {
		if o.Host, err = os.Hostname(); err != nil {
			o.Host = "localhost"
		}
	}
	r := &run{o: o, src: src, repo: rep, session: session, fetchers: make(chan struct{}, o.Connections), altering: make(chan struct{}, 1)}
	if r.selection, err = messageRules(o.Selection); err != nil {
		return nil, err
	}
	r.erasure.again = o.Again
	if r.prev, r.erasure.past, r.warnings, err = lastReadable(ctx, rep, o.Account); err != nil {
		return nil, err
	}
	if id, ok := src.(mail.Identifier); ok {
		r.identity = id.Identity()
	}
	if r.identity != "" {
		r.known.prev, r.known.identity = r.prev, r.identity
		r.erasure.identity = r.identity
	}
	r.progress.report = o.Progress
	return r, nil
}

// messageRules is the canonical text of the rules that concern messages, not
// mailboxes: those that void a mailbox's state when they change.
func messageRules(s query.Selection) (string, error) {
	return query.Selection{Since: s.Since, Before: s.Before, Date: s.Date, MaxSize: s.MaxSize, SkipAttachments: s.SkipAttachments}.Canonical()
}

// Tag marks the snapshots that roost writes.
const Tag = "roost"

func (r *run) run(ctx context.Context) (Report, error) {
	all, err := r.src.Mailboxes(ctx)
	if err != nil {
		return Report{}, err
	}
	r.plan(all)
	if len(all) == 0 && r.prev == nil {
		return Report{}, ErrEmpty
	}

	meant, left := r.o.Selection.Mailboxes(all)
	if err := r.missed(all, len(meant)); err != nil {
		return Report{}, err
	}
	stop := r.startCutters()
	boxes, ctxBoxes := errgroup.WithContext(ctx)
	boxes.SetLimit(r.o.Connections)
	r.progress.mailboxes(len(meant))
	meant = inOrder(meant)
	if len(meant) > 0 && meant[0].Role == mail.RoleAll {
		r.known.remember()
		err = r.mailbox(ctx, meant[0])
		meant = meant[1:]
	}
	for _, box := range meant {
		if err != nil {
			break
		}
		boxes.Go(func() error { return r.mailbox(ctxBoxes, box) })
	}
	err = errors.Join(err, boxes.Wait())
	stop()
	if err != nil {
		return Report{}, err
	}
	for _, box := range left {
		if err := r.leave(ctx, box); err != nil {
			return Report{}, err
		}
	}
	return r.finish(ctx)
}

// plan notes the mailboxes that are gone.
func (r *run) plan(all []mail.Mailbox) {
	if r.prev == nil {
		return
	}
	there := make(map[mail.Name]bool, len(all))
	r.ids = make(map[string]bool, len(all))
	for _, box := range all {
		there[box.Name] = true
		r.ids[box.ID] = true
	}
	for _, old := range r.prev.Boxes() {
		if there[old.Name] {
			continue
		}
		r.edits = append(r.edits, boxEdit{name: old.Name})
		if r.renamed(&old) {
			continue
		}
		r.rows = append(r.rows, mail.Row{Mailbox: old.Name, Method: "deleted", Vanished: old.Messages})
	}
}

// missed tells of masks for mailboxes that match none, neither in the store nor in the last snapshot: most likely they are
// mistakes. It is an error if none of them matches.
func (r *run) missed(all []mail.Mailbox, meant int) error {
	if r.prev != nil {
		all = slices.Clone(all)
		for _, old := range r.prev.Boxes() {
			all = append(all, mail.Mailbox{Name: old.Name, Role: old.Role})
		}
	}
	unmatched := r.o.Selection.Unmatched(all)
	if len(unmatched) > 0 && meant == 0 {
		return fmt.Errorf("%w that %q matches", mail.ErrNoMailbox, unmatched[0])
	}
	for _, mask := range unmatched {
		r.warn(fmt.Sprintf("no mailbox matches %q", mask))
	}
	return nil
}

// inOrder puts the mailbox that holds all mail first, so that messages which
// stand in others too are known by then.
func inOrder(boxes []mail.Mailbox) []mail.Mailbox {
	boxes = slices.Clone(boxes)
	slices.SortStableFunc(boxes, func(a, b mail.Mailbox) int {
		switch {
		case a.Role == mail.RoleAll && b.Role != mail.RoleAll:
			return -1
		case b.Role == mail.RoleAll && a.Role != mail.RoleAll:
			return 1
		}
		return 0
	})
	return boxes
}

// finish writes the snapshot, last.
func (r *run) finish(ctx context.Context) (Report, error) {
	report := Report{Cut: cmp.Or(context.Cause(ctx), r.cut), Warnings: r.warnings}
	slices.SortFunc(r.rows, func(a, b mail.Row) int { return compare(a.Mailbox, b.Mailbox) })
	slices.SortFunc(r.problems, func(a, b snapshot.Problem) int {
		if c := compare(a.Mailbox, b.Mailbox); c != 0 {
			return c
		}
		return compare(a.Key, b.Key)
	})
	for i := range r.rows {
		slices.SortStableFunc(r.rows[i].Problems, func(a, b mail.Problem) int { return compare(a.Key, b.Key) })
	}
	report.Ledger.Rows = r.rows
	report.Mailboxes = len(r.boxes)
	for i := range r.boxes {
		report.Messages += r.boxes[i].Messages
	}
	if r.prev != nil {
		report.Parent = r.prev.ID()
	}
	if err := r.guard(report.Messages); err != nil {
		return report, err
	}
	if r.o.DryRun {
		return report, report.Cut
	}
	// A run that was cut short still saves its state, if that is quick.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	tree, err := r.tree(ctx)
	if err != nil {
		return report, err
	}
	account := snapshot.Account{Name: r.o.Account, Identity: r.identity, Program: r.o.Program,
		Began: r.o.Now.UTC().Truncate(time.Second), Ended: time.Now().UTC().Truncate(time.Second)}
	if !r.o.Selection.IsZero() {
		text, err := r.o.Selection.Canonical()
		if err != nil {
			return report, err
		}
		account.Selection = json.RawMessage(text)
	}
	tree.SetErased(r.erasure.next())
	if r.o.SkipUnchanged {
		tree.SkipUnchanged()
	}
	root, err := tree.Save(ctx, account, r.boxes, r.problems, report.Ledger)
	if errors.Is(err, snapshot.ErrUnchanged) {
		report.Unchanged = true
		return report, nil
	}
	if err != nil {
		return report, err
	}
	report.Snapshot, err = r.session.SaveSnapshot(ctx, r.snapshot(root, &report))
	return report, err
}

// saveTime is how long the state of a run that was cut short may take to save.
const saveTime = 5 * time.Minute

func (r *run) snapshot(root repo.ID, report *Report) repo.Snapshot {
	sn := repo.Snapshot{
		Time: r.o.Now, Tree: &root, Paths: []string{"/" + snapshot.FileName(r.o.Account)}, Hostname: r.o.Host,
		Tags: append([]string{Tag}, r.o.Tags...), ProgramVersion: r.o.Program,
	}
	if !report.Parent.IsNull() {
		sn.Parent = &report.Parent
	}
	return sn
}
