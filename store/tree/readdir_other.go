//go:build !linux

package tree

import (
	"io"
	"io/fs"
	"os"
)

// ReadDir calls each with every name in a directory, but "." and "..", until it
// fails. name is good until each returns.
func ReadDir(dir *os.File, each func(name []byte, kind fs.FileMode) error) error {
	for {
		entries, err := dir.ReadDir(1024)
		for _, e := range entries {
			if err := each([]byte(e.Name()), e.Type()); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
