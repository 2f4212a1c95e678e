//go:build darwin || netbsd || freebsd

package tree

import (
	"io/fs"
	"syscall"
)

// statusOf is when the status of a file changed last, its number in its file
// system, and that of the latter.
func statusOf(info fs.FileInfo) (ctime int64, ino, dev uint64) {
	st, is := info.Sys().(*syscall.Stat_t)
	if !is {
		return 0, 0, 0
	}
	return st.Ctimespec.Nano(), uint64(st.Ino), uint64(st.Dev)
}
