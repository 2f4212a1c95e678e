//go:build !linux

package maildir

import (
	"os"
	"path/filepath"
)

// syncAll makes files durable.
func syncAll(_ *os.File, files []*os.File) error {
	for _, f := range files {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// holdsFiles says that syncAll needs the files open.
const holdsFiles = true

// statAt looks at a file of a directory.
func statAt(dir *os.File, name string) (look, error) {
	info, err := os.Lstat(filepath.Join(dir.Name(), name))
	if err != nil {
		return look{}, err
	}
	return lookOf(info), nil
}
