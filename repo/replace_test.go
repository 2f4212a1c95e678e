package repo

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/blob"
	"roost/blob/blobtest"
)

// shorten takes the first file out of the newest snapshot.
func shorten(ctx context.Context, r *Repo) error {
	return r.Rewrite(ctx, WriteOptions{}, func(ctx context.Context, w *Rewriting) error {
		all, err := r.Snapshots(ctx)
		if err != nil {
			return err
		}
		for _, sn := range all {
			old, err := r.LoadTree(ctx, *sn.Tree)
			if err != nil {
				return err
			}
			if len(old.Nodes) < 20 {
				continue
			}
			id, _, _, err := w.SaveTree(ctx, &Tree{Nodes: old.Nodes[1:]})
			if err != nil {
				return err
			}
			if _, err := w.Replace(ctx, sn, id, all); err != nil {
				return err
			}
		}
		return nil
	})
}

// A snapshot that is replaced keeps all but its tree, and its first name; wherever the run is cut short, one of the two
// forms is there, and the next run leaves just the new one.
func TestReplaceLosesNothing(t *testing.T) { synctest.Test(t, testReplaceLosesNothing) }

func testReplaceLosesNothing(t *testing.T) {
	r, first := newMemoryRepo(t)
	err := r.Write(t.Context(), WriteOptions{}, func(ctx context.Context, s *Session) error {
		files := map[string][]byte{}
		for n := range 20 {
			files[string(rune('a'+n))] = message(n)
		}
		id, _, _, err := s.SaveTree(ctx, saveFiles(t, s, files))
		if err != nil {
			return err
		}
		_, err = s.SaveSnapshot(ctx, Snapshot{Tree: &id, Paths: []string{"/mail"}, Tags: []string{"roost", "x"}, Hostname: "host", Username: "user",
			UID: 7, GID: 8, Time: time.Unix(1e9, 5), ProgramVersion: "roost 1", Parent: &ID{1}, Summary: &Summary{FilesNew: 20}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := r.Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	was := all[0]
	for _, mode := range []struct {
		name        string
		once, after bool
	}{{"killed before", false, false}, {"killed after", false, true}, {"one call fails", true, false}} {
		for n := int64(1); ; n++ {
			b := first.Clone()
			faulty := &blobtest.Faulty{Bucket: b, FailAt: n, Once: mode.once, After: mode.after}
			err := func() error {
				r, err := Open(t.Context(), faulty, NewPassword(testPassword))
				if err != nil {
					return err
				}
				return shorten(t.Context(), r)
			}()
			if faulty.Calls() < n {
				if err != nil {
					t.Errorf("no call failed, yet: %v", err)
				}
				break
			}
			unlock(t, b)
			mustCheck(t, b)
			if all, err := reopen(t, b).Snapshots(t.Context()); err != nil || len(all) < 1 || len(all) > 2 {
				t.Fatalf("%s %d: %d snapshots, %v", mode.name, n, len(all), err)
			}
			if err := shorten(t.Context(), reopen(t, b)); err != nil {
				t.Fatalf("%s %d: the next run: %v", mode.name, n, err)
			}
			all, err := reopen(t, b).Snapshots(t.Context())
			if err != nil || len(all) != 1 {
				t.Fatalf("%s %d: after the next run %d snapshots, %v", mode.name, n, len(all), err)
			}
			want := *was
			want.Original, want.Tree, want.ID = &was.ID, all[0].Tree, all[0].ID
			if d := cmp.Diff(&want, all[0]); d != "" || *all[0].Tree == *was.Tree {
				t.Fatalf("%s %d (-want +got):\n%s", mode.name, n, d)
			}
			mustCheck(t, b)
		}
	}
}

// unlock removes what a dead program left.
func unlock(t *testing.T, b blob.Bucket) {
	t.Helper()
	if _, err := reopen(t, b).Unlock(t.Context(), UnlockOptions{All: true}); err != nil {
		t.Fatal(err)
	}
}

// Nobody replaces a snapshot while another is at work.
func TestRewriteIsAlone(t *testing.T) {
	r, b := newMemoryRepo(t)
	err := r.Write(t.Context(), WriteOptions{}, func(ctx context.Context, _ *Session) error {
		return reopen(t, b).Rewrite(ctx, WriteOptions{}, func(context.Context, *Rewriting) error { return nil })
	})
	if !errors.Is(err, ErrLocked) {
		t.Errorf("Rewrite beside a writer = %v, want ErrLocked", err)
	}
}
