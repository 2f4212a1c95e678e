package repo

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"roost/blob"
)

// A hold is a snapshot of its own, so that it stands in the repository and holds on every machine:
//
//	tags     ["roost-hold"]
//	paths    ["/.hold/<16 random hex digits>"]
//	tree     /.hold/<the same>/hold.json             what is held, since when and why
//	         /.hold/<the same>/<time>-<id>/          the tree of each snapshot that is held
//
// No other snapshot has its path, so restic's forget, which groups by host and paths, finds it alone in its group and keeps it; and
// as it refers to the trees, prune keeps their data, even if restic's forget removed the snapshots themselves.
// To hold takes a writer, to let go takes one who may delete.
//
// A snapshot of another path that has the tag is held as well: that is how plain restic holds, and keeps, one.

// HoldTag marks holds, and snapshots that are held by it alone.
const HoldTag = "roost-hold"

// holdPath begins the path of a hold. No account has it: a dot in front of a name is escaped.
const holdPath = "/.hold/"

const (
	holdVersion = 1
	maxHold     = 64 << 20 // octets of hold.json: some 100,000 snapshots
)

// ErrHeld says that a snapshot is held, and was therefore left alone.
var ErrHeld = errors.New("it is held")

// A Hold keeps snapshots, whatever rules say.
type Hold struct {
	ID      ID     // of the snapshot that is the hold
	Reason  string // why, for people
	Account string // what people call Path
	Path    string // all snapshots of this path are held, also those to come; "": just Snapshots
	By      string // who holds, as user@host
	Since   time.Time

	Snapshots []HeldSnapshot // oldest first
}

// A HeldSnapshot is a snapshot as it was when the hold began.
type HeldSnapshot struct {
	Origin   ID              `json:"id"`       // see Snapshot.Origin: it outlives tag and copy
	Snapshot json.RawMessage `json:"snapshot"` // the object itself
}

// holdFile is hold.json.
type holdFile struct {
	Version   int            `json:"version"`
	Reason    string         `json:"reason"`
	Account   string         `json:"account,omitempty"`
	Path      string         `json:"path,omitempty"`
	By        string         `json:"by"`
	Since     time.Time      `json:"since"`
	Snapshots []HeldSnapshot `json:"snapshots"`
}

// Origin is the ID by which a snapshot is known for ever: that of the object from which tag or copy made it.
func (sn *Snapshot) Origin() ID {
	if sn.Original != nil && !sn.Original.IsNull() {
		return *sn.Original
	}
	return sn.ID
}

// IsHold reports whether the snapshot is a hold, and so no backup of anything.
func IsHold(sn *Snapshot) bool { return len(sn.Paths) == 1 && strings.HasPrefix(sn.Paths[0], holdPath) }

// Holds are all holds of a repository. The zero value is none.
type Holds struct {
	List []Hold // oldest first

	byOrigin map[ID]int     // places in List
	byPath   map[string]int // as well
}

// Of returns the hold that holds the snapshot; nil if none does.
func (h *Holds) Of(sn *Snapshot) *Hold {
	if at, ok := h.byOrigin[sn.Origin()]; ok {
		return &h.List[at]
	}
	for _, path := range sn.Paths {
		if at, ok := h.byPath[path]; ok {
			return &h.List[at]
		}
	}
	if slices.Contains(sn.Tags, HoldTag) {
		return &Hold{ID: sn.ID, Reason: "it has the tag " + HoldTag}
	}
	return nil
}

// Guard returns ErrHeld for a snapshot that must not be removed or rewritten: one that is held, or is a hold itself.
func (h *Holds) Guard(sn *Snapshot) error {
	if IsHold(sn) {
		return fmt.Errorf("snapshot %s: %w: it is a hold itself", sn.ID.Short(), ErrHeld)
	}
	if hold := h.Of(sn); hold != nil {
		return fmt.Errorf("snapshot %s: %w by %s: %s", sn.ID.Short(), ErrHeld, hold.ID.Short(), hold.Reason)
	}
	return nil
}

// judge makes the verdict one to keep, if the snapshot is held.
func (h *Holds) judge(v *Verdict) {
	if hold := h.Of(v.Snapshot); hold != nil {
		v.Keep = true
		v.Reasons = append(v.Reasons, "held: "+hold.Reason)
	}
}

// Holds reads the holds among all snapshots. One that cannot be read is an error: nobody can tell what it holds.
func (r *Repo) Holds(ctx context.Context, all []*Snapshot) (*Holds, error) {
	h := &Holds{byOrigin: map[ID]int{}, byPath: map[string]int{}}
	for _, sn := range all {
		if !IsHold(sn) {
			continue
		}
		hold, err := r.loadHold(ctx, sn)
		if err != nil {
			return nil, fmt.Errorf("read hold %s: %w", sn.ID.Short(), err)
		}
		for _, s := range hold.Snapshots {
			h.byOrigin[s.Origin] = len(h.List)
		}
		if hold.Path != "" {
			h.byPath[hold.Path] = len(h.List)
		}
		h.List = append(h.List, hold)
	}
	return h, nil
}

func (r *Repo) loadHold(ctx context.Context, sn *Snapshot) (Hold, error) {
	p, err := r.loadFile(ctx, *sn.Tree, append(strings.Split(strings.Trim(sn.Paths[0], "/"), "/"), "hold.json"), maxHold)
	if err != nil {
		return Hold{}, err
	}
	var f holdFile
	if err := json.Unmarshal(p, &f); err != nil {
		return Hold{}, fmt.Errorf("decode hold.json: %w", err)
	}
	if f.Version != holdVersion {
		return Hold{}, fmt.Errorf("hold.json is of version %d, this program knows %d", f.Version, holdVersion)
	}
	return Hold{ID: sn.ID, Reason: f.Reason, Account: f.Account, Path: f.Path, By: f.By, Since: f.Since, Snapshots: f.Snapshots}, nil
}

// loadFile returns the bytes of a small file in a tree.
func (r *Repo) loadFile(ctx context.Context, tree ID, path []string, limit int) ([]byte, error) {
	for i, name := range path {
		t, err := r.LoadTree(ctx, tree)
		if err != nil {
			return nil, err
		}
		n := t.Find(name)
		last := i == len(path)-1
		switch {
		case n == nil, last && n.Type != FileNode, !last && (n.Type != DirNode || n.Subtree == nil):
			return nil, fmt.Errorf("%s: %w", strings.Join(path[:i+1], "/"), os.ErrNotExist)
		case !last:
			tree = *n.Subtree
			continue
		}
		var body []byte
		for _, id := range n.Content {
			p, err := r.LoadBlob(ctx, DataBlob, id, nil)
			if err != nil {
				return nil, err
			}
			if body = append(body, p...); len(body) > limit {
				return nil, fmt.Errorf("%s has more than %d octets", name, limit)
			}
		}
		return body, nil
	}
	return nil, os.ErrNotExist
}

// AddHold holds snapshots from now on, and with Path set all of that path. Reason, Account and Path of h are taken; the rest is
// filled in. It deletes nothing, so that a writer who may not delete can hold. What is not there any more cannot be held.
func (r *Repo) AddHold(ctx context.Context, h Hold, snapshots []*Snapshot, program string) (Hold, error) {
	if strings.TrimSpace(h.Reason) == "" {
		return Hold{}, errors.New("hold: there is no reason")
	}
	host, user := whoami()
	h.By, h.Since = user+"@"+host, time.Now().UTC().Truncate(time.Second)
	err := r.Write(ctx, WriteOptions{}, func(ctx context.Context, s *Session) error {
		var err error
		if h.Snapshots, err = r.holdable(ctx, snapshots); err != nil {
			return err
		}
		var name [8]byte
		rand.Read(name[:])
		path := holdPath + hex.EncodeToString(name[:])
		root, err := s.saveHold(ctx, path, &h)
		if err != nil {
			return err
		}
		h.ID, err = s.SaveSnapshot(ctx, Snapshot{Time: time.Now(), Tree: &root, Paths: []string{path}, Tags: []string{HoldTag}, ProgramVersion: program})
		return err
	})
	if err != nil {
		return Hold{}, fmt.Errorf("hold: %w", err)
	}
	return h, nil
}

// holdable loads the objects of snapshots, oldest first.
func (r *Repo) holdable(ctx context.Context, snapshots []*Snapshot) ([]HeldSnapshot, error) {
	snapshots = slices.SortedFunc(slices.Values(snapshots), func(a, b *Snapshot) int { return a.Time.Compare(b.Time) })
	held := make([]HeldSnapshot, len(snapshots))
	place := make(map[ID]int, len(snapshots))
	ids := make([]ID, len(snapshots))
	for i, sn := range snapshots {
		held[i].Origin, ids[i], place[sn.ID] = sn.Origin(), sn.ID, i
	}
	var mu sync.Mutex // guards errs
	var errs []error
	each(ctx, ids, snapshotLoads, func(id ID) {
		p, err := r.loadUnpacked(ctx, blob.Snapshot, id)
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
			return
		}
		held[place[id]].Snapshot = bytes.TrimSpace(p)
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return held, errors.Join(errs...)
}

// saveHold stores the tree of a hold.
func (s *Session) saveHold(ctx context.Context, path string, h *Hold) (ID, error) {
	p, err := json.Marshal(holdFile{Version: holdVersion, Reason: h.Reason, Account: h.Account, Path: h.Path, By: h.By, Since: h.Since,
		Snapshots: h.Snapshots})
	if err != nil {
		return ID{}, err
	}
	if len(p) > maxHold {
		return ID{}, fmt.Errorf("%d snapshots are too many for one hold", len(h.Snapshots))
	}
	epoch := time.Unix(0, 0).UTC()
	file := Node{Name: "hold.json", Type: FileNode, Mode: 0o600, Size: uint64(len(p)), ModTime: h.Since, AccessTime: h.Since, ChangeTime: h.Since}
	for part := range slices.Chunk(p, MaxBlob/2) {
		id, _, _, err := s.SaveBlob(ctx, DataBlob, part, Text)
		if err != nil {
			return ID{}, err
		}
		file.Content = append(file.Content, id)
	}
	dir := func(name string, tree ID) Node {
		return Node{Name: name, Type: DirNode, Mode: os.ModeDir | 0o700, ModTime: epoch, AccessTime: epoch, ChangeTime: epoch, Subtree: &tree}
	}
	t := &Tree{Nodes: []Node{file}}
	for _, held := range h.Snapshots {
		var sn Snapshot
		if err := json.Unmarshal(held.Snapshot, &sn); err != nil {
			return ID{}, fmt.Errorf("decode snapshot %v: %w", held.Origin, err)
		}
		t.Nodes = append(t.Nodes, dir(sn.Time.UTC().Format("20060102T150405Z-")+held.Origin.String(), *sn.Tree))
	}
	t.Sort()
	names := strings.Split(strings.Trim(path, "/"), "/")
	for i := len(names) - 1; ; i-- {
		id, _, _, err := s.SaveTree(ctx, t)
		if err != nil || i < 0 {
			return id, err
		}
		t = &Tree{Nodes: []Node{dir(names[i], id)}}
	}
}

// RemoveHold lets go of what a hold holds. ErrNoSnapshot if there is no such hold.
func (r *Repo) RemoveHold(ctx context.Context, id ID) error {
	err := r.WithLock(ctx, Exclusive, func(ctx context.Context, _ *Lock) error {
		sn, err := r.LoadSnapshot(ctx, id)
		if errors.Is(err, blob.ErrNotExist) || err == nil && !IsHold(sn) {
			return fmt.Errorf("hold %s: %w", id.Short(), ErrNoSnapshot)
		}
		if err != nil {
			return err
		}
		return r.bucket.Remove(ctx, blob.Handle{Kind: blob.Snapshot, Name: id.String()})
	})
	if err != nil {
		return fmt.Errorf("let go: %w", err)
	}
	return nil
}
