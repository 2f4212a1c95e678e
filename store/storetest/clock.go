package storetest

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Tick waits until the clock of the file system has gone on, so that what is changed
// then has another time than what was changed before.
func Tick(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "tick")
	var first time.Time
	for {
		if err := os.WriteFile(file, []byte("tick"), 0o600); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if first.IsZero() {
			first = info.ModTime()
		}
		if info.ModTime().After(first) {
			return
		}
	}
}
