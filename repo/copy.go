package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"roost/blob"
)

// ErrSameRepository says that a repository cannot be copied into itself.
var ErrSameRepository = errors.New("source and destination are the same repository")

const (
	copyFlush = 10 * DefaultPackSize // octets after which the snapshots that are copied are saved
	copyPause = time.Minute          // or this time, if that is later

	copyQueued = 512 << 10 // blobs that are remembered as asked for; to ask again is a read for nothing
)

// CopyOptions adjust Copy; the zero value is right.
type CopyOptions struct {
	DryRun bool // find out what is to be copied, and copy nothing
	Full   bool // look at every directory, not only at those that differ from a snapshot that is there: finds what the destination lost
	Write  WriteOptions

	Progress func(CopyProgress) // called often, by one goroutine at a time; may be nil
}

// CopyProgress is how far a Copy is.
type CopyProgress struct {
	Snapshots, SnapshotsDone int
	Blobs, Bytes             int64 // copied, and their octets as stored
}

// A CopiedSnapshot is what became of a snapshot.
type CopiedSnapshot struct {
	Source  *Snapshot
	Copy    ID    // at the destination; null if it is not there
	Already bool  // it was there before
	Err     error // why it could not be copied; the others are nevertheless
}

// A CopyReport is what Copy did.
type CopyReport struct {
	Snapshots []CopiedSnapshot // oldest first of each path
	Blobs     int64            // copied, or after a dry run those that would be
	Bytes     int64            // of them, as stored
	Known     int64            // blobs that the destination had, of those that were looked for
}

// OK reports whether all snapshots are at the destination now.
func (c *CopyReport) OK() bool {
	return !slices.ContainsFunc(c.Snapshots, func(s CopiedSnapshot) bool { return s.Err != nil })
}

// Copy copies snapshots from one repository to another, with another password and at another place. Blobs are copied as they
// are, so cut points and compression stay, and one that is there already is not copied. A snapshot is known again by its
// Origin and what stands in it, as restic's copy does: one that is there already is left alone.
//
// A snapshot is written when all its blobs are durable. A run that is cut short costs nothing twice: its packs are found again.
// A snapshot that cannot be read whole is not copied, and says so in the report. Both repositories are locked for shared
// use. Memory is bounded by both indexes and a few packs.
func Copy(ctx context.Context, from, to *Repo, snapshots []*Snapshot, o CopyOptions) (*CopyReport, error) {
	if from.ID() == to.ID() {
		return nil, fmt.Errorf("copy: %w", ErrSameRepository)
	}
	c := &copying{from: from, to: to, o: o, report: &CopyReport{}}
	if o.DryRun {
		if err := errors.Join(from.LoadIndex(ctx), to.LoadIndex(ctx)); err != nil {
			return nil, fmt.Errorf("copy: %w", err)
		}
		return c.report, c.run(ctx, nil, snapshots)
	}
	err := from.WithLock(ctx, Shared, func(ctx context.Context, _ *Lock) error {
		if err := from.LoadIndex(ctx); err != nil {
			return err
		}
		return to.Write(ctx, o.Write, func(ctx context.Context, s *Session) error { return c.run(ctx, s, snapshots) })
	})
	if err != nil {
		return c.report, fmt.Errorf("copy: %w", err)
	}
	return c.report, nil
}

// copying is one run of Copy.
type copying struct {
	from, to *Repo
	o        CopyOptions
	session  *Session    // nil in a dry run
	blobs    *blobCopier // nil in a dry run
	report   *CopyReport
	queued   map[typedID]bool // blobs that were asked for
	seen     map[ID]bool      // trees of the path at hand that were looked at

	there map[ID][]*Snapshot // at the destination, by all IDs under which they are known
	bases map[string]ID      // by paths: root of a snapshot that is at the destination whole
	fresh map[string]ID      // by paths: root of one of the batch, which will be

	mu   sync.Mutex // guards what follows, and calls of Progress
	done int        // snapshots
}

func (c *copying) run(ctx context.Context, s *Session, snapshots []*Snapshot) error {
	c.session = s
	c.queued, c.fresh = map[typedID]bool{}, map[string]ID{}
	if err := c.lookAround(ctx); err != nil {
		return err
	}
	if s != nil {
		c.blobs = newBlobCopier(ctx, c.from, s, c.tell)
		defer func() {
			c.blobs.close()
			c.report.Blobs, c.report.Bytes = c.blobs.sum()
		}()
	}
	// Snapshots of one path stand together, and each is compared with the one before.
	snapshots = slices.SortedFunc(slices.Values(snapshots), func(a, b *Snapshot) int {
		return cmp.Or(slices.Compare(a.Paths, b.Paths), a.Time.Compare(b.Time), slices.Compare(a.ID[:], b.ID[:]))
	})
	c.report.Snapshots = make([]CopiedSnapshot, len(snapshots))
	var batch []*CopiedSnapshot
	var began time.Time
	var before int64
	for i, sn := range snapshots {
		entry := &c.report.Snapshots[i]
		entry.Source = sn
		if entry.Copy, entry.Already = c.find(sn); entry.Already {
			c.finished(1)
			continue
		}
		if len(batch) == 0 {
			began, before = time.Now(), c.octets()
		}
		batch = append(batch, entry)
		if err := c.collect(ctx, entry); err != nil {
			return err
		}
		if c.octets()-before >= copyFlush && time.Since(began) >= copyPause {
			if err := c.save(ctx, batch); err != nil {
				return err
			}
			batch = nil
		}
	}
	return c.save(ctx, batch)
}

// lookAround learns what the destination has.
func (c *copying) lookAround(ctx context.Context) error {
	all, err := c.to.Snapshots(ctx)
	if err != nil {
		return fmt.Errorf("destination: %w", err)
	}
	c.there, c.bases = map[ID][]*Snapshot{}, map[string]ID{}
	for _, sn := range all { // oldest first
		c.there[sn.ID] = append(c.there[sn.ID], sn)
		if origin := sn.Origin(); origin != sn.ID {
			c.there[origin] = append(c.there[origin], sn)
		}
		if !c.o.Full {
			c.bases[pathsKey(sn)] = *sn.Tree
		}
	}
	if c.o.Full {
		return c.to.FindLostPacks(ctx)
	}
	return nil
}

func pathsKey(sn *Snapshot) string {
	return strings.Join(slices.Sorted(slices.Values(sn.Paths)), "\x00")
}

// find returns the snapshot at the destination that is a copy of sn, or of which sn is one.
func (c *copying) find(sn *Snapshot) (ID, bool) {
	for _, other := range c.there[sn.Origin()] {
		if sameSnapshot(other, sn) {
			return other.ID, true
		}
	}
	return ID{}, false
}

// collect asks for all blobs of a snapshot that the destination lacks. What the source cannot read is the snapshot's error.
func (c *copying) collect(ctx context.Context, entry *CopiedSnapshot) error {
	key := pathsKey(entry.Source)
	base, ok := c.fresh[key]
	if !ok {
		base = c.bases[key]
		c.seen = map[ID]bool{} // trees of different accounts are different: to remember them all would be for nothing
	}
	w := treeWalk{from: c.from, to: c.to, seen: c.seen, want: c.want}
	err := w.run(ctx, *entry.Source.Tree, base)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		entry.Err = err
		c.seen = map[ID]bool{} // what it saw, it did not ask for to the end
		return nil
	}
	c.fresh[key] = *entry.Source.Tree
	return nil
}

// want asks for a blob unless the destination has it.
func (c *copying) want(t BlobType, id ID) {
	key := typedID{t, id}
	switch {
	case c.queued[key]:
		return
	case c.to.Trusts(t, id):
		c.report.Known++
		return
	}
	if len(c.queued) >= copyQueued {
		clear(c.queued)
	}
	c.queued[key] = true
	if c.blobs != nil {
		c.blobs.want(t, id)
		return
	}
	c.report.Blobs++
	if places := c.from.index.Load().lookup(t, id); len(places) > 0 {
		c.report.Bytes += int64(places[0].length)
	}
}

// save makes the blobs of a batch durable, and then writes its snapshots.
func (c *copying) save(ctx context.Context, batch []*CopiedSnapshot) error {
	if c.blobs == nil || len(batch) == 0 {
		c.finished(len(batch))
		return nil
	}
	bad, err := c.blobs.wait()
	if err == nil {
		err = c.session.Flush(ctx)
	}
	if err != nil {
		return err
	}
	if bad != nil {
		// Nobody knows whose blob it is: each snapshot of the batch is asked for alone. What was copied is known by now.
		clear(c.fresh)
		for _, entry := range batch {
			if err := c.alone(ctx, entry); err != nil {
				return err
			}
		}
	}
	for _, entry := range batch {
		if entry.Err != nil {
			continue
		}
		if err := c.write(ctx, entry); err != nil {
			return err
		}
		c.bases[pathsKey(entry.Source)] = *entry.Source.Tree
	}
	clear(c.fresh)
	c.finished(len(batch))
	return nil
}

// alone asks for one snapshot and finds out whether it is whole.
func (c *copying) alone(ctx context.Context, entry *CopiedSnapshot) error {
	if entry.Err != nil {
		return nil
	}
	clear(c.queued)
	clear(c.fresh)
	if err := c.collect(ctx, entry); err != nil {
		return err
	}
	bad, err := c.blobs.wait()
	entry.Err = cmp.Or(entry.Err, bad)
	return err
}

// write stores a snapshot at the destination. Its blobs are durable.
func (c *copying) write(ctx context.Context, entry *CopiedSnapshot) error {
	sn := entry.Source
	p, err := c.from.loadUnpacked(ctx, blob.Snapshot, sn.ID)
	if err != nil {
		return err
	}
	origin := sn.Origin()
	// A parent means nothing at another place.
	if p, err = editSnapshot(p, map[string]any{"original": &origin, "parent": nil}); err != nil {
		return err
	}
	entry.Copy, err = c.session.saveSnapshot(ctx, p, *sn.Tree)
	return err
}

func (c *copying) octets() int64 {
	if c.blobs == nil {
		return c.report.Bytes
	}
	_, octets := c.blobs.sum()
	return octets
}

// finished counts snapshots of which nothing is left to do.
func (c *copying) finished(n int) {
	c.mu.Lock()
	c.done += n
	c.mu.Unlock()
	c.tell()
}

// tell tells how far it is.
func (c *copying) tell() {
	if c.o.Progress == nil {
		return
	}
	p := CopyProgress{Snapshots: len(c.report.Snapshots)}
	if c.blobs != nil {
		p.Blobs, p.Bytes = c.blobs.sum()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p.SnapshotsDone = c.done
	c.o.Progress(p)
}
