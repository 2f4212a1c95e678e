package maildir

import (
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// syncAll makes everything durable that was written to the file system on which
// dir stands.
func syncAll(dir *os.File, _ []*os.File) error { return unix.Syncfs(int(dir.Fd())) }

// holdsFiles says that syncAll does not need the files open.
const holdsFiles = false

// statAt looks at a file of a directory: one call to the system and next to no
// memory, since there may be a million.
func statAt(dir *os.File, name string) (look, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return look{}, &fs.PathError{Op: "stat", Path: name, Err: err}
		}
		return look{
			size:    st.Size,
			mtime:   time.Unix(st.Mtim.Unix()),
			regular: st.Mode&unix.S_IFMT == unix.S_IFREG,
			symlink: st.Mode&unix.S_IFMT == unix.S_IFLNK,
		}, nil
	}
}
