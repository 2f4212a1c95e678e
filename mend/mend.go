// Package mend takes out of snapshots what the repository has lost, by writing them anew, so that the rest is whole: all else that
// stands in them stays, and every message that went is named. It wants an index that tells the truth: repo.Repair comes first.
package mend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"roost/mail"
	"roost/repo"
	"roost/snapshot"
)

// A Report is what was lost.
type Report struct {
	Snapshots []*Snapshot // that lost something, oldest first
	Hopeless  []error     // snapshots of which too much is lost to be mended: they stay as they are
}

// Messages counts what was lost, in all snapshots.
func (r *Report) Messages() (n int64) {
	for _, sn := range r.Snapshots {
		n += int64(len(sn.Lost)) + sn.Unnamed
	}
	return n
}

// A Snapshot is one that lost something.
type Snapshot struct {
	*repo.Snapshot
	Account string
	New     repo.ID      // what stands in its place
	Lost    []mail.Error // each with mailbox and the source's key
	Bare    []mail.Error // messages that stay and of which flags and other properties are lost
	Unnamed int64        // messages that are lost with all that was known of them
}

// tag marks the snapshots that roost writes.
const tag = "roost"

// Run mends all snapshots of roost, while nobody else may be at work. Each new one is durable, and was read back, before the old one
// goes. The books count as failed what was lost, and say why, so that the next backup asks for it again.
func Run(ctx context.Context, r *repo.Repo, now time.Time) (*Report, error) {
	report := &Report{}
	err := r.Rewrite(ctx, repo.WriteOptions{}, func(ctx context.Context, w *repo.Rewriting) error {
		all, err := r.Snapshots(ctx)
		if err != nil && len(all) == 0 {
			return err
		}
		m := mender{session: w, repo: r, now: now.UTC().Truncate(time.Second), known: map[bucketOf]snapshot.Mended{}}
		for _, sn := range all {
			if !slices.Contains(sn.Tags, tag) {
				continue
			}
			mended, err := m.mend(ctx, sn)
			switch {
			case ctx.Err() != nil:
				return context.Cause(ctx)
			case errors.Is(err, snapshot.ErrNotMail):
				continue
			case errors.Is(err, errHopeless):
				report.Hopeless = append(report.Hopeless, err)
				continue
			case err != nil:
				return err
			case mended == nil:
				continue
			}
			if mended.New, err = w.Replace(ctx, sn, m.tree, all); err != nil {
				return err
			}
			report.Snapshots = append(report.Snapshots, mended)
		}
		return nil
	})
	if err != nil {
		return report, fmt.Errorf("mend: %w", err)
	}
	return report, nil
}

var errHopeless = errors.New("too much of the snapshot is lost")

// bucketOf is a bucket under the name of its mailbox: most are the same in all snapshots.
type bucketOf struct {
	name mail.Name
	snapshot.Bucket
}

type mender struct {
	session *repo.Rewriting
	repo    *repo.Repo
	now     time.Time
	known   map[bucketOf]snapshot.Mended
	tree    repo.ID // of the snapshot that was mended last
}

// mend makes the tree of a snapshot without what is lost; nil if nothing is.
func (m *mender) mend(ctx context.Context, sn *repo.Snapshot) (*Snapshot, error) {
	hopeless := func(err error) error { return fmt.Errorf("snapshot %s: %w: %w", sn.ID.Short(), errHopeless, err) }
	src, err := snapshot.Open(ctx, m.repo, sn)
	if errors.Is(err, snapshot.ErrNotMail) {
		return nil, err
	}
	if err != nil {
		return nil, hopeless(err)
	}
	if strange := src.Strange(); len(strange) > 0 {
		return nil, hopeless(fmt.Errorf("it holds %q, which would be lost, too", strange))
	}
	ledger, booksErr := src.Ledger(ctx)
	if booksErr != nil && !lost(booksErr) {
		return nil, booksErr
	}
	if booksErr != nil { // the books are lost; the messages are not
		ledger = newBooks(src.Boxes())
	}
	erased, err := src.Erased(ctx)
	if err != nil {
		return nil, hopeless(err) // without it erased messages would come back
	}
	out := &Snapshot{Snapshot: sn, Account: src.Account().Name}
	t := snapshot.NewTree(m.session.Session, nil)
	boxes, problems := slices.Clone(src.Boxes()), slices.Clone(src.Problems())
	damaged := booksErr != nil
	for i := range boxes {
		gone, err := m.box(ctx, src, t, &boxes[i], out)
		if err != nil {
			return nil, err
		}
		if gone == nil {
			continue
		}
		damaged = true
		problems = append(problems, gone.problems...)
		gone.enter(&ledger, boxes[i].Name)
	}
	if !damaged {
		return nil, nil
	}
	t.SetErased(erased)
	if m.tree, err = t.Save(ctx, src.Account(), boxes, problems, ledger); err != nil {
		return nil, err
	}
	if err := m.session.Flush(ctx); err != nil {
		return nil, err
	}
	return out, m.verify(ctx, sn)
}

// lost reports whether err tells of something that is lost, and not of a line that failed.
func lost(err error) bool { return errors.Is(err, repo.ErrNoBlob) || errors.Is(err, repo.ErrDamaged) }

// newBooks are books that say no more than what is held.
func newBooks(boxes []snapshot.Box) (l mail.Ledger) {
	for i := range boxes {
		b := &boxes[i]
		l.Rows = append(l.Rows, mail.Row{Mailbox: b.Name, Server: -1, Method: "not known any more", Listed: b.Messages + b.Erased, Held: b.Messages, Erased: b.Erased})
	}
	return l
}

// loss is what a mailbox lost.
type loss struct {
	messages int64
	problems []snapshot.Problem
}

// box puts what is left of a mailbox into t; nil if nothing is lost.
func (m *mender) box(ctx context.Context, src *snapshot.Source, t *snapshot.Tree, box *snapshot.Box, out *Snapshot) (*loss, error) {
	around := snapshot.Around{Source: src}
	buckets, err := around.BucketsLeft(ctx, box.Name)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil && !lost(err) {
		return nil, err
	}
	whole := err == nil
	var left []snapshot.Bucket
	var gone, bare []mail.Error
	var messages, octets int64
	for _, b := range buckets {
		mended, known := m.known[bucketOf{box.Name, b}]
		if !known {
			if mended, err = around.Mend(ctx, m.session.Session, box.Name, b); err != nil {
				return nil, fmt.Errorf("snapshot %s: %s: %w", src.ID().Short(), box.Name, err)
			}
			m.known[bucketOf{box.Name, b}] = mended
		}
		whole = whole && mended.Whole
		gone, bare = append(gone, mended.Lost...), append(bare, mended.Bare...)
		messages, octets = messages+mended.Messages, octets+mended.Bytes
		if !mended.Bucket.Mail.IsNull() {
			left = append(left, mended.Bucket)
		}
	}
	if err := t.SetBuckets(ctx, box.Name, left); err != nil {
		return nil, err
	}
	if whole && messages == box.Messages {
		return nil, nil
	}
	l := &loss{messages: box.Messages - messages}
	problem := func(key mail.Key, reason string) {
		l.problems = append(l.problems, snapshot.Problem{Mailbox: box.Name, Key: key, Reason: reason, Since: m.now, Tries: 1, Size: -1})
	}
	for _, e := range gone {
		problem(e.Key, "lost by damage of the repository: "+e.Err.Error())
	}
	if unnamed := l.messages - int64(len(gone)); unnamed > 0 {
		out.Unnamed += unnamed
		problem("", fmt.Sprintf("%d messages were lost by damage of the repository, with all that was known of them", unnamed))
	}
	out.Lost, out.Bare = append(out.Lost, gone...), append(out.Bare, bare...)
	box.Messages, box.Bytes, box.Token = messages, octets, "" // the next run lists all
	return l, nil
}

// enter puts a loss into the books of the run that wrote the snapshot.
func (l *loss) enter(ledger *mail.Ledger, name mail.Name) {
	for i := range ledger.Rows {
		r := &ledger.Rows[i]
		if r.Mailbox != name {
			continue
		}
		r.Held -= l.messages
		r.Failed += l.messages
		r.Problems = slices.Clone(r.Problems)
		for j := range l.problems {
			r.Problems = append(r.Problems, l.problems[j].Mail())
		}
	}
}

// verify reads what was written: it is whole, before anything is removed for it.
func (m *mender) verify(ctx context.Context, sn *repo.Snapshot) error {
	written := *sn
	written.Tree = &m.tree
	src, err := snapshot.Open(ctx, m.repo, &written)
	if err != nil {
		return err
	}
	for _, box := range src.Boxes() {
		if box.NoSelect {
			continue
		}
		ch, err := src.Changes(ctx, box.Name, "")
		if err != nil {
			return fmt.Errorf("read back what was written: %w", err)
		}
		if int64(len(ch.Messages)) != box.Messages {
			return fmt.Errorf("read back what was written: %s has %d messages, want %d", box.Name, len(ch.Messages), box.Messages)
		}
	}
	return nil
}
