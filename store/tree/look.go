package tree

import (
	"io/fs"
	"time"
)

// Look is the little that a listing needs to know of a file.
type Look struct {
	Size             int64
	Modified         time.Time
	Regular, Symlink bool
}

// LookOf is the Look of a file that is known better.
func LookOf(info fs.FileInfo) Look {
	return Look{info.Size(), info.ModTime(), info.Mode().IsRegular(), info.Mode()&fs.ModeSymlink != 0}
}
