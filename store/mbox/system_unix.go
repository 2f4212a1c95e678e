//go:build unix

package mbox

import (
	"errors"
	"io/fs"
	"syscall"
)

// isAlive reports whether a process of this host is there.
func isAlive(pid int) bool {
	return pid <= 0 || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// copyOwner gives a file the owner of another, if we may.
func (s *Store) copyOwner(file string, of fs.FileInfo) {
	if st, ok := of.Sys().(*syscall.Stat_t); ok {
		s.root.Chown(file, int(st.Uid), int(st.Gid))
	}
}
