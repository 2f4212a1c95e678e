package repo

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"roost/blob"
	"roost/blob/blobtest"
)

// small stores a few short files twice, the second time with one more.
func small(ctx context.Context, r *Repo) error {
	for last := range 2 {
		err := r.Write(ctx, WriteOptions{}, func(ctx context.Context, s *Session) error {
			files := &Tree{}
			for n := range 3 + last {
				body := fmt.Appendf(nil, "Subject: %d\r\n\r\nOne of the short ones: %d.\r\n", n, n)
				id, _, _, err := s.SaveBlob(ctx, DataBlob, body, Text)
				if err != nil {
					return err
				}
				files.Nodes = append(files.Nodes, Node{Name: fmt.Sprintf("%d.eml", n), Type: FileNode, Mode: 0o600, Size: uint64(len(body)), Content: []ID{id}})
			}
			id, _, _, err := s.SaveTree(ctx, files)
			if err != nil {
				return err
			}
			root, _, _, err := s.SaveTree(ctx, &Tree{Nodes: []Node{{Name: "mail", Type: DirNode, Subtree: &id}}})
			if err != nil {
				return err
			}
			_, err = s.SaveSnapshot(ctx, Snapshot{Tree: &root, Paths: []string{"/mail"}})
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readable are the files of all snapshots that can be read, and lost those that cannot, by the name of the last thing that could:
// "SNAPSHOT:/mail/1.eml", or a directory. In a snapshot that cannot be read nothing is known.
func readable(t *testing.T, b blob.Bucket) (files map[string]string, lost []string) {
	t.Helper()
	r := reopen(t, b)
	files = map[string]string{}
	all, _ := r.Snapshots(t.Context())
	for _, sn := range all {
		at := sn.ID.Short() + ":/"
		root, err := r.LoadTree(t.Context(), *sn.Tree)
		if err != nil {
			lost = append(lost, at)
			continue
		}
		tree, err := r.LoadTree(t.Context(), *root.Nodes[0].Subtree)
		if err != nil {
			lost = append(lost, at+"mail/")
			continue
		}
		for _, n := range tree.Nodes {
			path := at + "mail/" + n.Name
			if p, err := r.LoadBlob(t.Context(), DataBlob, n.Content[0], nil); err != nil {
				lost = append(lost, path)
			} else {
				files[path] = string(p)
			}
		}
	}
	return files, lost
}

// damages are the ways in which one byte can go wrong.
var damages = []struct {
	name string
	do   func(p []byte, at int) []byte

	exact bool // check names no more than is lost; of a pack that has become shorter it may name all
}{
	{"flipped", func(p []byte, at int) []byte { p[at] ^= 1 << (at % 8); return p }, true},
	{"missing", func(p []byte, at int) []byte { return slices.Delete(p, at, at+1) }, false},
	{"the first that is cut off", func(p []byte, at int) []byte { return p[:at] }, false},
}

// Whatever single byte of whatever file is flipped, missing or cut off: check finds it, and names exactly what cannot be read. Repair
// loses nothing that could be read, leaves nothing wrong but what is lost, and the next run stores that again.
func TestEveryByte(t *testing.T) { synctest.Test(t, testEveryByte) }

func testEveryByte(t *testing.T) {
	r, clean := newMemoryRepo(t)
	if err := small(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, kind := range []blob.Kind{blob.Snapshot, blob.Index, blob.Pack} {
		for e := range clean.List(t.Context(), kind) {
			for _, d := range damages {
				step := 1
				switch {
				case testing.Short():
					step = 17
				case !d.exact:
					step = 11
				}
				for at := n % step; at < int(e.Size); at += step {
					n++
					b := clean.Clone()
					h := blob.Handle{Kind: kind, Name: e.Name}
					body, err := b.Load(t.Context(), h, 1<<20)
					if err != nil {
						t.Fatal(err)
					}
					b.Put(h, d.do(bytes.Clone(body), at))
					if !mustName(t, b, h, d.exact) || n%mended == 0 && !mustRepair(t, b, h) {
						t.Fatalf("byte %d of %v %s", at, h, d.name)
					}
				}
			}
		}
	}
	t.Logf("%d damages", n)
}

// mended is of how many damages one is repaired, too: that takes its time.
const mended = 13

func mustName(t *testing.T, b *blobtest.Memory, damaged blob.Handle, exact bool) bool {
	t.Helper()
	_, lost := readable(t, b)
	report, err := reopen(t, b).Check(t.Context(), CheckOptions{ReadData: true})
	if err != nil {
		t.Error(err)
		return false
	}
	var named []string
	found := false
	for _, p := range report.Problems {
		named = append(named, p.Paths...)
		found = found || p.Object == damaged
	}
	slices.Sort(named)
	if named = slices.Compact(named); !found || !covers(named, lost, exact) {
		t.Errorf("check finds %v in %v, want %v and %v", report.Problems, named, damaged, lost)
		return false
	}
	return true
}

func mustRepair(t *testing.T, b *blobtest.Memory, damaged blob.Handle) bool {
	t.Helper()
	before, _ := readable(t, b)
	for range 2 {
		if _, err := reopen(t, b).Repair(t.Context(), RepairOptions{ReadData: true}); err != nil {
			t.Errorf("Repair: %v", err)
			return false
		}
		after, _ := readable(t, b)
		for path, body := range before {
			if after[path] != body {
				t.Errorf("after Repair %s is %q, want %q", path, after[path], body)
				return false
			}
		}
		report, err := reopen(t, b).Check(t.Context(), CheckOptions{ReadData: true})
		if err != nil {
			t.Error(err)
			return false
		}
		for _, p := range report.Problems {
			if p.Object.Kind != blob.Snapshot {
				t.Errorf("after Repair: %v", p)
				return false
			}
		}
	}
	if err := small(t.Context(), reopen(t, b)); err != nil {
		t.Errorf("the next run: %v", err)
		return false
	}
	report, err := reopen(t, b).Check(t.Context(), CheckOptions{ReadData: true})
	if err != nil || len(report.Problems) > 0 && (len(report.Problems) > 1 || report.Problems[0].Object != damaged || damaged.Kind != blob.Snapshot) {
		t.Errorf("after the next run: %v, %v", report.Problems, err)
		return false
	}
	return true
}

// covers reports whether what is named is what is lost. Equal directories of several snapshots are named once.
func covers(named, lost []string, exact bool) bool {
	tail := func(path string) string { return path[strings.IndexByte(path, ':'):] }
	for _, path := range lost {
		if !slices.ContainsFunc(named, func(n string) bool { return n == path || tail(n) == tail(path) }) {
			return false
		}
	}
	for _, path := range named {
		if exact && !slices.Contains(lost, path) {
			return false
		}
	}
	return true
}

// With no index at all, or with packs that no index names, repair finds everything again; what two packs have is lost with neither.
func TestRepairWithoutIndex(t *testing.T) { synctest.Test(t, testRepairWithoutIndex) }

func testRepairWithoutIndex(t *testing.T) {
	r, b := newMemoryRepo(t)
	if err := small(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	want, _ := readable(t, b)
	files := 0
	for e := range b.Clone().List(t.Context(), blob.Index) {
		files++
		if err := b.Remove(t.Context(), blob.Handle{Kind: blob.Index, Name: e.Name}); err != nil {
			t.Fatal(err)
		}
	}
	plan, err := reopen(t, b).Repair(t.Context(), RepairOptions{DryRun: true})
	if err != nil || plan.Adopted != count(t, b)[blob.Pack] || count(t, b)[blob.Index] != 0 {
		t.Errorf("a dry run: %+v, %v, and %d index files", plan, err, count(t, b)[blob.Index])
	}
	report, err := reopen(t, b).Repair(t.Context(), RepairOptions{})
	if err != nil || report.Adopted != count(t, b)[blob.Pack] || report.Lost() != 0 || len(report.BadPacks) != 0 {
		t.Errorf("Repair = %+v, %v, want all %d packs named", report, err, count(t, b)[blob.Pack])
	}
	if got, lost := readable(t, b); len(lost) > 0 || len(got) != len(want) {
		t.Errorf("after it %d files, lost %v, want %d", len(got), lost, len(want))
	}
	mustCheck(t, b)
	again, err := reopen(t, b).Repair(t.Context(), RepairOptions{ReadData: true})
	if err != nil || again.Written+again.Dropped+again.Adopted != 0 {
		t.Errorf("a second Repair = %+v, %v, want nothing to do", again, err)
	}
	if clean, out := newRestic(t, export(t, b)).verdict(t, "--read-data"); !clean {
		t.Errorf("restic: %s", out)
	}
}

// Wherever a repair is cut short, what could be read before can be read after the next one.
func TestRepairCutShort(t *testing.T) { synctest.Test(t, testRepairCutShort) }

func testRepairCutShort(t *testing.T) {
	r, damaged := newMemoryRepo(t)
	if err := small(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for e := range damaged.Clone().List(t.Context(), blob.Pack) {
		h := blob.Handle{Kind: blob.Pack, Name: e.Name}
		body, err := damaged.Load(t.Context(), h, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.Clone(body)
		body[len(body)-10] ^= 1 // of the header: the index alone tells what is in it
		damaged.Put(h, body)
		break
	}
	want, lost := readable(t, damaged)
	if len(lost) > 0 {
		t.Fatal(lost)
	}
	for _, mode := range []struct {
		name        string
		once, after bool
	}{{"killed before", false, false}, {"killed after", false, true}, {"one call fails", true, false}} {
		for n := int64(1); ; n++ {
			b := damaged.Clone()
			faulty := &blobtest.Faulty{Bucket: b, FailAt: n, Once: mode.once, After: mode.after}
			err := func() error {
				r, err := Open(t.Context(), faulty, NewPassword(testPassword))
				if err != nil {
					return err
				}
				_, err = r.Repair(t.Context(), RepairOptions{ReadData: true})
				return err
			}()
			if faulty.Calls() < n {
				if err != nil {
					t.Errorf("no call failed, yet: %v", err)
				}
				break
			}
			unlock(t, b)
			if _, err := reopen(t, b).Repair(t.Context(), RepairOptions{ReadData: true}); err != nil {
				t.Fatalf("%s %d: the next: %v", mode.name, n, err)
			}
			if got, lost := readable(t, b); len(lost) > 0 || len(got) != len(want) {
				t.Fatalf("%s %d: %d files, lost %v, want %d", mode.name, n, len(got), lost, len(want))
			}
			mustCheck(t, b)
		}
	}
}
