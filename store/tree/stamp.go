package tree

import (
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Stamp is how a file or directory looks from outside. Equal stamps of a file say
// that nobody changed it in between, if the first was Settled when it was taken.
// The zero value is that of a file that is not there.
type Stamp struct {
	mtime, ctime int64 // nanoseconds since 1970; ctime 0 where the system has none
	size         int64 // 0 of a directory: file systems count there as they like
	ino, dev     uint64
}

// racy is how old a change must be to be told from the next: two within one tick
// of the clock of a file server, or of one that is not quite ours, look as one.
const racy = 2 * time.Second

// StampOf is the stamp of a file. It holds the time of the last change of status
// too, where the system has one: programs as mutt set the time of modification back
// after they changed flags in place.
func StampOf(info fs.FileInfo) Stamp {
	s := Stamp{mtime: info.ModTime().UnixNano()}
	s.ctime, s.ino, s.dev = statusOf(info)
	if !info.IsDir() {
		s.size = info.Size()
	}
	return s
}

// Size is that of the file in octets; 0 of a directory.
func (s Stamp) Size() int64 { return s.size }

// SameFile reports whether both are of one file, as it was then and as it is now;
// false where the system does not tell.
func (s Stamp) SameFile(other Stamp) bool {
	return s.ino != 0 && s.ino == other.ino && s.dev == other.dev
}

// Settled reports whether the file had its last change so long before now that a
// later one would show.
func (s Stamp) Settled(now time.Time) bool {
	latest := now.Add(-racy).UnixNano()
	return s.mtime < latest && s.ctime < latest
}

// Append appends the stamp in letters, digits, "." and "-".
func (s Stamp) Append(text []byte) []byte {
	for _, n := range []int64{s.mtime, s.ctime, s.size} {
		text = append(strconv.AppendInt(text, n, 36), '.')
	}
	text = append(strconv.AppendUint(text, s.ino, 36), '.')
	return strconv.AppendUint(text, s.dev, 36)
}

// ParseStamp reads what Append wrote; false if it is no stamp.
func ParseStamp(text string) (Stamp, bool) {
	var n [5]uint64
	columns := strings.Split(text, ".")
	if len(columns) != len(n) {
		return Stamp{}, false
	}
	for i, column := range columns {
		u, err := strconv.ParseUint(column, 36, 64)
		if signed, errSigned := strconv.ParseInt(column, 36, 64); i < 3 {
			u, err = uint64(signed), errSigned
		}
		if err != nil {
			return Stamp{}, false
		}
		n[i] = u
	}
	return Stamp{int64(n[0]), int64(n[1]), int64(n[2]), n[3], n[4]}, true
}
