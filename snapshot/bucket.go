package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"roost/mail"
	"roost/repo"
)

// Bucket is where up to 4096 slots of a mailbox stand in a snapshot.
type Bucket struct {
	First Slot
	Mail  repo.ID // tree of shards; null: no messages
	Meta  repo.ID // tree of .flags and .ids; null likewise
}

// Stored is what the node of a message holds: its bytes, their number, and INTERNALDATE.
type Stored struct {
	Slot    Slot
	Size    int64     // octets
	Date    time.Time // zero: unknown
	Content []repo.ID
}

// Buckets are the buckets of a mailbox, ascending.
func (s *Source) Buckets(ctx context.Context, name mail.Name) ([]Bucket, error) {
	all, err := s.BucketsLeft(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, b := range all {
		if b.Meta.IsNull() {
			return nil, fmt.Errorf("messages from %s on have no flags: the snapshot is damaged", b.First)
		}
	}
	return all, nil
}

// BucketsLeft are the buckets that can still be found in a damaged snapshot, beside the error that Buckets gives. Those
// whose flags cannot be found have no Meta.
func (s *Source) BucketsLeft(ctx context.Context, name mail.Name) ([]Bucket, error) {
	var all []Bucket
	at := make(map[Slot]int)
	mailTree, err := s.dir(ctx, mailDir, name)
	if err == nil {
		err = eachBucket(mailTree, func(first Slot, id repo.ID) {
			at[first] = len(all)
			all = append(all, Bucket{First: first, Mail: id})
		})
	}
	metaTree, metaErr := s.dir(ctx, metaDir, name)
	if metaErr == nil {
		metaErr = eachBucket(metaTree, func(first Slot, id repo.ID) {
			if i, ok := at[first]; ok {
				all[i].Meta = id
			}
		})
	}
	return all, errors.Join(err, metaErr)
}

// eachBucket calls f for each bucket in a mailbox's directory, ascending.
func eachBucket(t *repo.Tree, f func(Slot, repo.ID)) error {
	for i := range t.Nodes {
		n := &t.Nodes[i]
		digits, ok := strings.CutPrefix(n.Name, bucketPrefix)
		if !ok || n.Type != repo.DirNode || n.Subtree == nil {
			continue
		}
		first, err := parseGroup(digits, BucketSize)
		if err != nil {
			return err
		}
		f(first, *n.Subtree)
	}
	return nil
}

// dir loads the directory of a mailbox below mail/ or meta/; an empty one if it has none.
func (s *Source) dir(ctx context.Context, branch string, name mail.Name) (*repo.Tree, error) {
	t := &s.root
	for _, step := range append([]string{branch}, boxPath(name)...) {
		n := t.Find(step)
		if n == nil || n.Type != repo.DirNode || n.Subtree == nil {
			return &repo.Tree{}, nil
		}
		var err error
		if t, err = s.repo.LoadTree(ctx, *n.Subtree); err != nil {
			return nil, fmt.Errorf("directory of %s: %w", name, err)
		}
	}
	return t, nil
}

// Entries reads what the snapshot knows of the messages in a bucket, ascending.
// With only, just those of the ranges for which it is true.
func (s *Source) Entries(ctx context.Context, b Bucket, only func(Slot) bool, in *Interner) ([]Entry, error) {
	if b.Meta.IsNull() {
		return nil, nil
	}
	t, err := s.repo.LoadTree(ctx, b.Meta)
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for i := range t.Nodes {
		n := &t.Nodes[i]
		digits, ok := strings.CutSuffix(n.Name, flagsExt)
		if !ok {
			continue
		}
		first, err := parseGroup(digits, RangeSize)
		if err != nil || first.Bucket() != b.First {
			return nil, fmt.Errorf("%.40q stands in the wrong bucket: the snapshot is damaged", n.Name)
		}
		if only != nil && !only(first) {
			continue
		}
		text, err := s.content(ctx, n)
		if err != nil {
			return nil, err
		}
		from := len(entries)
		if entries, err = ParseFlags(entries, text, first, in); err != nil {
			return nil, err
		}
		text = nil
		if ids := t.Find(digits + idsExt); ids != nil {
			if text, err = s.content(ctx, ids); err != nil {
				return nil, err
			}
		}
		if err := ParseIDs(entries[from:], text, first); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// Shard is the messages of 64 slots.
type Shard struct {
	bucket Slot
	first  Slot
	loaded bool
	stored []Stored // ascending
}

// Holds reports whether slot of bucket b belongs into this shard.
func (sh *Shard) Holds(b Bucket, slot Slot) bool {
	return sh.loaded && sh.bucket == b.First && sh.first == slot.Shard()
}

// Find finds a message.
func (sh *Shard) Find(slot Slot) (Stored, bool) {
	i, ok := slices.BinarySearchFunc(sh.stored, slot, func(m Stored, s Slot) int {
		switch {
		case m.Slot < s:
			return -1
		case m.Slot > s:
			return 1
		}
		return 0
	})
	if !ok {
		return Stored{}, false
	}
	return sh.stored[i], true
}

// Shard loads the shard of a bucket that slot is in; it is empty if there is none.
func (s *Source) Shard(ctx context.Context, b Bucket, slot Slot) (Shard, error) {
	sh := Shard{bucket: b.First, first: slot.Shard(), loaded: true}
	if b.Mail.IsNull() {
		return sh, nil
	}
	t, err := s.repo.LoadTree(ctx, b.Mail)
	if err != nil {
		return sh, err
	}
	n := t.Find(sh.first.String())
	if n == nil || n.Subtree == nil {
		return sh, nil
	}
	if t, err = s.repo.LoadTree(ctx, *n.Subtree); err != nil {
		return sh, err
	}
	sh.stored, err = storedIn(t, sh.first)
	return sh, err
}

// StoredLeft reads what the nodes of a bucket hold, ascending. The error tells what could not be read, or is
// known not to be there any more; the messages beside it are all others.
func (s *Source) StoredLeft(ctx context.Context, b Bucket) ([]Stored, error) {
	if b.Mail.IsNull() {
		return nil, nil
	}
	t, err := s.repo.LoadTree(ctx, b.Mail)
	if err != nil {
		return nil, err
	}
	shards := make([][]Stored, len(t.Nodes))
	errs := make([]error, len(t.Nodes))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(t.Nodes)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(t.Nodes); i = int(next.Add(1)) - 1 {
				shards[i], errs[i] = s.shardOf(ctx, &t.Nodes[i])
			}
		})
	}
	wg.Wait()
	stored := make([]Stored, 0, len(t.Nodes)*ShardSize)
	for _, shard := range shards {
		for _, m := range shard {
			if id, ok := s.untrusted(&m); ok {
				errs = append(errs, fmt.Errorf("message %s: data blob %v cannot be read", m.Slot, id))
				continue
			}
			stored = append(stored, m)
		}
	}
	return stored, errors.Join(errs...)
}

// shardOf reads the messages of the shard that a node of a bucket stands for.
func (s *Source) shardOf(ctx context.Context, n *repo.Node) ([]Stored, error) {
	first, err := parseGroup(n.Name, ShardSize)
	if err != nil || n.Subtree == nil {
		return nil, err
	}
	t, err := s.repo.LoadTree(ctx, *n.Subtree)
	if err != nil {
		return nil, err
	}
	return storedIn(t, first)
}

// untrusted returns a blob of the message that is known not to be readable, if there is one.
func (s *Source) untrusted(m *Stored) (repo.ID, bool) {
	for _, id := range m.Content {
		if !s.repo.Trusts(repo.DataBlob, id) {
			return id, true
		}
	}
	return repo.ID{}, false
}

// Trusts reports whether nothing is known against the blobs of a message.
func (s *Source) Trusts(m *Stored) bool {
	_, ok := s.untrusted(m)
	return !ok
}

// CheckShards reads the shards of a bucket in which slots lie, so that an edit of them finds them readable.
func (s *Source) CheckShards(ctx context.Context, b Bucket, slots []Slot) error {
	var shard Shard
	for _, slot := range slots {
		if shard.Holds(b, slot) {
			continue
		}
		var err error
		if shard, err = s.Shard(ctx, b, slot); err != nil {
			return err
		}
	}
	return nil
}

var errNotMessage = errors.New("is no message of this shard: the snapshot is damaged")

// storedIn reads the messages of a shard's tree.
func storedIn(t *repo.Tree, first Slot) ([]Stored, error) {
	stored := make([]Stored, 0, len(t.Nodes))
	for i := range t.Nodes {
		n := &t.Nodes[i]
		digits, ok := strings.CutSuffix(n.Name, messageExt)
		slot, err := ParseSlot(digits)
		if !ok || err != nil || n.Type != repo.FileNode || slot.Shard() != first || n.Size > 1<<62 {
			return nil, fmt.Errorf("%.40q %w", n.Name, errNotMessage)
		}
		m := Stored{Slot: slot, Size: int64(n.Size), Content: n.Content}
		if n.ModTime.Year() > 1 {
			m.Date = n.ModTime
		}
		stored = append(stored, m)
	}
	return stored, nil
}

// epoch is the time of all nodes that have none of their own.
var epoch = time.Unix(0, 0).UTC()

const (
	fileMode = 0o600
	dirMode  = os.ModeDir | 0o700
)

func messageNode(m *Stored) repo.Node {
	date := m.Date.UTC().Truncate(time.Second)
	return repo.Node{Name: m.Slot.String() + messageExt, Type: repo.FileNode, Mode: fileMode,
		ModTime: date, AccessTime: date, ChangeTime: date, Size: uint64(m.Size), Content: m.Content}
}

func fileNode(name string, size int, content []repo.ID) repo.Node {
	return repo.Node{Name: name, Type: repo.FileNode, Mode: fileMode, ModTime: epoch, AccessTime: epoch, ChangeTime: epoch,
		Size: uint64(size), Content: content}
}

func dirNode(name string, subtree repo.ID) repo.Node {
	return repo.Node{Name: name, Type: repo.DirNode, Mode: dirMode, ModTime: epoch, AccessTime: epoch, ChangeTime: epoch,
		Subtree: &subtree}
}
