package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"roost/blob"
)

// Prune removes what no snapshot needs. Its order of steps is restic's, so that the repository is whole wherever they end:
//
//  1. find what the snapshots need, and decide
//  2. remove packs that no index file names: nobody refers to them
//  3. copy what is needed out of packs that are mostly not, into new packs that an index file then names
//  4. write index files without the packs that go, and then remove those that name them
//  5. remove these packs
//
// Cut short before 4 a blob is stored twice, and behind it packs are left that no index file names; the next prune finds either.

// ErrDamagedRepository says that something is missing or damaged, so that nobody can tell what else is needed.
var ErrDamagedRepository = errors.New("the repository is damaged, nothing is removed")

// PruneOptions adjusts Prune. The zero value removes all that is not needed.
type PruneOptions struct {
	MaxUnused  UnusedLimit // how much that is not needed may stay in packs that are mostly needed
	MaxRepack  int64       // octets of packs that are copied, at most; 0: no bound
	Small      bool        // also copy packs together that are below four fifths of PackSize
	PackSize   int         // octets at which a pack is closed; default DefaultPackSize
	RemoveAll  bool        // a repository without any snapshot is meant: without, that is refused
	DryRun     bool        // decide, and change nothing
	TakeAsGone []ID        // snapshots that a dry run takes for removed

	// Progress is told, if not nil, how many packs were copied or removed of how many; one call at a time.
	Progress func(done, total int)
}

// A PruneReport is what Prune did, or would do. Octets are those of blobs as they are stored.
type PruneReport struct {
	Snapshots, Trees int   // that were looked at
	Used             int64 // octets that snapshots need, each blob once
	Unused           int64 // octets before that are not needed, or stored twice
	Remaining        int64 // of Unused, octets that stay

	Kept, Repacked, Removed int   // packs that index files named. Repacked ones are removed, too
	Unnamed                 int   // packs that were removed because no index file named them
	UnnamedSize             int64 // octets
	Copied                  int64 // octets that were copied out of repacked packs

	IndexesRemoved, IndexesWritten int // index files; of a dry run not known
}

// Freed returns the octets that are free now, and were not before.
func (r *PruneReport) Freed() int64 { return r.Unused - r.Remaining + r.UnnamedSize }

// Prune removes what no snapshot needs. Nobody else may be at work: a backup that runs is not disturbed, but makes Prune fail with
// ErrLocked. Where a snapshot, a directory or an index file cannot be read, or a pack is not there or not whole, it removes nothing and
// returns ErrDamagedRepository. Cut short, it harms nothing, and the next one goes on.
//
// Memory is that of the index, two bits a blob, 64 octets a pack and 32 octets a snapshot.
func (r *Repo) Prune(ctx context.Context, o PruneOptions) (*PruneReport, error) {
	if o.PackSize == 0 {
		o.PackSize = DefaultPackSize
	}
	p := &pruner{repo: r, o: o}
	mode := Exclusive
	if o.DryRun {
		mode = Shared
	}
	r.writing.Lock()
	defer r.writing.Unlock()
	r.dropIndex()       // a pack that was not there when somebody read may be there
	defer r.dropIndex() // it names packs that are gone
	err := r.WithLock(ctx, mode, func(ctx context.Context, l *Lock) error {
		if err := p.survey(ctx); err != nil {
			return err
		}
		p.decide()
		if o.DryRun {
			return nil
		}
		for _, step := range []func() error{
			func() error { return p.remove(ctx, p.unnamed) },
			func() error { return p.repack(ctx, l) },
			func() error { return p.replaceIndexes(ctx) },
			func() error { return p.remove(ctx, p.leaving()) },
		} {
			if err := cmp.Or(step(), context.Cause(ctx)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("prune: %w", err)
	}
	return &p.report, nil
}

// pruner is one run of Prune.
type pruner struct {
	repo  *Repo
	o     PruneOptions
	index *index // as it was loaded under the lock
	files []ID   // the index files in it
	marks *marks // the places of blobs that are to stay

	packs   []packUse // by number in the index
	unnamed []ID      // packs that no index file names

	report PruneReport
	done   int // packs copied or removed
	total  int
}

// survey finds what is needed, and where it is. Snapshots come before the index and that before the packs, so that a dry run, beside which
// others write, finds what it needs.
func (p *pruner) survey(ctx context.Context) error {
	roots, err := p.roots(ctx)
	if err != nil {
		return err
	}
	if err := p.repo.LoadIndex(ctx); err != nil {
		return err
	}
	if err := p.repo.IndexDamage(); err != nil {
		return fmt.Errorf("%w: %w", ErrDamagedRepository, err)
	}
	p.index, p.files = p.repo.index.Load(), p.repo.indexFiles()
	p.packs = make([]packUse, len(p.index.packs))
	for i := range p.packs {
		p.packs[i] = packUse{id: p.index.packs[i].id, size: missing}
	}
	for e, err := range p.repo.bucket.List(ctx, blob.Pack) {
		if err != nil {
			return err
		}
		id, err := ParseID(e.Name)
		if err != nil {
			return err
		}
		if n, ok := p.index.byPack[id]; ok {
			p.packs[n].size = e.Size
		} else {
			p.unnamed = append(p.unnamed, id)
			p.report.UnnamedSize += e.Size
		}
	}
	p.report.Unnamed = len(p.unnamed)
	if len(roots) == 0 && !p.o.RemoveAll && len(p.packs)+len(p.unnamed) > 0 {
		return fmt.Errorf("%w: there is no snapshot, so all data would go", ErrRemoveAll)
	}
	p.marks = newMarks(p.index, p.packs)
	if err := p.walk(ctx, roots); err != nil {
		return err
	}
	p.marks.chooseCopies()
	return p.countUse()
}

// roots are the trees of all snapshots.
func (p *pruner) roots(ctx context.Context) ([]ID, error) {
	ids, err := p.repo.list(ctx, blob.Snapshot)
	if err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id ID) bool { return p.o.DryRun && slices.Contains(p.o.TakeAsGone, id) })
	p.report.Snapshots = len(ids)
	var (
		mu    sync.Mutex // guards what follows
		roots []ID
		errs  []error
	)
	each(ctx, ids, snapshotLoads, func(id ID) {
		sn, err := p.repo.LoadSnapshot(ctx, id)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			errs = append(errs, err)
			return
		}
		roots = append(roots, *sn.Tree)
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if len(errs) > 0 {
		return nil, asDamage(errors.Join(errs...))
	}
	return roots, nil
}

// asDamage is err as ErrDamagedRepository, if it is of bytes that are not as they should be.
func asDamage(err error) error {
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrNoBlob) {
		return fmt.Errorf("%w: %w", ErrDamagedRepository, err)
	}
	return err
}

// walk marks all blobs that are below the roots.
func (p *pruner) walk(ctx context.Context, roots []ID) error {
	var stack []ID // depth first keeps it short
	need := func(t BlobType, id ID) error {
		fresh, there := p.marks.set(t, id)
		if !there {
			return fmt.Errorf("%w: %v blob %v: %w", ErrDamagedRepository, t, id, ErrNoBlob)
		}
		if fresh && t == TreeBlob {
			stack = append(stack, id)
			p.report.Trees++
		}
		return nil
	}
	for _, id := range roots {
		if err := need(TreeBlob, id); err != nil {
			return err
		}
	}
	for len(stack) > 0 {
		cut := max(0, len(stack)-walkChunk)
		chunk := slices.Clone(stack[cut:])
		stack = stack[:cut]
		err := loadTrees(ctx, p.repo, chunk, func(id ID, nodes []Node, err error) error {
			if err != nil {
				return asDamage(err)
			}
			for i := range nodes {
				if err := needNode(&nodes[i], need); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// needNode asks for all that a node refers to, whatever its type.
func needNode(n *Node, need func(BlobType, ID) error) error {
	if n.Subtree != nil {
		if err := need(TreeBlob, *n.Subtree); err != nil {
			return err
		}
	} else if n.Type == DirNode {
		return fmt.Errorf("%w: directory %q has no subtree", ErrDamagedRepository, n.Name)
	}
	for _, id := range n.Content {
		if err := need(DataBlob, id); err != nil {
			return err
		}
	}
	return nil
}
