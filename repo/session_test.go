package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"roost/blob"
	"roost/blob/blobtest"
)

// newMemoryRepo makes a repository in memory.
func newMemoryRepo(t testing.TB) (*Repo, *blobtest.Memory) {
	t.Helper()
	b := &blobtest.Memory{}
	r, err := Init(t.Context(), b, NewPassword(testPassword), InitOptions{KDF: testKDF})
	if err != nil {
		t.Fatal(err)
	}
	return r, b
}

// reopen opens the repository in b anew, as the next run does.
func reopen(t testing.TB, b blob.Bucket) *Repo {
	t.Helper()
	r, err := Open(t.Context(), b, NewPassword(testPassword))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// count returns how many objects of each kind a bucket has.
func count(t testing.TB, b blob.Bucket) map[blob.Kind]int {
	t.Helper()
	n := map[blob.Kind]int{}
	for _, kind := range blob.Kinds() {
		for _, err := range b.List(t.Context(), kind) {
			if err != nil {
				t.Fatal(err)
			}
			n[kind]++
		}
	}
	return n
}

// backup stores messages from to below to as one snapshot, in one directory.
func backup(ctx context.Context, r *Repo, from, to int) error {
	return r.Write(ctx, WriteOptions{PackSize: minPackTarget}, func(ctx context.Context, s *Session) error {
		tree := &Tree{}
		for n := from; n < to; n++ {
			body := message(n)
			id, _, _, err := s.SaveBlob(ctx, DataBlob, body, Text)
			if err != nil {
				return err
			}
			tree.Nodes = append(tree.Nodes, Node{Name: fmt.Sprintf("%06d.eml", n), Type: FileNode, Mode: 0o600,
				Size: uint64(len(body)), Content: []ID{id}})
		}
		id, _, _, err := s.SaveTree(ctx, tree)
		if err != nil {
			return err
		}
		_, err = s.SaveSnapshot(ctx, Snapshot{Tree: &id, Paths: []string{"/mail"}})
		return err
	})
}

// holds verifies that the newest snapshot holds exactly messages from to below to.
func holds(t *testing.T, r *Repo, from, to int) {
	t.Helper()
	sn, err := r.LatestSnapshot(t.Context(), SnapshotFilter{Path: "/mail"})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := r.LoadTree(t.Context(), *sn.Tree)
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Nodes) != to-from {
		t.Fatalf("snapshot has %d files, want %d", len(tree.Nodes), to-from)
	}
	for i := range tree.Nodes {
		got, err := r.LoadBlob(t.Context(), DataBlob, tree.Nodes[i].Content[0], nil)
		if err != nil || !bytes.Equal(got, message(from+i)) {
			t.Fatalf("file %s = %d octets, %v, want message %d", tree.Nodes[i].Name, len(got), err, from+i)
		}
	}
}

// A small run writes one data pack, one tree pack, one index and one snapshot, and leaves no lock.
func TestSmallRunWritesFourObjects(t *testing.T) {
	r, b := newMemoryRepo(t)
	if err := backup(t.Context(), r, 0, 50); err != nil {
		t.Fatal(err)
	}
	n := count(t, b)
	if n[blob.Pack] != 2 || n[blob.Index] != 1 || n[blob.Snapshot] != 1 || n[blob.Lock] != 0 {
		t.Errorf("objects after a small run: %v, want 2 packs, 1 index, 1 snapshot, no lock", n)
	}
	holds(t, reopen(t, b), 0, 50)
	if err := backup(t.Context(), reopen(t, b), 0, 50); err != nil {
		t.Fatal(err)
	}
	n = count(t, b)
	if n[blob.Pack] != 2 || n[blob.Index] != 1 || n[blob.Snapshot] != 2 {
		t.Errorf("objects after the same run again: %v, want a snapshot more and nothing else", n)
	}
}

// However many workers save the same blobs, each is stored once, and exactly one worker is told that it was new.
func TestWorkersStoreEachBlobOnce(t *testing.T) {
	r, b := newMemoryRepo(t)
	const workers, blobs = 8, 1500
	bodies := make([][]byte, blobs)
	for n := range bodies {
		bodies[n] = message(n)
	}
	var fresh atomic.Int64
	var added Added
	err := r.Write(t.Context(), WriteOptions{PackSize: minPackTarget}, func(ctx context.Context, s *Session) error {
		var wg sync.WaitGroup
		for w := range workers {
			wg.Go(func() {
				for i := range blobs {
					n := (i*7 + w*11) % blobs
					id, known, stored, err := s.SaveBlob(ctx, DataBlob, bodies[n], Text)
					if err != nil || id != Hash(bodies[n]) || known != (stored == 0) {
						t.Errorf("SaveBlob(%d) = %v, %v, %d, %v", n, id, known, stored, err)
						return
					}
					if !known {
						fresh.Add(1)
					}
				}
			})
		}
		wg.Wait()
		added = s.Added()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	again := reopen(t, b)
	if err := again.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	if fresh.Load() != blobs || added.DataBlobs != blobs || again.index.Load().count() != blobs {
		t.Errorf("%d blobs told new, %d counted, %d places in the index, want %d each", fresh.Load(), added.DataBlobs, again.index.Load().count(), blobs)
	}
	for n := range blobs {
		if got, err := again.LoadBlob(t.Context(), DataBlob, Hash(bodies[n]), nil); err != nil || !bytes.Equal(got, bodies[n]) {
			t.Fatalf("LoadBlob(%d) = %d octets, %v", n, len(got), err)
		}
	}
}

// When Flush returns, everything saved before is found by a program that opens the repository then, though others go on saving.
func TestFlushWhileOthersSave(t *testing.T) {
	r, b := newMemoryRepo(t)
	err := r.Write(t.Context(), WriteOptions{PackSize: minPackTarget}, func(ctx context.Context, s *Session) error {
		var wg sync.WaitGroup
		for w := range 4 {
			wg.Go(func() {
				for round := range 5 {
					var mine []ID
					for i := range 100 {
						id, _, _, err := s.SaveBlob(ctx, DataBlob, message(round*60+i+w), Text)
						if err != nil {
							t.Errorf("SaveBlob = %v", err)
							return
						}
						mine = append(mine, id)
					}
					if err := s.Flush(ctx); err != nil {
						t.Errorf("Flush = %v", err)
						return
					}
					other := reopen(t, b)
					if err := other.LoadIndex(ctx); err != nil {
						t.Errorf("LoadIndex = %v", err)
						return
					}
					for _, id := range mine {
						if !other.Has(DataBlob, id) {
							t.Errorf("blob %v is not in the repository after Flush", id)
							return
						}
					}
				}
			})
		}
		wg.Wait()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Data and tree of equal bytes are two blobs, and an empty blob is one.
func TestBlobTypesAndEmptyBlob(t *testing.T) {
	r, b := newMemoryRepo(t)
	err := r.Write(t.Context(), WriteOptions{}, func(ctx context.Context, s *Session) error {
		for _, typ := range []BlobType{DataBlob, TreeBlob, DataBlob} {
			if _, _, _, err := s.SaveBlob(ctx, typ, []byte("{\"nodes\":[]}\n"), Text); err != nil {
				return err
			}
		}
		_, _, _, err := s.SaveBlob(ctx, DataBlob, nil, Base64)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	r = reopen(t, b)
	if tree, err := r.LoadTree(t.Context(), Hash([]byte("{\"nodes\":[]}\n"))); err != nil || len(tree.Nodes) != 0 {
		t.Errorf("LoadTree = %v, %v", tree, err)
	}
	if p, err := r.LoadBlob(t.Context(), DataBlob, Hash(nil), nil); err != nil || len(p) != 0 {
		t.Errorf("LoadBlob of the empty blob = %q, %v", p, err)
	}
	if n := r.index.Load().count(); n != 3 {
		t.Errorf("%d blobs in the index, want 3", n)
	}
	if _, err := r.LoadBlob(t.Context(), TreeBlob, Hash(nil), nil); !errors.Is(err, ErrNoBlob) {
		t.Errorf("LoadBlob of an unknown blob = %v, want ErrNoBlob", err)
	}
}

// When the function fails, its error is Write's, the lock goes, and what was uploaded before is known to the next run.
func TestWriteKeepsWhatWasUploaded(t *testing.T) {
	r, b := newMemoryRepo(t)
	boom := errors.New("boom")
	err := r.Write(t.Context(), WriteOptions{PackSize: minPackTarget}, func(ctx context.Context, s *Session) error {
		if err := s.lock.Settled(ctx); err != nil {
			return err
		}
		for n := 0; count(t, b)[blob.Pack] == 0; n++ {
			if _, _, _, err := s.SaveBlob(ctx, DataBlob, benchBody(100_000, Base64), Base64); err != nil {
				return err
			}
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("Write = %v, want boom", err)
	}
	n := count(t, b)
	if n[blob.Index] != 1 || n[blob.Lock] != 0 || n[blob.Snapshot] != 0 {
		t.Errorf("objects %v, want one index, no lock, no snapshot", n)
	}
	if err := backup(t.Context(), r, 0, 10); err != nil {
		t.Errorf("the next Write on the same Repo = %v", err)
	}
	holds(t, r, 0, 10)
}

// A bucket that fails breaks the session: workers stop with its error instead of waiting for a buffer for ever.
func TestBrokenBucketStopsWorkers(t *testing.T) {
	r, b := newMemoryRepo(t)
	r.bucket = packless{b}
	err := r.Write(t.Context(), WriteOptions{PackSize: minPackTarget}, func(ctx context.Context, s *Session) error {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					if _, _, _, err := s.SaveBlob(ctx, DataBlob, benchBody(200_000, Base64), Base64); err != nil {
						return
					}
				}
			})
		}
		wg.Wait()
		return s.Flush(ctx)
	})
	if !errors.Is(err, blobtest.ErrInjected) {
		t.Errorf("Write = %v, want the bucket's error", err)
	}
}

// packless refuses packs.
type packless struct{ blob.Bucket }

func (p packless) Save(ctx context.Context, h blob.Handle, body []byte) error {
	if h.Kind == blob.Pack {
		return blobtest.ErrInjected
	}
	return p.Bucket.Save(ctx, h, body)
}

// LoadBlobs gives what LoadBlob gives, each blob once, whatever the order, and tells of those that are missing.
func TestLoadBlobs(t *testing.T) {
	r, b := newMemoryRepo(t)
	const n = 2000
	if err := backup(t.Context(), r, 0, n); err != nil {
		t.Fatal(err)
	}
	if err := backup(t.Context(), r, n, n+10); err != nil {
		t.Fatal(err)
	}
	r = reopen(t, b)
	var ids []ID
	want := map[ID][]byte{}
	for i := n + 9; i >= 0; i -= 3 {
		id := Hash(message(i))
		ids = append(ids, id, id)
		want[id] = message(i)
	}
	missing := Hash([]byte("missing"))
	ids = append(ids, missing)
	want[missing] = nil
	counting := &blobtest.Faulty{Bucket: b}
	r.bucket = counting
	err := r.LoadBlobs(t.Context(), DataBlob, ids, func(id ID, p []byte, err error) error {
		body, ok := want[id]
		if !ok || !bytes.Equal(body, p) || errors.Is(err, ErrNoBlob) != (id == missing) {
			t.Errorf("blob %v: %d octets, %v, want %d (listed: %v)", id, len(p), err, len(body), ok)
		}
		delete(want, id)
		return nil
	})
	if err != nil || len(want) != 0 {
		t.Errorf("LoadBlobs = %v, %d blobs were not told of", err, len(want))
	}
	if calls := counting.Calls(); calls > 10 {
		t.Errorf("%d calls of the bucket for %d blobs in two packs", calls, len(ids))
	}
}

// The second of two copies serves when the first is damaged.
func TestLoadBlobSurvivesADamagedCopy(t *testing.T) {
	r, b := newMemoryRepo(t)
	one, two := reopen(t, b), reopen(t, b)
	// Two programs that do not know of each other store the same blob.
	err := one.Write(t.Context(), WriteOptions{}, func(ctx context.Context, s *Session) error {
		return two.Write(ctx, WriteOptions{}, func(ctx context.Context, s2 *Session) error {
			for _, w := range []*Session{s, s2} {
				if _, known, _, err := w.SaveBlob(ctx, DataBlob, message(1), Text); err != nil || known {
					return fmt.Errorf("known %v, %w", known, err)
				}
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	var packs []blob.Handle
	for e := range b.List(t.Context(), blob.Pack) {
		packs = append(packs, blob.Handle{Kind: blob.Pack, Name: e.Name})
	}
	if len(packs) != 2 {
		t.Fatalf("%d packs, want 2", len(packs))
	}
	for _, h := range packs {
		body, err := b.Load(t.Context(), h, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(body)
		bad[20] ^= 1
		b.Put(h, bad)
		if got, err := r.LoadBlob(t.Context(), DataBlob, Hash(message(1)), nil); err != nil || !bytes.Equal(got, message(1)) {
			t.Errorf("LoadBlob with one bad copy = %d octets, %v", len(got), err)
		}
		if err := r.LoadBlobs(t.Context(), DataBlob, []ID{Hash(message(1))}, func(_ ID, p []byte, err error) error { return err }); err != nil {
			t.Errorf("LoadBlobs with one bad copy = %v", err)
		}
		b.Put(h, body)
	}
}
