package tree

import (
	"io/fs"
	"os"
)

// Entry is a name in a directory.
type Entry struct {
	Name string
	Type fs.FileMode // its type bits
}

// IsDir reports whether it is a directory; a symbolic link is none.
func (e Entry) IsDir() bool { return e.Type.IsDir() }

// Entries are all names in a directory, in no order.
func Entries(dir *os.File) ([]Entry, error) {
	var all []Entry
	err := ReadDir(dir, func(name []byte, kind fs.FileMode) error {
		all = append(all, Entry{string(name), kind})
		return nil
	})
	return all, err
}
