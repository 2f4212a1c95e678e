package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
)

// Local is a bucket in a folder of this machine, laid out as restic's local backend does it:
//
//	config
//	keys/ID  locks/ID  snapshots/ID  index/ID
//	data/AB/ID               AB are the first two digits of ID
//
// A new object is written to "ID-tmp-RANDOM" beside its place, synced, and renamed. Nothing removes what a crash leaves
// of those; listings pass them over. Folders are 0700, files 0400.
type Local struct {
	dir    string
	noSync bool
}

// LocalOptions adjusts a Local bucket; the zero value is the safe one.
type LocalOptions struct {
	NoSync bool // skip fsync: for benchmarks and scratch copies only, a power cut then loses objects already promised
}

// NewLocal returns the bucket in dir, without looking whether there is one.
func NewLocal(dir string, o LocalOptions) *Local {
	return &Local{dir: dir, noSync: o.NoSync}
}

// Create makes the folders of a new bucket; those that exist are kept. Save makes missing ones too,
// but restic's local backend wants to see them.
func (l *Local) Create() error {
	dirs := []string{l.dir}
	for _, k := range Kinds() {
		dirs = append(dirs, filepath.Join(l.dir, k.String()))
	}
	for i := range 256 {
		dirs = append(dirs, filepath.Join(l.dir, Pack.String(), fmt.Sprintf("%02x", i)))
	}
	for _, d := range dirs {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("create bucket: %w", err)
		}
	}
	for _, d := range []string{l.dir, filepath.Join(l.dir, Pack.String())} {
		if err := l.syncDir(d); err != nil {
			return fmt.Errorf("create bucket: %w", err)
		}
	}
	return nil
}

// String returns where the bucket is.
func (l *Local) String() string { return l.dir }

// path returns where h lives. The name was checked, so it cannot leave the folder.
func (l *Local) path(h Handle) (string, error) {
	if err := h.Valid(); err != nil {
		return "", err
	}
	switch h.Kind {
	case Config:
		return filepath.Join(l.dir, "config"), nil
	case Pack:
		return filepath.Join(l.dir, h.Kind.String(), h.Name[:2], h.Name), nil
	}
	return filepath.Join(l.dir, h.Kind.String(), h.Name), nil
}

// Save implements Bucket.
func (l *Local) Save(ctx context.Context, h Handle, body []byte) error {
	p, err := l.path(h)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = l.save(h.Kind, p, body)
	}
	if err != nil {
		return fmt.Errorf("save %v: %w", h, err)
	}
	return nil
}

func (l *Local) save(kind Kind, path string, body []byte) error {
	if _, err := os.Lstat(path); err == nil {
		return ErrExist
	}
	dir, name := filepath.Split(path)
	f, err := os.CreateTemp(dir, name+"-tmp-*")
	if errors.Is(err, fs.ErrNotExist) {
		if err = l.makeDir(dir); err == nil {
			f, err = os.CreateTemp(dir, name+"-tmp-*")
		}
	}
	if err != nil {
		return err
	}
	temp := f.Name()
	if err := l.fill(f, body); err != nil {
		os.Remove(temp)
		return err
	}
	if err := place(kind, temp, path); err != nil {
		os.Remove(temp)
		return err
	}
	if kind == Lock {
		return nil // a lock that a power cut takes back was held by nobody any more
	}
	return l.syncDir(dir)
}

// makeDir makes a folder that save found missing, and makes its name durable.
func (l *Local) makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return l.syncDir(filepath.Dir(filepath.Clean(dir)))
}

// fill writes body to f, makes it durable and read-only, and closes f.
func (l *Local) fill(f *os.File, body []byte) error {
	_, err := f.Write(body)
	if err == nil && !l.noSync {
		err = f.Sync()
	}
	// QUIRK: file systems without modes (CIFS, FAT) refuse chmod; the mode is a guard against accidents only.
	if cerr := f.Chmod(0o400); err == nil && cerr != nil && !errors.Is(cerr, fs.ErrPermission) && !errors.Is(cerr, errors.ErrUnsupported) {
		err = cerr
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// place gives the finished temporary file its name. Config is the one object whose name does not follow from its bytes,
// so a second one must not replace the first: link refuses that, where the file system has links.
func place(kind Kind, temp, path string) error {
	if kind != Config {
		return os.Rename(temp, path)
	}
	err := os.Link(temp, path)
	if errors.Is(err, fs.ErrExist) {
		return ErrExist
	}
	if err != nil {
		return os.Rename(temp, path)
	}
	return os.Remove(temp)
}

// Load implements Bucket.
func (l *Local) Load(ctx context.Context, h Handle, limit int64) ([]byte, error) {
	f, err := l.open(ctx, h)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("load %v: %w", h, err)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("load %v: %d octets, the limit is %d", h, info.Size(), limit)
	}
	p := make([]byte, info.Size())
	if _, err := io.ReadFull(f, p); err != nil {
		return nil, fmt.Errorf("load %v: %w", h, err)
	}
	return p, nil
}

// ReadAt implements Bucket.
func (l *Local) ReadAt(ctx context.Context, h Handle, p []byte, off int64) error {
	f, err := l.open(ctx, h)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.ReadAt(p, off); err != nil && len(p) > 0 {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read %v at %d: %w", h, off, err)
	}
	return nil
}

func (l *Local) open(ctx context.Context, h Handle) (*os.File, error) {
	p, err := l.path(h)
	if err == nil {
		err = ctx.Err()
	}
	var f *os.File
	if err == nil {
		f, err = os.Open(p)
	}
	if err != nil {
		return nil, fmt.Errorf("open %v: %w", h, notExist(err))
	}
	return f, nil
}

// Stat implements Bucket.
func (l *Local) Stat(ctx context.Context, h Handle) (int64, error) {
	p, err := l.path(h)
	if err == nil {
		err = ctx.Err()
	}
	var info fs.FileInfo
	if err == nil {
		info, err = os.Lstat(p)
	}
	if err != nil {
		return 0, fmt.Errorf("stat %v: %w", h, notExist(err))
	}
	return info.Size(), nil
}

// List implements Bucket.
func (l *Local) List(ctx context.Context, kind Kind) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if kind == Config {
			return
		}
		top := filepath.Join(l.dir, kind.String())
		if kind != Pack {
			l.listDir(ctx, top, "", yield)
			return
		}
		subs, err := readDir(top)
		if err != nil {
			yield(Entry{}, fmt.Errorf("list %v: %w", kind, err))
			return
		}
		for _, sub := range subs {
			if len(sub.Name()) == 2 && sub.IsDir() && !l.listDir(ctx, filepath.Join(top, sub.Name()), sub.Name(), yield) {
				return
			}
		}
	}
}

// listDir yields the objects of one folder whose names begin with prefix; false means stop.
func (l *Local) listDir(ctx context.Context, dir, prefix string, yield func(Entry, error) bool) bool {
	files, err := readDir(dir)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		yield(Entry{}, fmt.Errorf("list %s: %w", dir, err))
		return false
	}
	for _, file := range files {
		if !validName(file.Name()) || !strings.HasPrefix(file.Name(), prefix) {
			continue
		}
		info, err := file.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			yield(Entry{}, fmt.Errorf("list %s: %w", dir, err))
			return false
		}
		if info.Mode().IsRegular() && !yield(Entry{Name: file.Name(), Size: info.Size()}, nil) {
			return false
		}
	}
	return true
}

// readDir is os.ReadDir for a folder that need not exist.
func readDir(dir string) ([]fs.DirEntry, error) {
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return files, err
}

// Remove implements Bucket.
func (l *Local) Remove(ctx context.Context, h Handle) error {
	p, err := l.path(h)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = os.Remove(p)
	}
	if err != nil {
		return fmt.Errorf("remove %v: %w", h, notExist(err))
	}
	return nil
}

// Close implements Bucket.
func (l *Local) Close() error { return nil }

func notExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ErrNotExist
	}
	return err
}

func (l *Local) syncDir(dir string) error {
	if l.noSync {
		return nil
	}
	return syncDir(dir)
}
