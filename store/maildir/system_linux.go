package maildir

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncAll makes everything durable that was written to the file system on which
// dir stands.
func syncAll(dir *os.File, _ []*os.File) error { return unix.Syncfs(int(dir.Fd())) }

// holdsFiles says that syncAll does not need the files open.
const holdsFiles = false
