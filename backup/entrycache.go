package backup

import (
	"context"
	"sync"

	"roost/snapshot"
)

// keptEntries is how many entries of the last snapshot a mailbox keeps between its list and its storing: 20 MB. A mailbox that has
// more keeps none, and those of buckets that change are read twice: it needs the memory for its list.
const keptEntries = 128 << 10

// entryCache reads what the last snapshot knows of buckets, and keeps some of it.
type entryCache struct {
	prev *snapshot.Source
	room int // entries that may be kept

	mu   sync.Mutex // guards what follows
	kept map[snapshot.Slot][]snapshot.Entry
	n    int
}

// read returns the entries of a bucket; with only, at least those of the ranges for which it is true.
func (c *entryCache) read(ctx context.Context, b snapshot.Bucket, only func(snapshot.Slot) bool, in *snapshot.Interner) ([]snapshot.Entry, error) {
	if b.Meta.IsNull() {
		return nil, nil
	}
	c.mu.Lock()
	entries, ok := c.kept[b.First]
	c.mu.Unlock()
	if ok {
		return entries, nil
	}
	entries, err := c.prev.Entries(ctx, b, only, in)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n+len(entries) <= c.room {
		if c.kept == nil {
			c.kept = make(map[snapshot.Slot][]snapshot.Entry)
		}
		c.kept[b.First] = entries
		c.n += len(entries)
	}
	return entries, nil
}

// drop forgets a bucket.
func (c *entryCache) drop(b snapshot.Bucket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n -= len(c.kept[b.First])
	delete(c.kept, b.First)
}

// forget drops all: what was read of some ranges must not stand for the whole.
func (c *entryCache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept, c.n = nil, 0
}
