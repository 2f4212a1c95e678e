package main

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
)

// newEmptyTree is a Maildir with an INBOX only.
func newEmptyTree(t *testing.T, dir string, seed uint64) *tree {
	t.Helper()
	w := &tree{dir: dir, rng: rand.New(rand.NewPCG(seed, 1)), boxes: map[mail.Name]string{}}
	w.create(t, mail.Inbox, ".")
	return w
}

// corporaDir is the directory in ROOST_SAMPLES. Without it the test is skipped.
func corporaDir(t *testing.T) string {
	t.Helper()
	root := os.Getenv("ROOST_SAMPLES")
	if root == "" {
		t.Skip("ROOST_SAMPLES is not set")
	}
	return root
}

// putSamples puts the files below root, good mail and broken, into mailboxes called by their directories, with flags and
// a date: of each directory the first hundred, then one in every.
func (w *tree) putSamples(t *testing.T, root string, every int) {
	t.Helper()
	seen := map[string]int{}
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		if n := seen[filepath.Dir(path)]; n >= 100 && n%every != 0 {
			seen[filepath.Dir(path)]++
			return nil
		}
		seen[filepath.Dir(path)]++
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := mail.Name(filepath.Base(filepath.Dir(path)))
		if _, ok := w.boxes[name]; !ok {
			w.create(t, name, "."+string(name))
		}
		w.put(t, name, body, w.rng.IntN(len(treeFlags)), time.Unix(1_000_000_000+int64(w.n)*60, 0))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(w.files) < 500 {
		t.Fatalf("ROOST_SAMPLES=%s holds %d files", root, len(w.files))
	}
}

// parcel is a message without what a file does not tell.
type parcel struct {
	Mailbox string
	Print   string
}

// Public mail, good and broken, goes through the repository and comes out as it was: by restic restore, by restic dump,
// by roost restore; also after restic has copied, forgotten and pruned.
func TestCorpora(t *testing.T) {
	long(t)
	root := corporaDir(t)
	d := newDesk(t, build(t), 1)
	w := newEmptyTree(t, filepath.Join(d.dir, "mail"), 1)
	w.putSamples(t, root, 1)
	backup := []string{"backup", "--from", "maildir:" + w.dir, "-u", "alice@example.com"}
	d.run(t, backup...)
	d.newestHolds(t, w)
	if out := d.run(t, backup...); !strings.Contains(out, "nothing changed") {
		t.Errorf("an unchanged Maildir is backed up again: %s", out)
	}
	d.checkByRestic(t, "--read-data")

	out := filepath.Join(d.dir, "by restic")
	d.restic.Run(t, "restore", "latest", "--target", out)
	paths := d.compareFiles(t, w, out)
	listed := d.restic.Run(t, "ls", "latest")
	for _, path := range []string{paths[0], paths[len(paths)/2], paths[len(paths)-1]} {
		if !strings.Contains(listed, path+"\n") {
			t.Errorf("restic ls does not list %s", path)
		}
		body, err := os.ReadFile(filepath.Join(out, path))
		if err != nil {
			t.Fatal(err)
		}
		if dumped := d.restic.Run(t, "dump", "latest", path); dumped != string(body) {
			t.Errorf("restic dump of %s gives %d octets, want %d or others", path, len(dumped), len(body))
		}
	}

	restored := filepath.Join(d.dir, "restored")
	d.run(t, "restore", "latest", "--in-place", "--to", "maildir:"+restored)
	d.maildirHolds(t, restored, w)
	d.forgetAndGoOn(t, w, backup)
	d.copyByRestic(t, w)
}

// maildirHolds compares a restored Maildir with what the test wrote.
func (d *desk) maildirHolds(t *testing.T, dir string, w *tree) {
	t.Helper()
	letters, names := maildirLetters(t, dir)
	if diff := cmp.Diff(w.letters(), letters); diff != "" {
		t.Errorf("%s (-written +restored):\n%s", dir, diff)
	}
	if diff := cmp.Diff(w.names(), names); diff != "" {
		t.Errorf("%s, mailboxes (-written +restored):\n%s", dir, diff)
	}
}

// compareFiles compares what restic restored with what the test wrote, and returns the paths of the messages.
func (d *desk) compareFiles(t *testing.T, w *tree, dir string) (paths []string) {
	t.Helper()
	want, got := map[parcel]int{}, map[parcel]int{}
	for l, n := range w.letters() {
		want[parcel{string(l.Mailbox), l.Print}] += n
	}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".eml") {
			return err
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		below := strings.TrimPrefix(path, dir)
		paths = append(paths, below)
		_, name, _ := strings.Cut(below, "/mail/")
		name, _, _ = strings.Cut(name, "/msg-")
		got[parcel{name, printOf(body)}]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("restic restore (-written +restored):\n%s", diff)
	}
	return paths
}

// forgetAndGoOn lets restic forget and prune, and roost go on.
func (d *desk) forgetAndGoOn(t *testing.T, w *tree, backup []string) {
	t.Helper()
	w.change(t)
	d.run(t, backup...)
	d.restic.Run(t, "forget", "--keep-last", "1", "--prune", "--max-unused", "0")
	if _, n := d.newest(t); n != 1 {
		t.Fatalf("after restic forget there are %d snapshots, want 1", n)
	}
	d.newestHolds(t, w)
	w.change(t)
	d.run(t, backup...)
	d.newestHolds(t, w)
	d.check(t, true)
	d.checkByRestic(t, "--read-data")
}

// copyByRestic lets restic copy everything to another repository, which roost then reads.
func (d *desk) copyByRestic(t *testing.T, w *tree) {
	t.Helper()
	password := filepath.Join(d.dir, "password")
	if err := os.WriteFile(password, []byte(repoPassword), 0o600); err != nil {
		t.Fatal(err)
	}
	copied := *d
	copied.place = filepath.Join(d.dir, "copy")
	copied.restic = d.restic.With("RESTIC_REPOSITORY=" + copied.place)
	copied.env = append(copied.env[:len(copied.env):len(copied.env)], "RESTIC_REPOSITORY="+copied.place)
	copied.restic.Run(t, "init")
	copied.restic.Run(t, "copy", "--from-repo", d.place, "--from-password-file", password)
	copied.restic.Run(t, "check", "--read-data")
	dir := filepath.Join(d.dir, "restored from the copy")
	copied.run(t, "restore", "latest", "--in-place", "--to", "maildir:"+dir)
	copied.maildirHolds(t, dir, w)
}
