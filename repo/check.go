package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"slices"
	"sync"

	"roost/blob"
)

// CheckOptions adjusts Check; the zero value checks the structure.
type CheckOptions struct {
	ReadData bool // read every pack whole and verify every blob in it

	// Progress is told, if not nil, how many packs were read of how many; one call at a time.
	Progress func(done, total int)
}

// A Problem is something wrong with one object of the repository.
type Problem struct {
	Object blob.Handle
	Blobs  []ID     // blobs in it that are damaged or missing, if not the whole object is
	Errs   []error  // what is wrong
	Paths  []string // files and directories that suffer, as "SNAPSHOT:/path", at most maxPaths of them
	Hidden int      // how many more paths suffer
}

// String says what is wrong with what, without the paths.
func (p *Problem) String() string { return fmt.Sprintf("%v: %v", p.Object, errors.Join(p.Errs...)) }

const maxPaths = 1000 // of one problem

// A CheckReport is what Check found.
type CheckReport struct {
	Problems []*Problem // something cannot be restored, or restic calls it an error
	Hints    []*Problem // untidy, but nothing is lost: prune tidies up

	Snapshots, Trees, Packs, Blobs int // how many were looked at
}

// OK reports whether there are no problems; hints do not count.
func (c *CheckReport) OK() bool { return len(c.Problems) == 0 }

// Check looks at every snapshot, tree, index file and pack, under a shared lock, so that others may write meanwhile.
// What is wrong stands in the report; the error is for a check that could not be carried out.
// Memory is bounded by the index plus one pack a core.
func (r *Repo) Check(ctx context.Context, o CheckOptions) (*CheckReport, error) {
	var c *checker
	err := r.WithLock(ctx, Shared, func(ctx context.Context, _ *Lock) error {
		c = newChecker(r)
		return c.run(ctx, o)
	})
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	return c.finish(), nil
}

// checker is one run of Check.
type checker struct {
	seed  maphash.Seed
	repo  *Repo
	index *index

	mu       sync.Mutex // guards what follows
	packs    map[ID]*checkedPack
	problems map[blob.Handle]*Problem
	hints    map[blob.Handle]*Problem
	bad      map[badBlob]bool
	report   CheckReport
}

// checkedPack is what index files say of a pack.
type checkedPack struct {
	index  ID // the first index file that names it
	blobs  int
	size   int64  // octets that it must have
	places uint64 // sum over its blobs, to hold against what another index file says
	lost   bool   // missing or cut short
}

// badBlob is one copy of a blob that is no good.
type badBlob struct {
	pack, id ID
	typ      BlobType
}

func newChecker(r *Repo) *checker {
	return &checker{seed: maphash.MakeSeed(), repo: r, index: newIndex(), packs: map[ID]*checkedPack{}, problems: map[blob.Handle]*Problem{},
		hints: map[blob.Handle]*Problem{}, bad: map[badBlob]bool{}}
}

func (c *checker) run(ctx context.Context, o CheckOptions) error {
	// Snapshots before the index: what was stored for a snapshot that we see is then named by an index file that we see.
	roots, err := c.loadSnapshots(ctx)
	if err != nil {
		return err
	}
	if err := c.loadIndex(ctx); err != nil {
		return err
	}
	if err := c.comparePacks(ctx); err != nil {
		return err
	}
	if o.ReadData {
		if err := c.readPacks(ctx, o.Progress); err != nil {
			return err
		}
	}
	return c.walk(ctx, roots)
}

// problem notes an error with an object.
func (c *checker) problem(h blob.Handle, err error) *Problem { return c.note(c.problems, h, err) }

// hint notes something untidy.
func (c *checker) hint(h blob.Handle, err error) { c.note(c.hints, h, err) }

func (c *checker) note(in map[blob.Handle]*Problem, h blob.Handle, err error) *Problem {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := in[h]
	if p == nil {
		p = &Problem{Object: h}
		in[h] = p
	}
	if err != nil && len(p.Errs) < maxPaths {
		p.Errs = append(p.Errs, err)
	}
	return p
}

func (c *checker) loadSnapshots(ctx context.Context) ([]walkItem, error) {
	ids, err := c.repo.list(ctx, blob.Snapshot)
	if err != nil {
		return nil, err
	}
	c.report.Snapshots = len(ids)
	roots := make([]walkItem, 0, len(ids))
	var mu sync.Mutex // guards roots
	each(ctx, ids, snapshotLoads, func(id ID) {
		sn, err := c.repo.LoadSnapshot(ctx, id)
		if errors.Is(err, blob.ErrNotExist) {
			return
		}
		if err != nil {
			c.problem(blob.Handle{Kind: blob.Snapshot, Name: id.String()}, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		roots = append(roots, walkItem{snapshot: id, tree: *sn.Tree, path: id.Short() + ":/"})
	})
	slices.SortFunc(roots, func(a, b walkItem) int { return cmp.Compare(a.path, b.path) })
	return roots, ctx.Err()
}

func (c *checker) loadIndex(ctx context.Context) error {
	ids, err := c.repo.list(ctx, blob.Index)
	if err != nil {
		return err
	}
	each(ctx, ids, max(2, runtime.GOMAXPROCS(0)), func(id ID) {
		if err := c.repo.loadIndexFile(ctx, id, c.addIndex); err != nil {
			c.problem(blob.Handle{Kind: blob.Index, Name: id.String()}, err)
		}
	})
	return ctx.Err()
}

// addIndex takes in one index file. All places of a pack's blobs must come from one file.
func (c *checker) addIndex(id ID, packs []packEntry) error {
	for _, p := range packs {
		n := c.index.addPack(p.id)
		var sum uint64 // of the places, whatever their order
		for i := range p.blobs {
			c.index.add(n, &p.blobs[i])
			sum += maphash.Comparable(c.seed, p.blobs[i])
		}
		c.mu.Lock()
		first := c.packs[p.id]
		if first == nil {
			c.packs[p.id] = &checkedPack{index: id, blobs: len(p.blobs), size: packSize(p.blobs), places: sum}
		}
		c.mu.Unlock()
		if first == nil {
			continue
		}
		h := blob.Handle{Kind: blob.Pack, Name: p.id.String()}
		if first.places == sum && first.blobs == len(p.blobs) {
			c.hint(h, fmt.Errorf("named by two index files, %s and %s", first.index.Short(), id.Short()))
		} else {
			c.problem(h, fmt.Errorf("index files %s and %s differ on it", first.index.Short(), id.Short()))
		}
	}
	return nil
}

// comparePacks holds the packs that there are against those that index files name.
func (c *checker) comparePacks(ctx context.Context) error {
	sizes := make(map[ID]int64, len(c.packs))
	for e, err := range c.repo.bucket.List(ctx, blob.Pack) {
		if err != nil {
			return err
		}
		id, err := ParseID(e.Name)
		if err != nil {
			return err
		}
		sizes[id] = e.Size
	}
	for id, p := range c.packs {
		h := blob.Handle{Kind: blob.Pack, Name: id.String()}
		size, there := sizes[id]
		switch {
		case !there:
			p.lost = true
			c.problem(h, errors.New("pack is missing"))
		case size != p.size:
			p.lost = size < p.size
			c.problem(h, fmt.Errorf("pack has %d octets, want %d", size, p.size))
		}
		delete(sizes, id)
	}
	for id := range sizes {
		c.hint(blob.Handle{Kind: blob.Pack, Name: id.String()}, errors.New("pack is named by no index file"))
	}
	c.report.Packs = len(c.packs)
	c.report.Blobs = c.index.count()
	return nil
}

// finish brings the findings in order.
func (c *checker) finish() *CheckReport {
	sorted := func(m map[blob.Handle]*Problem) []*Problem {
		list := make([]*Problem, 0, len(m))
		for _, p := range m {
			slices.Sort(p.Paths)
			list = append(list, p)
		}
		slices.SortFunc(list, func(a, b *Problem) int {
			return cmp.Or(cmp.Compare(a.Object.Kind, b.Object.Kind), cmp.Compare(a.Object.Name, b.Object.Name))
		})
		return list
	}
	c.report.Problems, c.report.Hints = sorted(c.problems), sorted(c.hints)
	return &c.report
}
