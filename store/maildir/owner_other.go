//go:build !unix

package maildir

import (
	"io/fs"
	"os"
)

func ownerOf(fs.FileInfo) (uid, gid int, ok bool) { return 0, 0, false }

// processExists cannot tell: a lock is stale only by its age.
func processExists(int) bool { return true }

// syncDir does nothing: a directory cannot be opened for that.
func syncDir(*os.File) error { return nil }
