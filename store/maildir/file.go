package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// newName is a base name that no file ever had: the time, the process and its
// deliveries, something random, and the host, as the inventor of Maildir asks.
func (s *Store) newName() string {
	now := time.Now()
	host := strings.NewReplacer("/", `\057`, ":", `\072`, ",", `\054`).Replace(s.host)
	return fmt.Sprintf("%d.M%06dP%dQ%dR%s.%s", now.Unix(), now.Nanosecond()/1000, os.Getpid(), s.delivery.Add(1), s.random, host)
}

// replace writes a file of the mailbox's directory under the name temp, and
// renames it to file. temp "" is file with ".tmp" behind. A zero mtime is now.
func (s *Store) replace(root *os.Root, file, temp string, data []byte, mtime time.Time) error {
	if temp == "" {
		temp = file + ".tmp"
	}
	if err := root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	like, err := root.Stat(path.Dir(file))
	if err != nil {
		return err
	}
	f, err := root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, own(f, like), s.sync(f), f.Close())
	if err == nil && !mtime.IsZero() {
		err = root.Chtimes(temp, mtime, mtime)
	}
	if err == nil {
		err = root.Rename(temp, file)
	}
	if err != nil {
		root.Remove(temp)
		return err
	}
	return s.syncIn(root, path.Dir(file))
}

// own gives a new file the mode and the owner that files in a directory have.
func own(f *os.File, dir fs.FileInfo) error {
	if mode := dir.Mode().Perm() & 0o666; mode != 0o600 {
		if err := f.Chmod(mode); err != nil {
			return err
		}
	}
	if uid, gid, ok := ownerOf(dir); ok {
		return f.Chown(uid, gid)
	}
	return nil
}

func (s *Store) sync(f *os.File) error {
	if s.options.NoSync {
		return nil
	}
	return f.Sync()
}

// syncDirs makes durable which files stand in directories.
func (s *Store) syncDirs(dirs ...string) error { return s.syncIn(s.root, dirs...) }

func (s *Store) syncIn(root *os.Root, dirs ...string) error {
	if s.options.NoSync {
		return nil
	}
	for _, dir := range dirs {
		d, err := root.Open(dir)
		if err != nil {
			return err
		}
		if err := errors.Join(syncDir(d), d.Close()); err != nil {
			return err
		}
	}
	return nil
}
