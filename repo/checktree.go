package repo

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"roost/blob"
)

// walkItem is a directory to look at.
type walkItem struct {
	snapshot ID // the first in which it was met
	tree     ID
	path     string // "SNAPSHOT:/path/"
}

// walker visits every directory of all snapshots once, with several workers.
type walker struct {
	mu      sync.Mutex // guards what follows
	more    sync.Cond
	todo    []walkItem // a stack: depth first keeps it short
	working int
	seen    map[ID]bool
}

// next returns a directory to visit; false when all are done or ctx ended.
func (w *walker) next(ctx context.Context) (walkItem, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if ctx.Err() != nil || len(w.todo) == 0 && w.working == 0 {
			w.more.Broadcast()
			return walkItem{}, false
		}
		if n := len(w.todo); n > 0 {
			item := w.todo[n-1]
			w.todo = w.todo[:n-1]
			w.working++
			return item, true
		}
		w.more.Wait()
	}
}

// done puts the directories below a visited one on the stack, unless they were seen.
func (w *walker) done(below []walkItem) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.working--
	for _, item := range below {
		if !w.seen[item.tree] {
			w.seen[item.tree] = true
			w.todo = append(w.todo, item)
		}
	}
	w.more.Broadcast()
}

// walk visits all directories below the roots.
func (c *checker) walk(ctx context.Context, roots []walkItem) error {
	w := &walker{seen: map[ID]bool{}, working: 1}
	w.more.L = &w.mu
	w.done(roots)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				item, ok := w.next(ctx)
				if !ok {
					return
				}
				w.done(c.visit(ctx, item))
			}
		})
	}
	wg.Wait()
	c.report.Trees = len(w.seen)
	return ctx.Err()
}

// visit checks one directory and returns those below.
func (c *checker) visit(ctx context.Context, item walkItem) []walkItem {
	sn := blob.Handle{Kind: blob.Snapshot, Name: item.snapshot.String()}
	if !c.need(item, TreeBlob, item.tree, item.path) {
		return nil
	}
	p, err := c.loadTree(ctx, item.tree)
	if err != nil {
		if ctx.Err() == nil {
			c.need(item, TreeBlob, item.tree, item.path) // now known to be bad
		}
		return nil
	}
	nodes, err := decodeNodes(p)
	if err != nil {
		c.suffer(c.problem(sn, fmt.Errorf("%s: tree %v: %w", item.path, item.tree, err)), item.path)
		return nil
	}
	var below []walkItem
	for i := range nodes {
		n := &nodes[i]
		path := item.path + n.Name
		if err := checkNode(n); err != nil {
			c.suffer(c.problem(sn, fmt.Errorf("%s: tree %v: %w", path, item.tree, err)), path)
			continue
		}
		if err := validNodeName(n.Name); err != nil {
			c.hint(sn, fmt.Errorf("%s: tree %v: %w: it cannot be restored", path, item.tree, err))
		}
		if n.Type == DirNode {
			below = append(below, walkItem{snapshot: item.snapshot, tree: *n.Subtree, path: path + "/"})
			continue
		}
		c.checkContent(item, n, path)
	}
	return below
}

// checkContent looks for every blob of a file, and holds their lengths against the file's.
func (c *checker) checkContent(item walkItem, n *Node, path string) {
	var size uint64
	whole := true
	for _, id := range n.Content {
		whole = c.need(item, DataBlob, id, path) && whole
		if places := c.index.lookup(DataBlob, id); len(places) > 0 {
			size += uint64(places[0].size())
		}
	}
	if n.Type == FileNode && whole && size != n.Size {
		c.hint(blob.Handle{Kind: blob.Snapshot, Name: item.snapshot.String()},
			fmt.Errorf("%s: size is %d octets, its blobs have %d", path, n.Size, size))
	}
}

// checkNode holds a node to what restic's check wants.
func checkNode(n *Node) error {
	switch n.Type {
	case FileNode:
		if n.Content == nil {
			return errors.New("file without list of contents")
		}
		for _, id := range n.Content {
			if id.IsNull() {
				return errors.New("file with a null blob")
			}
		}
	case DirNode:
		if n.Subtree == nil || n.Subtree.IsNull() {
			return errors.New("directory without subtree")
		}
	case "symlink", "socket", "chardev", "dev", "fifo", "irregular":
	default:
		return fmt.Errorf("unknown node type %q", n.Type)
	}
	if n.Name == "" {
		return errors.New("node without name")
	}
	return nil
}

// need reports whether a good copy of the blob is known, and blames the object at fault for the path if not.
func (c *checker) need(item walkItem, t BlobType, id ID, path string) bool {
	places := c.index.lookup(t, id)
	if len(places) == 0 {
		h := blob.Handle{Kind: blob.Snapshot, Name: item.snapshot.String()}
		c.suffer(c.problem(h, fmt.Errorf("%s: %v blob %v: %w", path, t, id, ErrNoBlob)), path)
		return false
	}
	for i := range places {
		if c.good(&places[i]) {
			return true
		}
	}
	for i := range places {
		c.suffer(c.problem(blob.Handle{Kind: blob.Pack, Name: places[i].pack.String()}, nil), path)
	}
	return false
}

// loadTree returns a tree blob from a copy that is good, and notes the copies before it that are not.
func (c *checker) loadTree(ctx context.Context, id ID) ([]byte, error) {
	for _, at := range c.index.lookup(TreeBlob, id) {
		if !c.good(&at) {
			continue
		}
		p, err := c.repo.loadPlace(ctx, &at, nil)
		if err == nil {
			return p, nil
		}
		if ctx.Err() != nil {
			return nil, err
		}
		h := c.packHandle(at.pack)
		c.problem(h, c.spoil(h, at.pack, &at.packed, err))
	}
	return nil, fmt.Errorf("tree %v: %w", id, errDamaged)
}

// good reports whether nothing bad is known of a copy of a blob.
func (c *checker) good(at *location) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.packs[at.pack].lost && !c.bad[badBlob{pack: at.pack, id: at.id, typ: at.typ}]
}

func (c *checker) packHandle(id ID) blob.Handle {
	return blob.Handle{Kind: blob.Pack, Name: id.String()}
}

// suffer adds a path to those that a problem concerns.
func (c *checker) suffer(p *Problem, path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(p.Paths) < maxPaths {
		p.Paths = append(p.Paths, path)
	} else {
		p.Hidden++
	}
}
