//go:build !linux

package tree

import (
	"os"
	"path/filepath"
)

// SyncAll makes files durable.
func SyncAll(_ *os.File, files []*os.File) error {
	for _, f := range files {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// HoldsFiles says that SyncAll needs the files open.
const HoldsFiles = true

// LookAt looks at a file of a directory, not through a symbolic link.
func LookAt(dir *os.File, name string) (Look, error) {
	info, err := os.Lstat(filepath.Join(dir.Name(), name))
	if err != nil {
		return Look{}, err
	}
	return LookOf(info), nil
}
