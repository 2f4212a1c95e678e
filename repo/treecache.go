package repo

import (
	"container/list"
	"sync"
)

// treeCacheSize bounds the cache of directories, in octets of their JSON; decoded they take about twice that.
const treeCacheSize = 8 << 20

// treeCache keeps the directories used last: a walk over a snapshot meets the same parents again and again.
// Its zero value is ready.
type treeCache struct {
	mu     sync.Mutex // guards what follows
	byID   map[ID]*list.Element
	recent list.List // of *cachedTree, the latest in front
	size   int       // octets
}

type cachedTree struct {
	id   ID
	tree *Tree
	size int
}

// find returns a cached directory, or nil.
func (c *treeCache) find(id ID) *Tree {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byID[id]
	if e == nil {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*cachedTree).tree
}

// add puts a directory in and the oldest ones out. One that would fill a quarter of the cache is not kept.
func (c *treeCache) add(id ID, t *Tree, size int) {
	if size > treeCacheSize/4 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil {
		c.byID = map[ID]*list.Element{}
	}
	if c.byID[id] != nil {
		return
	}
	c.byID[id] = c.recent.PushFront(&cachedTree{id: id, tree: t, size: size})
	c.size += size
	for c.size > treeCacheSize {
		e := c.recent.Back()
		old := c.recent.Remove(e).(*cachedTree)
		delete(c.byID, old.id)
		c.size -= old.size
	}
}
