package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"roost/mail"
	"roost/repo"
	"roost/snapshot"
)

// The last snapshot saves work; it must never cost the next one. What of it cannot be read is stored anew from the source:
//
//   - the snapshot as a whole: the newest one before it that can be read takes its place, whose account it ever was;
//   - a mailbox: it is listed in full, every bucket of it is read, and the damaged ones are built anew. What is left
//     of these still tells which bytes are there.
//
// Blobs that could not be read do not pass for stored either (package repo). A damage that a run has no cause to look at it does
// not see, unless Options.Full makes it read every tree.

// damage is an error of the last snapshot, not of the source and not of what is written.
type damage struct{ err error }

func (d *damage) Error() string { return "the last snapshot is damaged: " + d.err.Error() }
func (d *damage) Unwrap() error { return d.err }

// damaged marks an error of reading the last snapshot, unless the run was ended.
func damaged(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	return &damage{err}
}

// lastReadable opens the newest snapshot of the account that can be opened, and what it knows of erased messages; nil if there
// is none. The warnings tell which newer ones cannot.
func lastReadable(ctx context.Context, rep *repo.Repo, account string) (prev *snapshot.Source, gone *snapshot.Erased, warnings []string, err error) {
	all, err := rep.Snapshots(ctx)
	switch {
	case repo.OnlyDamage(err):
		warnings = append(warnings, "snapshots are damaged, and one may have been newer than what this run builds on: roost check")
	case err != nil:
		return nil, nil, nil, err // one that cannot be read may have been the newest, and can be read the next time
	}
	filter := repo.SnapshotFilter{Path: "/" + snapshot.FileName(account), Tags: []string{Tag}}
	for _, sn := range slices.Backward(all) {
		if !filter.Match(sn) {
			continue
		}
		prev, err := snapshot.Open(ctx, rep, sn)
		if err == nil {
			gone, err = prev.Erased(ctx)
		}
		if err == nil {
			return prev, gone, warnings, nil
		}
		if ctx.Err() != nil || errors.Is(err, snapshot.ErrNotMail) {
			return nil, nil, nil, err // of another layout: a newer program wrote it
		}
		warnings = append(warnings, fmt.Sprintf("the snapshot before this one is damaged and was not used: %v", err))
	}
	return nil, nil, warnings, nil
}

// warn notes something that the user should know although nothing is missing.
func (r *run) warn(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.warnings = append(r.warnings, text)
}

// listAll is list where the last snapshot proved to be damaged.
func (m *mailbox) listAll(ctx context.Context, why error) error {
	if err := m.beThorough(ctx); err != nil {
		return err
	}
	m.wrong = nil
	if err := m.ask(ctx, ""); err != nil {
		return err
	}
	m.sayDamage(why)
	return nil
}

// beThorough makes the next list look at everything.
func (m *mailbox) beThorough(ctx context.Context) error {
	m.thorough = true
	return m.run.findLost(ctx)
}

// findLost looks once a run which packs are gone.
func (r *run) findLost(ctx context.Context) error {
	r.lost.Do(func() { r.lostErr = r.repo.FindLostPacks(ctx) })
	return r.lostErr
}

// sayDamage tells of it in the ledger and the warnings.
func (m *mailbox) sayDamage(why error) {
	m.row.Method += ", since the last snapshot is damaged"
	m.run.warn(fmt.Sprintf("%s: %s; it was listed in full, and what is damaged is stored anew", m.box.Name, strings.ReplaceAll(why.Error(), "\n", "; ")))
}

// loadLeft is load where not all can be read.
func (m *mailbox) loadLeft(ctx context.Context) error {
	if m.old == nil {
		return nil
	}
	m.buckets, _ = m.run.prev.BucketsLeft(ctx, m.old.Name) // the error is known
	return ctx.Err()
}

// examine reads all that a bucket is made of, and returns its entries and the octets of its messages.
func (m *mailbox) examine(ctx context.Context, b snapshot.Bucket, in *snapshot.Interner) (entries []snapshot.Entry, octets int64, err error) {
	stored, err := m.run.prev.StoredLeft(ctx, b)
	if err != nil {
		return nil, 0, err
	}
	if b.Meta.IsNull() {
		return nil, 0, fmt.Errorf("messages from %s on have no flags", b.First)
	}
	if entries, err = m.past.read(ctx, b, nil, in); err != nil {
		return nil, 0, err
	}
	for i := range stored {
		octets += stored[i].Size
		if i >= len(entries) || entries[i].Slot != stored[i].Slot {
			return nil, 0, fmt.Errorf("message %s has bytes but no flags", stored[i].Slot)
		}
	}
	if len(entries) > len(stored) {
		return nil, 0, fmt.Errorf("message %s has flags but no bytes", entries[len(stored)].Slot)
	}
	return entries, octets, nil
}

// inspect examines the bucket of a work. It returns how many messages it holds; one that is damaged holds none, and its
// work begins with nothing.
func (m *mailbox) inspect(ctx context.Context, w *work, in *snapshot.Interner) (held int64, err error) {
	if w.old.Mail.IsNull() {
		return 0, nil
	}
	entries, octets, err := m.examine(ctx, w.old, in)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if err == nil {
		m.base += octets
		return int64(len(entries)), nil
	}
	if m.wrong == nil {
		m.wrong = err
	}
	damagedBucket := w.old
	w.damaged, w.old = &damagedBucket, snapshot.Bucket{First: w.old.First}
	return 0, nil
}

// checkEdit reads what an edit of the bucket will read, while there is time to list all.
func (m *mailbox) checkEdit(ctx context.Context, b snapshot.Bucket, f *folded) error {
	if b.Mail.IsNull() || m.run.o.DryRun {
		return nil
	}
	slots := slices.Clone(f.vanished)
	for _, l := range f.fresh {
		slots = append(slots, l.slot)
	}
	slices.Sort(slots)
	return damaged(ctx, m.run.prev.CheckShards(ctx, b, slots))
}

// rescue is what is left of a damaged bucket.
type rescue struct {
	stored  map[snapshot.Slot]snapshot.Stored
	entries map[snapshot.Slot]snapshot.Entry // nil: not readable
}

func (m *mailbox) rescue(ctx context.Context, b snapshot.Bucket, in *snapshot.Interner) *rescue {
	r := &rescue{stored: make(map[snapshot.Slot]snapshot.Stored)}
	stored, _ := m.run.prev.StoredLeft(ctx, b) // that not all can be read is known
	for _, s := range stored {
		r.stored[s.Slot] = s
	}
	if entries, err := m.past.read(ctx, b, nil, in); err == nil && !b.Meta.IsNull() {
		r.entries = make(map[snapshot.Slot]snapshot.Entry, len(entries))
		for _, e := range entries {
			r.entries[e.Slot] = e
		}
	}
	return r
}

// find returns what is stored of a message, if it is surely the same.
func (r *rescue) find(l listed) (snapshot.Stored, bool) {
	stored, ok := r.stored[l.slot]
	if !ok {
		return stored, false
	}
	if r.entries == nil {
		// A UID means one message for ever. But a rule may have changed its bytes, and nobody knows any more.
		return stored, l.m.UID != 0 && l.slot == snapshot.Slot(l.m.UID) && l.m.Size == stored.Size
	}
	e, ok := r.entries[l.slot]
	ok = ok && e.Key == l.m.Key && (e.GUID == "" || l.m.GUID == "" || e.GUID == l.m.GUID) && (e.Extra == nil || e.Extra.Altered == "")
	return stored, ok && !differs(&e, &stored, l.m)
}

// cannotKeep hands in a mailbox that was not read now, and of which the last
// snapshot is damaged: nothing of it can be kept.
func (m *mailbox) cannotKeep(why error) {
	m.row.Listed -= m.row.Held + m.row.Erased
	m.row.Held, m.row.Erased = 0, 0
	line := snapshot.Box{ID: m.box.ID, NoSelect: m.box.NoSelect, Kept: m.run.prevTime()}
	line.Name, line.Raw, line.Role, line.Subscribed = m.box.Name, rawOf(&m.box), m.box.Role, m.box.Subscribed
	m.problem(snapshot.Problem{Reason: "nothing of it is kept: " + why.Error(), Size: -1})
	m.row.Problems = append(m.row.Problems, m.problems[len(m.problems)-1].Mail())
	m.run.add(m.row, &line, &boxEdit{name: m.box.Name}, m.problems)
}

// tree puts the mailboxes together. Where directories of the last snapshot cannot be read, nothing may hang on them: then
// every mailbox is put in its place anew.
func (r *run) tree(ctx context.Context) (*snapshot.Tree, error) {
	t, err := r.treeOn(ctx, r.prev)
	if err == nil || r.prev == nil || ctx.Err() != nil {
		return t, err
	}
	edited := make(map[mail.Name]bool, len(r.edits))
	for _, e := range r.edits {
		edited[e.name] = true
	}
	for i := range r.boxes {
		name := r.boxes[i].Name
		if edited[name] || r.boxes[i].Messages == 0 {
			continue
		}
		buckets, err := r.prev.Buckets(ctx, name)
		if err != nil {
			return nil, err
		}
		r.edits = append(r.edits, boxEdit{name: name, buckets: buckets})
	}
	return r.treeOn(ctx, nil)
}

func (r *run) treeOn(ctx context.Context, prev *snapshot.Source) (*snapshot.Tree, error) {
	t := snapshot.NewTree(r.session, prev)
	for _, e := range r.edits {
		if err := t.SetBuckets(ctx, e.name, e.buckets); err != nil {
			return nil, err
		}
	}
	return t, nil
}
