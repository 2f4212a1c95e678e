package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"roost/blob"
)

// A Snapshot is a saved tree, as restic describes it. It is stored as an unpacked object.
type Snapshot struct {
	Time           time.Time `json:"time"`
	Parent         *ID       `json:"parent,omitempty"`
	Tree           *ID       `json:"tree"`
	Paths          []string  `json:"paths"` // never nil when written: rustic wants it
	Hostname       string    `json:"hostname,omitempty"`
	Username       string    `json:"username,omitempty"`
	UID            uint32    `json:"uid,omitempty"`
	GID            uint32    `json:"gid,omitempty"`
	Excludes       []string  `json:"excludes,omitempty"`
	Tags           []string  `json:"tags,omitempty"`
	Original       *ID       `json:"original,omitempty"`
	ProgramVersion string    `json:"program_version,omitempty"`
	Summary        *Summary  `json:"summary,omitempty"`

	ID ID `json:"-"` // of the stored object; set by those who load it
}

// Summary tells what the run that made a snapshot did. All counts are those of the run, not of the repository.
type Summary struct {
	BackupStart         time.Time `json:"backup_start"`
	BackupEnd           time.Time `json:"backup_end"`
	FilesNew            uint      `json:"files_new"`
	FilesChanged        uint      `json:"files_changed"`
	FilesUnmodified     uint      `json:"files_unmodified"`
	DirsNew             uint      `json:"dirs_new"`
	DirsChanged         uint      `json:"dirs_changed"`
	DirsUnmodified      uint      `json:"dirs_unmodified"`
	DataBlobs           int       `json:"data_blobs"`
	TreeBlobs           int       `json:"tree_blobs"`
	DataAdded           uint64    `json:"data_added"`        // octets before compression
	DataAddedPacked     uint64    `json:"data_added_packed"` // octets stored
	TotalFilesProcessed uint      `json:"total_files_processed"`
	TotalBytesProcessed uint64    `json:"total_bytes_processed"`
}

// SaveSnapshot flushes the session, so that everything the snapshot needs is durable, and then stores the snapshot.
// Zero Time, Hostname, Username, UID and GID are filled in; Tree and Paths must be set.
func (s *Session) SaveSnapshot(ctx context.Context, sn Snapshot) (ID, error) {
	if sn.Tree == nil || sn.Tree.IsNull() {
		return ID{}, errors.New("save snapshot: it has no tree")
	}
	if len(sn.Paths) == 0 {
		return ID{}, errors.New("save snapshot: it has no path")
	}
	if sn.Time.IsZero() {
		sn.Time = time.Now()
	}
	if sn.Hostname == "" {
		sn.Hostname, _ = os.Hostname()
	}
	if sn.Username == "" {
		_, sn.Username = whoami()
		sn.UID, sn.GID = userIDs()
	}
	p, err := json.Marshal(sn)
	if err != nil {
		return ID{}, fmt.Errorf("save snapshot: %w", err)
	}
	return s.saveSnapshot(ctx, p, *sn.Tree)
}

// saveSnapshot flushes the session and stores the JSON of a snapshot.
func (s *Session) saveSnapshot(ctx context.Context, p []byte, tree ID) (ID, error) {
	if err := s.Flush(ctx); err != nil {
		return ID{}, fmt.Errorf("save snapshot: %w", err)
	}
	if err := s.lock.Settled(ctx); err != nil {
		return ID{}, fmt.Errorf("save snapshot: %w", err)
	}
	if len(s.index.lookup(TreeBlob, tree)) == 0 {
		return ID{}, fmt.Errorf("save snapshot: tree %v: %w", tree, ErrNoBlob)
	}
	id, err := s.repo.saveUnpacked(ctx, blob.Snapshot, p)
	if err != nil {
		return ID{}, fmt.Errorf("save snapshot: %w", err)
	}
	return id, nil
}

// LoadSnapshot loads a snapshot by its full ID.
func (r *Repo) LoadSnapshot(ctx context.Context, id ID) (*Snapshot, error) {
	p, err := r.loadUnpacked(ctx, blob.Snapshot, id)
	if err != nil {
		return nil, err
	}
	var sn Snapshot
	if err := json.Unmarshal(p, &sn); err != nil {
		return nil, fmt.Errorf("decode snapshot %v: %w", id, damaged(err))
	}
	if sn.Tree == nil || sn.Tree.IsNull() {
		return nil, fmt.Errorf("decode snapshot %v: %w: it has no tree", id, ErrDamaged)
	}
	sn.ID = id
	return &sn, nil
}

// Snapshots returns all snapshots, oldest first. Those that cannot be read are left out and told by the error, which joins
// one error for each: the others are good nevertheless.
func (r *Repo) Snapshots(ctx context.Context) ([]*Snapshot, error) {
	ids, err := r.list(ctx, blob.Snapshot)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	var (
		mu    sync.Mutex // guards what follows
		found []*Snapshot
		bad   []error
	)
	each(ctx, ids, snapshotLoads, func(id ID) {
		sn, err := r.LoadSnapshot(ctx, id)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			found = append(found, sn)
		case !errors.Is(err, blob.ErrNotExist): // forgotten since the listing
			bad = append(bad, err)
		}
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	slices.SortFunc(found, func(a, b *Snapshot) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return slices.Compare(a.ID[:], b.ID[:])
	})
	return found, errors.Join(bad...)
}

const snapshotLoads = 8 // at once: each is a round trip on a remote bucket

// list returns the IDs of all objects of a kind.
func (r *Repo) list(ctx context.Context, kind blob.Kind) ([]ID, error) {
	var ids []ID
	for e, err := range r.bucket.List(ctx, kind) {
		if err != nil {
			return nil, err
		}
		id, err := ParseID(e.Name)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// each calls do for every ID, up to n at once, and returns when all are done. It stops giving out more once ctx ends.
func each(ctx context.Context, ids []ID, n int, do func(ID)) {
	next := make(chan ID)
	var wg sync.WaitGroup
	for range min(n, len(ids)) {
		wg.Go(func() {
			for id := range next {
				do(id)
			}
		})
	}
	for _, id := range ids {
		if ctx.Err() != nil {
			break
		}
		next <- id
	}
	close(next)
	wg.Wait()
}
