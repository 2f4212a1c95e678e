package tree

import (
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// SyncAll makes everything durable that was written to the file system on which
// dir stands.
func SyncAll(dir *os.File, _ []*os.File) error { return unix.Syncfs(int(dir.Fd())) }

// HoldsFiles says that SyncAll does not need the files open.
const HoldsFiles = false

// LookAt looks at a file of a directory, not through a symbolic link: one call to
// the system and next to no memory, since there may be a million.
func LookAt(dir *os.File, name string) (Look, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return Look{}, &fs.PathError{Op: "stat", Path: name, Err: err}
		}
		return Look{
			Size:     st.Size,
			Modified: time.Unix(st.Mtim.Unix()),
			Inode:    st.Ino,
			Device:   st.Dev,
			Regular:  st.Mode&unix.S_IFMT == unix.S_IFREG,
			Dir:      st.Mode&unix.S_IFMT == unix.S_IFDIR,
			Symlink:  st.Mode&unix.S_IFMT == unix.S_IFLNK,
		}, nil
	}
}
