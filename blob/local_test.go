package blob_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"roost/blob"
	"roost/blob/blobtest"
)

func TestLocalKeepsTheContracts(t *testing.T) {
	t.Run("created", func(t *testing.T) {
		blobtest.Run(t, func(t *testing.T) blob.Bucket {
			l := blob.NewLocal(t.TempDir(), blob.LocalOptions{})
			if err := l.Create(); err != nil {
				t.Fatal(err)
			}
			return l
		})
	})
	t.Run("without any folder", func(t *testing.T) {
		blobtest.Run(t, func(t *testing.T) blob.Bucket {
			return blob.NewLocal(filepath.Join(t.TempDir(), "a", "b"), blob.LocalOptions{NoSync: true})
		})
	})
}

// Local lays files out as restic does, closed to others, and leaves no temporary files.
func TestLocalFiles(t *testing.T) {
	dir := t.TempDir()
	l := blob.NewLocal(dir, blob.LocalOptions{})
	body := []byte("some bytes")
	for _, kind := range append(blob.Kinds(), blob.Config) {
		if err := l.Save(t.Context(), blobtest.Handle(kind, body), body); err != nil {
			t.Fatal(err)
		}
	}
	name := blobtest.Handle(blob.Pack, body).Name
	want := map[string]bool{"config": true, "data/" + name[:2] + "/" + name: true}
	for _, d := range []string{"keys", "locks", "snapshots", "index"} {
		want[d+"/"+name] = true
	}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o400 {
			t.Errorf("%s has mode %v, want 0400", path, info.Mode())
		}
		if !want[path] {
			t.Errorf("unexpected file %s", path)
		}
		delete(want, path)
		return nil
	})
	if err != nil || len(want) > 0 {
		t.Errorf("missing files %v, %v", want, err)
	}
}

// What others leave in the folders is passed over.
func TestLocalListPassesOverStrangers(t *testing.T) {
	dir := t.TempDir()
	l := blob.NewLocal(dir, blob.LocalOptions{})
	if err := l.Create(); err != nil {
		t.Fatal(err)
	}
	name := strings.Repeat("ab", 32)
	for _, p := range []string{"data/README", "data/ab/x", "data/ab/" + name + "-tmp-1", "data/cd/" + name, "index/lost+found", "index/" + strings.ToUpper(name)} {
		if err := os.WriteFile(filepath.Join(dir, p), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"data/zz", "data/" + name, "index/" + name} {
		if err := os.Mkdir(filepath.Join(dir, p), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, kind := range blob.Kinds() {
		for e, err := range l.List(t.Context(), kind) {
			t.Errorf("List(%v) gave %v, %v", kind, e, err)
		}
	}
}

// A Save that cannot finish leaves nothing behind.
func TestLocalSaveCleansUp(t *testing.T) {
	dir := t.TempDir()
	l := blob.NewLocal(dir, blob.LocalOptions{})
	name := strings.Repeat("ab", 32)
	if err := os.WriteFile(filepath.Join(dir, "index"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := l.Save(t.Context(), blob.Handle{Kind: blob.Index, Name: name}, []byte("x"))
	if err == nil || errors.Is(err, blob.ErrExist) {
		t.Errorf("Save below a file = %v, want an error", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("folder holds %v, %v, want the one file", files, err)
	}
}
