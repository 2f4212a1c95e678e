package snapshot

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"roost/mail"
	"roost/repo"
)

// Edit is what changes in one bucket of a mailbox.
type Edit struct {
	Put    []Stored // new messages, ascending; each has an Entry in Entries
	Remove []Slot   // messages that are gone, ascending; not among Put

	// Entries are all messages of the ranges in Ranges, ascending, as they
	// are to be. The .flags of Ranges, and the .ids of IDs, are written anew.
	Entries []Entry
	Ranges  []Slot
	IDs     []Slot
}

// EditBucket carries out e on a bucket of the snapshot prev (nil, and an old
// with no trees: a new one) and stores the result. It returns how many octets
// of messages were removed. A bucket that becomes empty has null trees.
func EditBucket(ctx context.Context, s *repo.Session, prev *Source, old Bucket, e Edit) (b Bucket, removed int64, err error) {
	b = Bucket{First: old.First}
	if b.Mail, removed, err = editMail(ctx, s, prev, old, e); err != nil {
		return b, 0, fmt.Errorf("store messages from %s on: %w", old.First, err)
	}
	if b.Meta, err = editMeta(ctx, s, prev, old, e); err != nil {
		return b, 0, fmt.Errorf("store flags from %s on: %w", old.First, err)
	}
	return b, removed, nil
}

// nodesOf loads a tree into a map by name; empty for a null ID.
func nodesOf(ctx context.Context, prev *Source, id repo.ID) (map[string]repo.Node, error) {
	nodes := make(map[string]repo.Node)
	if id.IsNull() {
		return nodes, nil
	}
	t, err := prev.repo.LoadTree(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, n := range t.Nodes {
		nodes[n.Name] = n
	}
	return nodes, nil
}

// saveNodes stores a tree; null for an empty one.
func saveNodes(ctx context.Context, s *repo.Session, nodes map[string]repo.Node) (repo.ID, error) {
	if len(nodes) == 0 {
		return repo.ID{}, nil
	}
	t := repo.Tree{Nodes: slices.Collect(maps.Values(nodes))}
	t.Sort()
	id, _, _, err := s.SaveTree(ctx, &t)
	return id, err
}

func editMail(ctx context.Context, s *repo.Session, prev *Source, old Bucket, e Edit) (repo.ID, int64, error) {
	if len(e.Put) == 0 && len(e.Remove) == 0 {
		return old.Mail, 0, nil
	}
	shards, err := nodesOf(ctx, prev, old.Mail)
	if err != nil {
		return repo.ID{}, 0, err
	}
	var removed int64
	put, remove := e.Put, e.Remove
	for len(put) > 0 || len(remove) > 0 {
		first := lastSlot
		if len(put) > 0 {
			first = put[0].Slot.Shard()
		}
		if len(remove) > 0 {
			first = min(first, remove[0].Shard())
		}
		nPut, nRemove := 0, 0
		for nPut < len(put) && put[nPut].Slot.Shard() == first {
			nPut++
		}
		for nRemove < len(remove) && remove[nRemove].Shard() == first {
			nRemove++
		}
		octets, err := editShard(ctx, s, prev, shards, first, put[:nPut], remove[:nRemove])
		if err != nil {
			return repo.ID{}, 0, err
		}
		removed += octets
		put, remove = put[nPut:], remove[nRemove:]
	}
	id, err := saveNodes(ctx, s, shards)
	return id, removed, err
}

// editShard replaces one shard in the nodes of a bucket.
func editShard(ctx context.Context, s *repo.Session, prev *Source, shards map[string]repo.Node, first Slot, put []Stored, remove []Slot) (int64, error) {
	name := first.String()
	var t repo.Tree
	if n, ok := shards[name]; ok && n.Subtree != nil {
		old, err := prev.repo.LoadTree(ctx, *n.Subtree)
		if err != nil {
			return 0, err
		}
		t.Nodes = slices.Clone(old.Nodes) // the tree may stand in a cache
	}
	var removed int64
	drop := make(map[string]bool, len(remove)+len(put))
	for _, slot := range remove {
		drop[slot.String()+messageExt] = true
	}
	for i := range put {
		drop[put[i].Slot.String()+messageExt] = true // another message had the slot
	}
	t.Nodes = slices.DeleteFunc(t.Nodes, func(n repo.Node) bool {
		if drop[n.Name] {
			removed += int64(n.Size)
		}
		return drop[n.Name]
	})
	for i := range put {
		t.Nodes = append(t.Nodes, messageNode(&put[i]))
	}
	if len(t.Nodes) == 0 {
		delete(shards, name)
		return removed, nil
	}
	t.Sort()
	id, _, _, err := s.SaveTree(ctx, &t)
	if err != nil {
		return 0, err
	}
	shards[name] = dirNode(name, id)
	return removed, nil
}

func editMeta(ctx context.Context, s *repo.Session, prev *Source, old Bucket, e Edit) (repo.ID, error) {
	if len(e.Ranges) == 0 && len(e.IDs) == 0 {
		return old.Meta, nil
	}
	files, err := nodesOf(ctx, prev, old.Meta)
	if err != nil {
		return repo.ID{}, err
	}
	var text []byte
	for _, first := range e.Ranges {
		text = AppendFlags(text[:0], rangeOf(e.Entries, first))
		if err := putFile(ctx, s, files, first.String()+flagsExt, text); err != nil {
			return repo.ID{}, err
		}
		if len(text) == 0 {
			delete(files, first.String()+idsExt)
		}
	}
	for _, first := range e.IDs {
		if text, err = AppendIDs(text[:0], rangeOf(e.Entries, first)); err != nil {
			return repo.ID{}, err
		}
		if err := putFile(ctx, s, files, first.String()+idsExt, text); err != nil {
			return repo.ID{}, err
		}
	}
	return saveNodes(ctx, s, files)
}

// rangeOf is the part of entries, ascending, that lies in the range from first on.
func rangeOf(entries []Entry, first Slot) []Entry {
	bound := func(e Entry, s Slot) int {
		if e.Slot < s {
			return -1
		}
		return 1
	}
	from, _ := slices.BinarySearchFunc(entries, first, bound)
	to, _ := slices.BinarySearchFunc(entries, first+RangeSize, bound)
	return entries[from:to]
}

// putFile stores text as a file among nodes; no text, no file.
func putFile(ctx context.Context, s *repo.Session, nodes map[string]repo.Node, name string, text []byte) error {
	if len(text) == 0 {
		delete(nodes, name)
		return nil
	}
	var content []repo.ID
	for rest := text; len(rest) > 0; {
		piece := rest[:min(len(rest), repo.MaxBlob/2)]
		id, _, _, err := s.SaveBlob(ctx, repo.DataBlob, piece, repo.Text)
		if err != nil {
			return fmt.Errorf("store %s: %w", name, err)
		}
		content = append(content, id)
		rest = rest[len(piece):]
	}
	nodes[name] = fileNode(name, len(text), content)
	return nil
}

// Tree is the directory of an account while a run puts it together: what
// mailboxes it does not touch are carried over without being read.
type Tree struct {
	session *repo.Session
	prev    *Source // nil: the first snapshot
	mail    dir
	meta    dir
	erased  *Erased
	lazy    bool // see SkipUnchanged
}

// NewTree begins with what stands in prev, or with nothing if that is nil.
func NewTree(s *repo.Session, prev *Source) *Tree {
	t := &Tree{session: s, prev: prev}
	if prev != nil {
		t.mail.old, t.meta.old = subtree(&prev.root, mailDir), subtree(&prev.root, metaDir)
	}
	return t
}

func subtree(t *repo.Tree, name string) repo.ID {
	if n := t.Find(name); n != nil && n.Subtree != nil {
		return *n.Subtree
	}
	return repo.ID{}
}

// SetBuckets makes buckets the messages of a mailbox, in place of those it had.
// None: the mailbox has no messages, or is gone.
func (t *Tree) SetBuckets(ctx context.Context, name mail.Name, buckets []Bucket) error {
	inMail, inMeta := make(map[string]repo.ID, len(buckets)), make(map[string]repo.ID, len(buckets))
	for _, b := range buckets {
		if !b.Mail.IsNull() {
			inMail[bucketPrefix+b.First.String()] = b.Mail
			inMeta[bucketPrefix+b.First.String()] = b.Meta
		}
	}
	path := boxPath(name)
	if err := t.mail.setBuckets(ctx, t.prev, path, inMail); err != nil {
		return fmt.Errorf("directory of %s: %w", name, err)
	}
	if err := t.meta.setBuckets(ctx, t.prev, path, inMeta); err != nil {
		return fmt.Errorf("directory of %s: %w", name, err)
	}
	return nil
}

// SetErased makes e what the account remembers of erased messages; without a call it remembers nothing.
func (t *Tree) SetErased(e *Erased) { t.erased = e }

// Save stores the account and returns the root tree for its snapshot.
func (t *Tree) Save(ctx context.Context, a Account, boxes []Box, problems []Problem, ledger mail.Ledger) (repo.ID, error) {
	files := make(map[string]repo.Node)
	a.Layout = layoutNothingErased
	if !t.erased.IsEmpty() {
		a.Layout = Layout
		if err := putFile(ctx, t.session, files, erasedFile, t.erased.append(nil)); err != nil {
			return repo.ID{}, err
		}
	}
	slices.SortFunc(boxes, func(a, b Box) int { return strings.Compare(string(a.Name), string(b.Name)) })
	if err := putLines(ctx, t.session, files, mailboxesFile, boxes); err != nil {
		return repo.ID{}, err
	}
	if err := putLines(ctx, t.session, files, problemsFile, problems); err != nil {
		return repo.ID{}, err
	}
	if len(boxes) == 0 {
		files[mailboxesFile] = fileNode(mailboxesFile, 0, nil)
	}
	for name, d := range map[string]*dir{mailDir: &t.mail, metaDir: &t.meta} {
		id, err := d.save(ctx, t.session)
		if err != nil {
			return repo.ID{}, err
		}
		if !id.IsNull() {
			files[name] = dirNode(name, id)
		}
	}
	if t.lazy && t.prev != nil && t.prev.holds(files, &a) {
		return repo.ID{}, ErrUnchanged
	}
	account, err := json.MarshalIndent(a, "", "  ")
	if err == nil {
		err = putFile(ctx, t.session, files, accountFile, append(account, '\n'))
	}
	if err != nil {
		return repo.ID{}, err
	}
	books, err := json.Marshal(ledger)
	if err == nil {
		err = putFile(ctx, t.session, files, ledgerFile, append(books, '\n'))
	}
	if err != nil {
		return repo.ID{}, err
	}
	root, err := saveNodes(ctx, t.session, files)
	if err != nil {
		return repo.ID{}, err
	}
	top := FileName(a.Name)
	return saveNodes(ctx, t.session, map[string]repo.Node{top: dirNode(top, root)})
}

func putLines[T any](ctx context.Context, s *repo.Session, files map[string]repo.Node, name string, items []T) error {
	text, err := encodeLines(items)
	if err != nil {
		return fmt.Errorf("store %s: %w", name, err)
	}
	return putFile(ctx, s, files, name, text)
}

// dir is a directory that is being edited. Until something below it changes it
// is only the ID of its tree.
type dir struct {
	old    repo.ID
	loaded bool
	nodes  map[string]repo.Node // without those in subs
	subs   map[string]*dir
}

func (d *dir) load(ctx context.Context, prev *Source) (err error) {
	if d.loaded {
		return nil
	}
	if d.nodes, err = nodesOf(ctx, prev, d.old); err != nil {
		return err
	}
	d.subs = make(map[string]*dir)
	d.loaded = true
	return nil
}

// setBuckets goes down path and replaces the buckets that stand there.
func (d *dir) setBuckets(ctx context.Context, prev *Source, path []string, buckets map[string]repo.ID) error {
	if err := d.load(ctx, prev); err != nil {
		return err
	}
	if len(path) > 0 {
		sub := d.subs[path[0]]
		if sub == nil {
			sub = new(dir)
			if n, ok := d.nodes[path[0]]; ok && n.Subtree != nil {
				sub.old = *n.Subtree
				delete(d.nodes, path[0])
			}
			d.subs[path[0]] = sub
		}
		return sub.setBuckets(ctx, prev, path[1:], buckets)
	}
	for name := range d.nodes {
		if strings.HasPrefix(name, bucketPrefix) {
			delete(d.nodes, name)
		}
	}
	for name, id := range buckets {
		d.nodes[name] = dirNode(name, id)
	}
	return nil
}

// save stores what was edited, deepest first, and returns the tree's ID; null
// if nothing is left in it.
func (d *dir) save(ctx context.Context, s *repo.Session) (repo.ID, error) {
	if !d.loaded {
		return d.old, nil
	}
	for name, sub := range d.subs {
		id, err := sub.save(ctx, s)
		if err != nil {
			return repo.ID{}, err
		}
		if !id.IsNull() {
			d.nodes[name] = dirNode(name, id)
		}
	}
	return saveNodes(ctx, s, d.nodes)
}
