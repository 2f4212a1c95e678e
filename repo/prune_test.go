package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"roost/blob"
	"roost/blob/blobtest"
)

// large is a body of which twenty fill a pack.
func large(n int) []byte {
	body := make([]byte, 200<<10)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(body)
	return body
}

// saveLarge stores large bodies as one snapshot. One directory each, so that packs of trees have more than one blob, too.
func saveLarge(ctx context.Context, r *Repo, bodies []int) error {
	return r.Write(ctx, WriteOptions{PackSize: minPackTarget}, func(ctx context.Context, s *Session) error {
		root := &Tree{}
		for _, n := range bodies {
			body := large(n)
			id, _, _, err := s.SaveBlob(ctx, DataBlob, body, Text)
			if err != nil {
				return err
			}
			name := fmt.Sprintf("%06d", n)
			dir, _, _, err := s.SaveTree(ctx, &Tree{Nodes: []Node{{Name: name + ".eml", Type: FileNode, Mode: 0o600, Size: uint64(len(body)), Content: []ID{id}}}})
			if err != nil {
				return err
			}
			root.Nodes = append(root.Nodes, Node{Name: name, Type: DirNode, Subtree: &dir})
		}
		id, _, _, err := s.SaveTree(ctx, root)
		if err == nil {
			_, err = s.SaveSnapshot(ctx, Snapshot{Tree: &id, Paths: []string{"/large"}})
		}
		return err
	})
}

// some are every step-th number from from to below to.
func some(from, to, step int) (list []int) {
	for n := from; n < to; n += step {
		list = append(list, n)
	}
	return list
}

// forgetAllBut leaves the newest snapshots.
func forgetAllBut(t *testing.T, r *Repo, last int) {
	t.Helper()
	policy := ForgetPolicy{Rules: always(KeepRules{Last: last})}
	if _, err := r.Forget(t.Context(), policy.Plan, ForgetOptions{}); err != nil {
		t.Fatal(err)
	}
}

// needed are the plain bytes of all blobs that snapshots refer to, by the plainest walk.
func needed(t *testing.T, b blob.Bucket) map[typedID]string {
	t.Helper()
	r := reopen(t, b)
	all, err := r.Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := map[typedID]string{}
	load := func(typ BlobType, id ID) {
		p, err := r.LoadBlob(t.Context(), typ, id, nil)
		if err != nil {
			t.Fatal(err)
		}
		found[typedID{typ, id}] = string(p)
	}
	var visit func(id ID)
	visit = func(id ID) {
		load(TreeBlob, id)
		tree, err := r.LoadTree(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range tree.Nodes {
			if n.Subtree != nil {
				visit(*n.Subtree)
			}
			for _, id := range n.Content {
				load(DataBlob, id)
			}
		}
	}
	for _, sn := range all {
		visit(*sn.Tree)
	}
	return found
}

// stored counts the places of blobs that index files name.
func stored(t *testing.T, b blob.Bucket) int {
	t.Helper()
	r := reopen(t, b)
	if err := r.LoadIndex(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r.index.Load().count()
}

// A prune takes away just what no snapshot needs, within its limits, and leaves nothing that another, or restic's, would do.
func TestPrune(t *testing.T) {
	for _, c := range []struct {
		name   string
		o      PruneOptions
		limits []string // the same for restic
		rest   bool     // something that is not needed may stay
	}{
		{"nothing stays", PruneOptions{}, []string{"--max-unused", "0"}, false},
		{"a share stays", PruneOptions{MaxUnused: UnusedPercent(5)}, nil, true},
		{"all stays that shares its pack", PruneOptions{MaxUnused: UnusedUnlimited()}, []string{"--max-unused", "unlimited"}, true},
		{"small ones are put together", PruneOptions{Small: true}, []string{"--max-unused", "0", "--repack-small"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, dir := newLocalRepo(t)
			for _, bodies := range [][]int{some(0, 60, 1), some(0, 60, 9), some(60, 100, 1), append(some(0, 60, 9), some(62, 100, 4)...)} {
				if err := saveLarge(t.Context(), r, bodies); err != nil {
					t.Fatal(err)
				}
			}
			forgetAllBut(t, r, 1)
			want := needed(t, r.bucket)
			c.o.PackSize = minPackTarget
			dry := c.o
			dry.DryRun = true
			plan, err := r.Prune(t.Context(), dry)
			if err != nil {
				t.Fatal(err)
			}
			before := count(t, r.bucket)[blob.Pack]
			done, total := 0, 0
			c.o.Progress = func(d, of int) { done, total = d, of }
			report, err := r.Prune(t.Context(), c.o)
			if err != nil {
				t.Fatal(err)
			}
			if done != total || done == 0 {
				t.Errorf("progress ended at %d of %d", done, total)
			}
			written := *report
			written.IndexesRemoved, written.IndexesWritten = 0, 0
			if written != *plan {
				t.Errorf("Prune did %+v, the dry run said %+v", written, *plan)
			}
			if got := needed(t, r.bucket); !maps.Equal(got, want) {
				t.Errorf("%d blobs are needed after the prune, want %d", len(got), len(want))
			}
			if n := stored(t, r.bucket); n < len(want) || n > len(want) && !c.rest {
				t.Errorf("%d blobs are stored, %d are needed", n, len(want))
			}
			if after := count(t, r.bucket)[blob.Pack]; after >= before || report.Freed() <= 0 {
				t.Errorf("%d packs, want fewer than %d: %+v", after, before, report)
			}
			again, err := r.Prune(t.Context(), c.o)
			if err != nil || again.Removed+again.Repacked+again.Unnamed+again.IndexesRemoved > 0 {
				t.Errorf("a second prune = %+v, %v, want nothing to do", again, err)
			}
			mustCheck(t, r.bucket)
			oracle := newRestic(t, dir)
			oracle.check(t)
			mustHaveNothingToDo(t, oracle.run(t, append([]string{"prune", "--pack-size", "4"}, c.limits...)...))
			if err := saveLarge(t.Context(), r, some(0, 30, 1)); err != nil { // r still had the index from before
				t.Fatal(err)
			}
			oracle.check(t)
		})
	}
}

// mustHaveNothingToDo holds what restic's prune said to nothing.
func mustHaveNothingToDo(t *testing.T, out string) {
	t.Helper()
	for _, want := range []string{"to repack:             0 blobs", "to delete:             0 blobs"} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), strings.Join(strings.Fields(want), " ")) {
			t.Errorf("restic prune has something to do, want %q:\n%s", want, out)
		}
	}
}

// What two writers stored twice is stored once after a prune; what a dead one left goes; many small index files become one.
func TestPruneTidiesUp(t *testing.T) {
	r, b := newMemoryRepo(t)
	second := reopen(t, b)
	err := r.Write(t.Context(), WriteOptions{}, func(ctx context.Context, s *Session) error {
		if _, _, _, err := s.SaveBlob(ctx, DataBlob, message(1), Text); err != nil {
			return err
		}
		return backup(ctx, second, 0, 20) // it does not know of the other
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 12 {
		if err := backup(t.Context(), r, n, n+20); err != nil {
			t.Fatal(err)
		}
	}
	dead := []byte("what a dead writer left")
	b.Put(blobtest.Handle(blob.Pack, dead), dead)
	want := needed(t, b)
	if n := stored(t, b); n != len(want)+1 {
		t.Fatalf("%d blobs are stored, want one of %d twice", n, len(want))
	}
	report, err := r.Prune(t.Context(), PruneOptions{})
	if err != nil || report.Unnamed != 1 || report.UnnamedSize != int64(len(dead)) {
		t.Errorf("Prune = %+v, %v", report, err)
	}
	if n := stored(t, b); n != len(want) {
		t.Errorf("%d blobs are stored, want %d", n, len(want))
	}
	if got := needed(t, b); !maps.Equal(got, want) {
		t.Errorf("%d blobs are needed, want %d", len(got), len(want))
	}
	if n := count(t, b)[blob.Index]; n > 2 {
		t.Errorf("%d index files, want one, and one of what was copied", n)
	}
	mustCheck(t, b)
}

// Killed at any call of the bucket, before or after its effect, or with one bad call: nothing that is needed is gone, and the next prune
// brings the repository to where the first would have.
func TestPruneCutShort(t *testing.T) {
	for _, mode := range []struct {
		name        string
		once, after bool
	}{{"killed before", false, false}, {"killed after", false, true}, {"one call fails", true, false}} {
		t.Run(mode.name, func(t *testing.T) {
			if testing.Short() && !mode.after {
				t.Skip("one way to be killed is enough")
			}
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { pruneAtAnyCall(t, mode.once, mode.after) })
		})
	}
}

func pruneAtAnyCall(t *testing.T, once, after bool) {
	r, first := newMemoryRepo(t)
	for n := range handful { // small packs and index files
		if err := backup(t.Context(), r, n, n+8); err != nil {
			t.Fatal(err)
		}
	}
	// The index file of the second names a pack that stays and packs that go.
	for _, bodies := range [][]int{some(0, 24, 1), some(100, 125, 1), some(100, 121, 1), some(0, 24, 5)} {
		if err := saveLarge(t.Context(), r, bodies); err != nil {
			t.Fatal(err)
		}
	}
	forgetAllBut(t, r, 2)
	dead := []byte("what a dead writer left")
	first.Put(blobtest.Handle(blob.Pack, dead), dead)
	want := needed(t, first)
	prune := func(b blob.Bucket) error {
		r, err := Open(t.Context(), b, NewPassword(testPassword))
		if err == nil {
			_, err = r.Prune(t.Context(), PruneOptions{PackSize: minPackTarget})
		}
		return err
	}
	for n := int64(1); ; n++ {
		b := first.Clone()
		faulty := &blobtest.Faulty{Bucket: b, FailAt: n, Once: once, After: after}
		err := prune(faulty)
		if faulty.Calls() < n {
			if err != nil || n < 30 {
				t.Errorf("%d calls, %v", n, err)
			}
			return
		}
		if err == nil && !once && !(after && faulty.Calls() == n) {
			t.Errorf("call %d: it was killed and reports success", n)
		}
		unlock(t, b)
		if got := needed(t, b); !maps.Equal(got, want) {
			t.Fatalf("call %d: %d blobs are left, want %d", n, len(got), len(want))
		}
		if report, err := reopen(t, b).Check(t.Context(), CheckOptions{}); err != nil || !report.OK() {
			t.Fatalf("call %d: check: %+v, %v", n, report, err)
		}
		if err := prune(b); err != nil {
			t.Fatalf("call %d: the next: %v", n, err)
		}
		if places := stored(t, b); places != len(want) {
			t.Fatalf("call %d: after the next %d blobs are stored, want %d", n, places, len(want))
		}
		mustCheck(t, b) // reads all that is left
	}
}

// Where anything is missing or damaged nobody knows what is needed: nothing is removed, not even by a prune that could.
func TestPruneRefuses(t *testing.T) {
	r, whole := newMemoryRepo(t)
	for n := range 2 {
		if err := saveLarge(t.Context(), r, some(n, 30, 2)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := r.Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	change := func(b *blobtest.Memory, kind blob.Kind, do func(p []byte) []byte) {
		for e := range b.Clone().List(t.Context(), kind) {
			h := blob.Handle{Kind: kind, Name: e.Name}
			body, err := b.Load(t.Context(), h, 1<<30)
			if err != nil {
				t.Fatal(err)
			}
			b.Put(h, do(bytes.Clone(body)))
		}
	}
	remove := func(b *blobtest.Memory, kind blob.Kind, id string) {
		if err := b.Remove(t.Context(), blob.Handle{Kind: kind, Name: id}); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		harm func(b *blobtest.Memory)
		want error
	}{
		"a snapshot is damaged": {func(b *blobtest.Memory) { change(b, blob.Snapshot, flip) }, ErrDamagedRepository},
		"index files damaged":   {func(b *blobtest.Memory) { change(b, blob.Index, flip) }, ErrDamagedRepository},
		"an index file that nobody needs is damaged": {func(b *blobtest.Memory) {
			pack, _ := r.BlobPack(TreeBlob, *all[0].Tree)
			for _, id := range r.indexFiles() {
				err := r.loadIndexFile(t.Context(), id, func(_ ID, packs []packEntry) error {
					if !slices.ContainsFunc(packs, func(e packEntry) bool { return e.id == pack }) {
						b.Put(blob.Handle{Kind: blob.Index, Name: id.String()}, []byte("torn"))
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		}, ErrDamagedRepository},
		"packs cut short":       {func(b *blobtest.Memory) { change(b, blob.Pack, func(p []byte) []byte { return p[:len(p)-1] }) }, ErrDamagedRepository},
		"a tree cannot be read": {func(b *blobtest.Memory) { change(b, blob.Pack, flip) }, ErrDamagedRepository},
		"a pack is missing": {func(b *blobtest.Memory) {
			pack, _ := r.BlobPack(TreeBlob, *all[0].Tree)
			remove(b, blob.Pack, pack.String())
		}, ErrDamagedRepository},
		"an index file is missing": {func(b *blobtest.Memory) {
			for e := range b.Clone().List(t.Context(), blob.Index) {
				remove(b, blob.Index, e.Name)
			}
		}, ErrDamagedRepository},
		"all snapshots are gone": {func(b *blobtest.Memory) {
			for _, sn := range all {
				remove(b, blob.Snapshot, sn.ID.String())
			}
		}, ErrRemoveAll},
	} {
		t.Run(name, func(t *testing.T) {
			b := whole.Clone()
			if !strings.Contains(name, "all") {
				remove(b, blob.Snapshot, all[1].ID.String()) // so that there is something to do
			}
			c.harm(b)
			before := count(t, b)
			if report, err := reopen(t, b).Prune(t.Context(), PruneOptions{}); !errors.Is(err, c.want) {
				t.Errorf("Prune = %+v, %v, want %v", report, err, c.want)
			}
			if after := count(t, b); !maps.Equal(after, before) {
				t.Errorf("objects were %v and are %v", before, after)
			}
		})
	}
	b := whole.Clone()
	for _, sn := range all {
		remove(b, blob.Snapshot, sn.ID.String())
	}
	if _, err := reopen(t, b).Prune(t.Context(), PruneOptions{RemoveAll: true}); err != nil || count(t, b)[blob.Pack] > 0 {
		t.Errorf("Prune of all that is meant = %v, %v left", err, count(t, b))
	}
}

// No prune runs beside a writer, and a dry run changes nothing.
func TestPruneIsAlone(t *testing.T) {
	r, b := newMemoryRepo(t)
	err := r.Write(t.Context(), WriteOptions{}, func(ctx context.Context, s *Session) error {
		if _, err := reopen(t, b).Prune(ctx, PruneOptions{DryRun: true, RemoveAll: true}); err != nil {
			t.Errorf("a dry run beside a writer = %v", err)
		}
		_, err := reopen(t, b).Prune(ctx, PruneOptions{RemoveAll: true})
		return err
	})
	if !errors.Is(err, ErrLocked) {
		t.Errorf("Prune beside a writer = %v, want ErrLocked", err)
	}
}

// What is held stays, though the snapshots themselves were removed.
func TestPruneKeepsWhatIsHeld(t *testing.T) {
	r, b := newMemoryRepo(t)
	if err := saveLarge(t.Context(), r, some(0, 5, 1)); err != nil {
		t.Fatal(err)
	}
	all, err := r.Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.AddHold(t.Context(), Hold{Reason: "case"}, all, "test"); err != nil {
		t.Fatal(err)
	}
	want := needed(t, b)
	if err := b.Remove(t.Context(), blob.Handle{Kind: blob.Snapshot, Name: all[0].ID.String()}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Prune(t.Context(), PruneOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := needed(t, b); !maps.Equal(got, want) {
		t.Errorf("%d blobs are left of the %d that are held", len(got), len(want))
	}
}

// The rules by which packs stay, are copied or go are restic's.
func TestDecidePacks(t *testing.T) {
	const mib = 1 << 20
	data := func(used, unused int64) packUse {
		return packUse{size: used + unused, used: used, unused: unused, data: true}
	}
	tree := func(used, unused int64) packUse {
		return packUse{size: used + unused, used: used, unused: unused, trees: true}
	}
	for _, c := range []struct {
		why   string
		packs []packUse
		o     PruneOptions
		want  string // k, c (copied) or r (removed) for each
	}{
		{"nobody needs it", []packUse{data(0, 16*mib), data(16*mib, 0)}, PruneOptions{MaxUnused: UnusedUnlimited()}, "rk"},
		{"nothing may stay", []packUse{data(15*mib, mib), data(16*mib, 0)}, PruneOptions{}, "ck"},
		{"the emptiest goes first, until the rest is within the limit", []packUse{data(15*mib, mib), data(mib, 15*mib), data(16*mib, 0)}, PruneOptions{MaxUnused: UnusedOctets(mib)}, "kck"},
		{"5 % of 48 MiB", []packUse{data(15*mib, mib), data(15*mib, mib), data(16*mib, 0)}, PruneOptions{MaxUnused: UnusedPercent(5)}, "kkk"},
		{"trees are kept tidy", []packUse{tree(15*mib, mib), data(15*mib, mib)}, PruneOptions{MaxUnused: UnusedUnlimited()}, "ck"},
		{"trees and data part", []packUse{{size: 16 * mib, used: 16 * mib, data: true, trees: true}}, PruneOptions{MaxUnused: UnusedUnlimited()}, "c"},
		{"no more is copied than that", []packUse{data(10*mib, 6*mib), data(9*mib, 7*mib)}, PruneOptions{MaxRepack: 20 * mib}, "kc"},
		{"a handful of small ones stays", slices.Repeat([]packUse{data(1000, 0)}, 9), PruneOptions{}, "kkkkkkkkk"},
		{"more do not", slices.Repeat([]packUse{data(1000, 0)}, 10), PruneOptions{MaxUnused: UnusedUnlimited()}, "cccccccccc"},
		{"nor what is below four fifths, if asked for", slices.Repeat([]packUse{data(12*mib, 0)}, 10), PruneOptions{Small: true}, "cccccccccc"},
	} {
		c.o.PackSize = DefaultPackSize
		decidePacks(c.packs, &c.o)
		got := ""
		for _, u := range c.packs {
			got += string("kcr"[u.fate])
		}
		if got != c.want {
			t.Errorf("%s: packs are to %s, want %s", c.why, got, c.want)
		}
	}
}

// What --max-unused takes.
func TestParseUnusedLimit(t *testing.T) {
	octets := func(text string) (int64, error) {
		var n int64
		_, err := fmt.Sscanf(text+"\n", "%d\n", &n)
		return n, err
	}
	for text, want := range map[string]UnusedLimit{"5%": UnusedPercent(5), "0": {}, "0%": {}, "300": UnusedOctets(300), "unlimited": UnusedUnlimited(), "100%": UnusedUnlimited(), "2.5%": UnusedPercent(2.5)} {
		if got, err := ParseUnusedLimit(text, octets); err != nil || got != want {
			t.Errorf("ParseUnusedLimit(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "%", "-1%", "NaN%", "much"} {
		if got, err := ParseUnusedLimit(text, octets); err == nil {
			t.Errorf("ParseUnusedLimit(%q) = %v, want an error", text, got)
		}
	}
	if got := UnusedPercent(5).of(95); got != 5 {
		t.Errorf("5 %% beside 95 octets = %d, want 5", got)
	}
}
