package repo

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
)

const walkChunk = 256 // directories that are loaded together

// A treePair is a directory to copy, and the one of its path in a snapshot that is there already; null if there is none.
type treePair struct{ tree, base ID }

// A treeWalk finds the blobs below a tree that another repository may lack. What is equal in a snapshot that is there whole is not looked at.
type treeWalk struct {
	from, to *Repo
	seen     map[ID]bool             // trees that were looked at
	want     func(t BlobType, id ID) // told of each blob
}

// run visits root and what is below. base is the root of a snapshot that the other repository has; null if it has none.
func (w *treeWalk) run(ctx context.Context, root, base ID) error {
	stack := []treePair{{root, base}} // depth first keeps it short
	for len(stack) > 0 {
		cut := max(0, len(stack)-walkChunk)
		chunk := slices.Clone(stack[cut:])
		stack = stack[:cut]
		chunk = slices.DeleteFunc(chunk, func(p treePair) bool {
			skip := p.tree == p.base || w.seen[p.tree]
			w.seen[p.tree] = true
			return skip
		})
		below, err := w.visit(ctx, chunk)
		if err != nil {
			return err
		}
		stack = append(stack, below...)
	}
	return nil
}

// visit looks at some directories and returns those below.
func (w *treeWalk) visit(ctx context.Context, chunk []treePair) ([]treePair, error) {
	trees, bases := make([]ID, 0, len(chunk)), make([]ID, 0, len(chunk))
	baseOf := make(map[ID]ID, len(chunk))
	for _, p := range chunk {
		trees = append(trees, p.tree)
		baseOf[p.tree] = p.base
		if !p.base.IsNull() {
			bases = append(bases, p.base)
		}
	}
	old, err := w.loadBases(ctx, bases)
	if err != nil {
		return nil, err
	}
	var below []treePair
	err = loadTrees(ctx, w.from, trees, func(id ID, nodes []Node, err error) error {
		if err != nil {
			return err
		}
		w.want(TreeBlob, id)
		below = append(below, w.compare(nodes, old[baseOf[id]])...)
		return nil
	})
	return below, err
}

// compare asks for the contents of a directory, but for what base has as well, and returns the directories in it.
func (w *treeWalk) compare(nodes, base []Node) []treePair {
	known := make(map[string]*Node, len(base))
	for i := range base {
		known[base[i].Name] = &base[i]
	}
	var below []treePair
	for i := range nodes {
		n, old := &nodes[i], known[nodes[i].Name]
		if n.Subtree != nil {
			p := treePair{tree: *n.Subtree}
			if old != nil && old.Subtree != nil {
				p.base = *old.Subtree
			}
			below = append(below, p)
		}
		if old != nil && slices.Equal(n.Content, old.Content) {
			continue
		}
		for _, id := range n.Content {
			w.want(DataBlob, id)
		}
	}
	return below
}

// loadBases loads directories of a snapshot that is in both repositories, or was. One that cannot be read is no help, and no error.
func (w *treeWalk) loadBases(ctx context.Context, ids []ID) (map[ID][]Node, error) {
	found := make(map[ID][]Node, len(ids))
	keep := func(id ID, nodes []Node, err error) error {
		if err == nil {
			found[id] = nodes
		}
		return nil
	}
	for _, r := range []*Repo{w.from, w.to} {
		missing := slices.DeleteFunc(slices.Clone(ids), func(id ID) bool { return found[id] != nil || !r.Has(TreeBlob, id) })
		if err := loadTrees(ctx, r, missing, keep); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// loadTrees loads directories with several workers, and calls fn for each as it comes, one call at a time.
func loadTrees(ctx context.Context, r *Repo, ids []ID, fn func(id ID, nodes []Node, err error) error) error {
	var mu sync.Mutex // held while fn is called; guards errs
	var errs []error
	var wg sync.WaitGroup
	for _, part := range r.packOrder(TreeBlob, ids, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			err := r.LoadBlobs(ctx, TreeBlob, part, func(id ID, p []byte, err error) error {
				var nodes []Node
				if err == nil {
					if nodes, err = decodeNodes(p); err != nil {
						err = fmt.Errorf("tree %v: %w", id, err)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				return fn(id, nodes, err)
			})
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
