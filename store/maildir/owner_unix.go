//go:build unix

package maildir

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// ownerOf is whom a directory belongs to, if we may give files away.
func ownerOf(info fs.FileInfo) (uid, gid int, ok bool) {
	st, is := info.Sys().(*syscall.Stat_t)
	if !is || os.Geteuid() != 0 || st.Uid == 0 && st.Gid == 0 {
		return 0, 0, false
	}
	return int(st.Uid), int(st.Gid), true
}

// processExists reports whether there is a process with this number.
func processExists(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func syncDir(d *os.File) error { return d.Sync() }
