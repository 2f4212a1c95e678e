//go:build unix

package tree

import "os"

// SyncDir makes the names in a directory durable.
func SyncDir(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
