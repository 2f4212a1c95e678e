//go:build unix

package tree

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A FIFO in the place of a file is an error, and never waited for.
func TestOpenDoesNotWaitForAFIFO(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Skip(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if text, err := ReadFile(root, "fifo"); err == nil {
		t.Errorf("ReadFile of a FIFO = %q, nil; want an error", text)
	}
}
