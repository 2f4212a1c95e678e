package tree

import (
	"io/fs"
	"time"
)

// Look is the little that a listing needs to know of a file.
type Look struct {
	Size                  int64
	Modified              time.Time
	Inode, Device         uint64 // 0 where the system has none
	Regular, Dir, Symlink bool
}

// LookOf is the Look of a file that is known better.
func LookOf(info fs.FileInfo) Look {
	l := Look{Size: info.Size(), Modified: info.ModTime(), Regular: info.Mode().IsRegular(), Dir: info.IsDir(), Symlink: info.Mode()&fs.ModeSymlink != 0}
	_, l.Inode, l.Device = statusOf(info)
	return l
}
