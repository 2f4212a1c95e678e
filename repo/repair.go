package repo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"roost/blob"
)

// RepairOptions adjusts Repair; the zero value reads only what index files do not tell.
type RepairOptions struct {
	ReadData bool // read every pack and verify every blob in it
	DryRun   bool // look only

	// Progress is told, if not nil, how many packs were looked at of how many; one call at a time.
	Progress func(done, total int)
}

// A RepairReport is what Repair found and did, or would do. A dry run may tell of more lost blobs than there are: it does not know of packs
// that it would name.
type RepairReport struct {
	BadFiles []*Problem // index files that could not be read
	BadPacks []*Problem // packs that are not whole; Blobs are those that are lost with them
	Adopted  int        // packs that no index file named, and that are named now
	Dropped  int        // index files that others took the place of
	Written  int        // index files written
	Saved    int        // blobs that were copied out of packs that are not whole
}

// Lost counts the blobs that are nowhere any more.
func (r *RepairReport) Lost() (n int) {
	for _, p := range r.BadPacks {
		n += len(p.Blobs)
	}
	return n
}

// Repair makes the index name what there is: packs that no readable index file names are read and named again, which needs no index at
// all; packs that are missing or not whole are named no more, and what is good in them is copied into new ones. So the next backup
// stores again what it finds lost and the source still has. It removes index files whose place others took, and nothing else:
// packs that are not whole stay where they are until a prune.
//
// Nobody else may be at work. Cut short, everything that was found before is found again.
func (r *Repo) Repair(ctx context.Context, o RepairOptions) (*RepairReport, error) {
	m := &mender{repo: r, o: o, named: map[ID]bool{}, bad: map[ID]*badPack{}, found: map[typedID]bool{}}
	mode := Exclusive
	if o.DryRun {
		mode = Shared
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	err := r.WithLock(ctx, mode, func(ctx context.Context, l *Lock) error {
		if err := m.survey(ctx); err != nil {
			return err
		}
		if err := m.salvage(ctx, l); err != nil { // an index may be all that tells where blobs are in a pack
			return err
		}
		if err := m.replaceIndexes(ctx); err != nil {
			return err
		}
		return m.countLost(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("repair: %w", err)
	}
	return &m.report, nil
}

// mender is one run of Repair. It holds 40 octets a pack, and the index entries of index files that it writes anew.
type mender struct {
	repo  *Repo
	o     RepairOptions
	packs map[ID]int64 // size of each pack that there is

	report  RepairReport
	replace []ID        // index files whose place others take
	pending []packEntry // for the next index file
	blobs   int         // in pending
	done    int         // packs looked at

	mu    sync.Mutex // guards what follows, while packs are read
	named map[ID]bool
	bad   map[ID]*badPack

	broken error            // a pack could not be read, whole or not
	found  map[typedID]bool // blobs that could be read in packs that are not whole
}

// badPack is a pack that is not whole.
type badPack struct {
	why   error
	blobs []packed // where blobs may be, as the index or its header says
	there bool

	problem *Problem // that is reported
	spoilt  []packed // those of blobs that cannot be read in it
}

// survey looks at all index files, and then at the packs that none of them names.
func (m *mender) survey(ctx context.Context) error {
	m.packs = map[ID]int64{}
	for e, err := range m.repo.bucket.List(ctx, blob.Pack) {
		if err != nil {
			return err
		}
		id, err := ParseID(e.Name)
		if err != nil {
			return err
		}
		m.packs[id] = e.Size
	}
	files, err := m.repo.list(ctx, blob.Index)
	if err != nil {
		return err
	}
	for _, id := range files {
		if err := m.surveyFile(ctx, id); err != nil {
			return err
		}
	}
	var orphans []ID
	for id := range m.packs {
		if !m.named[id] && m.bad[id] == nil {
			orphans = append(orphans, id)
		}
	}
	slices.SortFunc(orphans, func(a, b ID) int { return bytes.Compare(a[:], b[:]) })
	for some := range slices.Chunk(orphans, 256) { // their entries are in memory
		if err := m.adopt(ctx, some); err != nil {
			return err
		}
	}
	return m.flush(ctx)
}

// surveyFile looks at the packs that an index file names. If all are whole, the file stays.
func (m *mender) surveyFile(ctx context.Context, id ID) error {
	h := blob.Handle{Kind: blob.Index, Name: id.String()}
	p, err := m.repo.loadUnpacked(ctx, blob.Index, id)
	var entries []packEntry
	if err == nil {
		entries, err = decodeIndex(p)
		err = damaged(err)
	}
	if errors.Is(err, ErrDamaged) {
		m.report.BadFiles = append(m.report.BadFiles, &Problem{Object: h, Errs: []error{err}})
		m.replace = append(m.replace, id)
		return nil
	}
	if err != nil {
		return err
	}
	whole, err := m.look(ctx, entries)
	if err != nil {
		return err
	}
	if len(whole) == len(entries) {
		return nil
	}
	m.replace = append(m.replace, id)
	for _, e := range whole {
		if err := m.name(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// look returns those of entries whose packs are whole, and notes the others.
func (m *mender) look(ctx context.Context, entries []packEntry) (whole []packEntry, err error) {
	errs := make([]error, len(entries))
	if err := m.each(ctx, len(entries), func(i int) { errs[i] = m.lookAt(ctx, &entries[i]) }); err != nil {
		return nil, err
	}
	for i, e := range entries {
		if errs[i] == nil {
			m.named[e.id] = true
			whole = append(whole, e)
			continue
		}
		_, there := m.packs[e.id]
		m.bad[e.id] = &badPack{why: errs[i], blobs: e.blobs, there: there}
	}
	for _, e := range whole {
		delete(m.bad, e.id) // another index file knew better
	}
	return whole, nil
}

// lookAt returns why a pack is not as an index file says.
func (m *mender) lookAt(ctx context.Context, e *packEntry) error {
	size, there := m.packs[e.id]
	switch {
	case !there:
		return errors.New("pack is missing")
	case size != packSize(e.blobs):
		return fmt.Errorf("pack has %d octets, want %d", size, packSize(e.blobs))
	case !m.o.ReadData:
		return nil
	}
	p, found, err := m.read(ctx, e.id)
	if err == nil && !slices.Equal(found, inOrder(e.blobs)) {
		err = errors.New("pack header and index differ")
	}
	if err == nil {
		_, err = m.good(p, found)
	}
	return err
}

// adopt reads packs that no index file names. Those that are whole are named.
func (m *mender) adopt(ctx context.Context, ids []ID) error {
	entries := make([]packEntry, len(ids))
	err := m.each(ctx, len(ids), func(i int) {
		p, found, err := m.read(ctx, ids[i])
		if err == nil {
			_, err = m.good(p, found)
		}
		if err != nil {
			m.mu.Lock()
			m.bad[ids[i]] = &badPack{why: err, blobs: found, there: true}
			m.mu.Unlock()
			return
		}
		entries[i] = packEntry{id: ids[i], blobs: found}
	})
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.blobs == nil {
			continue
		}
		m.named[e.id] = true
		m.report.Adopted++
		if err := m.name(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

// name puts a pack into the next index file. To name one twice, until the files that are replaced are removed, harms nobody.
func (m *mender) name(ctx context.Context, e packEntry) error {
	m.pending = append(m.pending, e)
	if m.blobs += len(e.blobs); m.blobs < maxIndexBlobs {
		return nil
	}
	return m.flush(ctx)
}

func (m *mender) flush(ctx context.Context) error {
	if len(m.pending) == 0 {
		return nil
	}
	m.report.Written++
	if !m.o.DryRun {
		if _, err := m.repo.saveUnpacked(ctx, blob.Index, appendIndex(nil, m.pending)); err != nil {
			return err
		}
	}
	m.pending, m.blobs = nil, 0
	return nil
}

// each calls do for 0..n-1, several calls at once, and tells how far it is. It fails if a pack could not be read for another reason
// than that it is not whole.
func (m *mender) each(ctx context.Context, n int, do func(i int)) error {
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := range next {
				do(i)
				m.mu.Lock()
				m.done++
				if m.o.Progress != nil {
					m.o.Progress(m.done, max(m.done, len(m.packs)))
				}
				m.mu.Unlock()
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wg.Wait()
	return cmp.Or(context.Cause(ctx), m.broken)
}

// replaceIndexes removes the index files whose place others took.
func (m *mender) replaceIndexes(ctx context.Context) error {
	m.report.Dropped = len(m.replace)
	if m.o.DryRun {
		return nil
	}
	for _, id := range m.replace {
		err := m.repo.bucket.Remove(ctx, blob.Handle{Kind: blob.Index, Name: id.String()})
		if err != nil && !errors.Is(err, blob.ErrNotExist) {
			return err
		}
	}
	return nil
}
