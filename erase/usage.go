package erase

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"roost/repo"
	"roost/snapshot"
)

// lookForUsers finds who else uses the blobs of erased messages, in any snapshot of the repository. Those blobs stay.
func (p *Plan) lookForUsers(ctx context.Context) error {
	u := users{repo: p.repo, wanted: make(map[repo.ID]bool), by: make(map[repo.ID]string), seen: make(map[treeOf]bool),
		seenCuts: make(map[*cut]bool), chosen: make(map[bytesOf][]*Message)}
	works := make(map[repo.ID]*Snapshot)
	accounts := make(map[string]string) // names by path
	for _, a := range p.Accounts {
		accounts["/"+snapshot.FileName(a.Name)] = a.Name
		for _, m := range a.Messages {
			for _, id := range m.Blobs {
				u.wanted[id] = true
			}
			in := bytesOf{a.Name, contentOf(m.Blobs)}
			u.chosen[in] = append(u.chosen[in], m)
		}
		for _, sn := range a.Snapshots {
			works[sn.ID] = sn
		}
	}
	for i, sn := range p.snapshots {
		if u.account = ""; slices.Contains(sn.Tags, tag) && len(sn.Paths) == 1 {
			u.account = accounts[sn.Paths[0]]
		}
		if u.account == "" && len(u.by) == len(u.wanted) {
			continue
		}
		p.progress("look who else uses it", i, len(p.snapshots))
		var cuts map[repo.ID][]*cut
		if w := works[sn.ID]; w != nil {
			cuts, u.boxes = w.cutTrees(), len(w.boxes)
		}
		u.crossed = make(map[repo.ID]int)
		if err := u.walk(ctx, *sn.Tree, sn.ID.Short()+":", cuts); err != nil {
			return err
		}
	}
	p.Doubts = append(p.Doubts, u.damaged...)
	for _, a := range p.Accounts {
		for _, m := range a.Messages {
			m.Used = u.used(m.Blobs)
		}
	}
	return nil
}

// cutTrees are the cuts of messages in a snapshot, by the tree that they are in.
func (s *Snapshot) cutTrees() map[repo.ID][]*cut {
	cuts := make(map[repo.ID][]*cut)
	for i := range s.boxes {
		for _, c := range s.boxes[i].cuts {
			if len(c.hits) > 0 {
				cuts[c.old.Mail] = append(cuts[c.old.Mail], c)
			}
		}
	}
	return cuts
}

// maxPath bounds how deep a tree is looked at, by the octets of the path. Nobody's files lie deeper.
const maxPath = 64 << 10

// users finds users of blobs.
type users struct {
	repo     *repo.Repo
	wanted   map[repo.ID]bool
	by       map[repo.ID]string // one user of each blob that has any
	seen     map[treeOf]bool    // trees that were looked at whole
	seenCuts map[*cut]bool
	chosen   map[bytesOf][]*Message
	account  string          // that is looked at; "": nothing of it is erased
	boxes    int             // mailboxes of the snapshot that is looked at from which something goes
	crossed  map[repo.ID]int // how often trees were looked at on the way to them
	damaged  []Doubt
}

// treeOf is a tree in the snapshots of an account.
type treeOf struct {
	account string
	id      repo.ID
}

// bytesOf are the bytes of a message in an account.
type bytesOf struct {
	account string
	content contentID
}

// walk looks at what is below a tree, without what goes from it.
func (u *users) walk(ctx context.Context, id repo.ID, path string, cuts map[repo.ID][]*cut) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if here := cuts[id]; len(here) > 0 {
		cuts[id] = here[1:] // another mailbox may have the same tree
		return u.walkCut(ctx, here[0], path)
	}
	if len(cuts) == 0 {
		if u.seen[treeOf{u.account, id}] {
			return nil
		}
		u.seen[treeOf{u.account, id}] = true
	} else if u.crossed[id]++; u.crossed[id] > u.boxes {
		u.unreadable(path[:min(len(path), 200)], errors.New("the same directory stands in more places than there are mailboxes"))
		return nil
	}
	t, err := u.repo.LoadTree(ctx, id)
	if err == nil && len(path) > maxPath {
		err = errors.New("it is nested too deep")
	}
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		u.unreadable(path[:min(len(path), 200)], err)
		return nil
	}
	for i := range t.Nodes {
		n := &t.Nodes[i]
		at := path + "/" + n.Name
		u.use(n.Content, at)
		if n.Type != repo.DirNode || n.Subtree == nil {
			continue
		}
		below := cuts
		if strings.HasPrefix(n.Name, "msg-") && len(cuts[*n.Subtree]) == 0 {
			below = nil // nothing is cut inside of a bucket that is not
		}
		if err := u.walk(ctx, *n.Subtree, at, below); err != nil {
			return err
		}
	}
	return nil
}

// walkCut looks at the messages that stay in a bucket.
func (u *users) walkCut(ctx context.Context, c *cut, path string) error {
	if u.seenCuts[c] {
		return nil
	}
	u.seenCuts[c] = true
	t, err := u.repo.LoadTree(ctx, c.old.Mail)
	if err != nil {
		return err // it was read before
	}
	gone := make(map[string]bool, len(c.hits))
	for i := range c.hits {
		gone[c.hits[i].entry.Slot.String()+".eml"] = true
	}
	for i := range t.Nodes {
		n := &t.Nodes[i]
		if n.Type != repo.DirNode || n.Subtree == nil {
			continue
		}
		shard, err := u.repo.LoadTree(ctx, *n.Subtree)
		if err != nil {
			u.unreadable(path+"/"+n.Name, err)
			continue
		}
		for j := range shard.Nodes {
			if m := &shard.Nodes[j]; !gone[m.Name] {
				u.use(m.Content, path+"/"+n.Name+"/"+m.Name)
			}
		}
	}
	return nil
}

// use notes a file that stays.
func (u *users) use(content []repo.ID, path string) {
	if len(content) == 0 {
		return
	}
	if u.account != "" && u.wanted[content[0]] {
		for _, m := range u.chosen[bytesOf{u.account, contentOf(content)}] {
			m.Kept = true
		}
	}
	for _, id := range content {
		if u.wanted[id] && u.by[id] == "" {
			u.by[id] = path
		}
	}
}

// unreadable notes a directory that may use any blob.
func (u *users) unreadable(path string, err error) {
	u.damaged = append(u.damaged, Doubt{Where: path, Err: fmt.Errorf("who else uses the bytes is not known: %w", err)})
}

// used are those of blobs that somebody uses, each once.
func (u *users) used(blobs []repo.ID) []Use {
	var all []Use
	told := make(map[repo.ID]bool)
	for _, id := range blobs {
		if by := u.by[id]; by != "" && !told[id] {
			told[id] = true
			size, _ := u.repo.BlobSize(repo.DataBlob, id)
			all = append(all, Use{Blob: id, Size: int64(size), By: by})
		}
	}
	return all
}
