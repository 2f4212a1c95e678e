package mbox

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"

	"roost/mail"
	"roost/store/tree"
)

// The sidecar of a file NAME is .NAME.roost.tsv beside it; package tree tells of
// its first line and its columns.
//
//	#roost-mbox 1   UIDVALIDITY   UIDNEXT   ID   ROLE   SUBSCRIBED   KEPT
//	UID   ORIGIN   FLAGS
//	UID   -
//
// Each other line is what holds from there on of the message with that UID in its From_ line; the last one
// counts, and "-" says that the message is gone. ORIGIN is the GUID that the
// message had where it came from; FLAGS are separated by spaces.
//
// Lines are only ever added. When most are overruled, the file is written anew and
// renamed. A line is added when its message is there whole: a message without
// one that is shorter than its mark says was never finished.

const (
	sidecarSuffix = ".roost.tsv"
	sidecarMagic  = "#roost-mbox "
)

// sidecar is what stands in a sidecar. The zero value is that of a file without
// one.
type sidecar struct {
	tree.Header
	there   bool
	entries map[uint32]entry // by UID
	lines   int
	torn    bool // the last line has no LF
}

// entry is what a sidecar says of a message.
type entry struct {
	origin string
	flags  mail.Flags
}

// sidecarOf is the sidecar of a file.
func sidecarOf(file string) string {
	dir, name := path.Split(file)
	return dir + "." + name + sidecarSuffix
}

// readSidecar reads the sidecar of a file.
func (s *Store) readSidecar(file string) (sidecar, error) {
	f, err := tree.Open(s.root, sidecarOf(file))
	if errors.Is(err, fs.ErrNotExist) {
		return sidecar{}, nil
	}
	if err != nil {
		return sidecar{}, err
	}
	defer f.Close()
	side, err := parseSidecar(f)
	if err != nil {
		return sidecar{}, fmt.Errorf("read %s: %w", sidecarOf(file), err)
	}
	return side, nil
}

// parseSidecar reads a sidecar. The only errors are those of r, and a version
// that is not known.
func parseSidecar(r io.Reader) (side sidecar, err error) {
	side = sidecar{there: true, entries: make(map[uint32]entry)}
	greatest := uint32(0)
	side.Header, side.lines, side.torn, err = tree.Lines(r, sidecarMagic, func(line string) { side.parseEntry(line, &greatest) })
	side.Next = max(side.Next, greatest+1)
	if side.Keeps {
		side.Last = max(side.Last, greatest)
	}
	return side, err
}

// parseEntry reads a line. greatest becomes the greatest UID of those read.
func (side *sidecar) parseEntry(line string, greatest *uint32) {
	columns := strings.Split(line, "\t")
	number, err := strconv.ParseUint(columns[0], 10, 32)
	uid := uint32(number)
	if err != nil || uid == 0 || uid == math.MaxUint32 || len(columns) < 2 {
		return
	}
	*greatest = max(*greatest, uid)
	if len(columns) == 2 {
		delete(side.entries, uid)
		return
	}
	side.entries[uid] = entry{tree.Unescape(columns[1]), mail.FlagsOf(strings.Fields(tree.Unescape(columns[2]))...)}
}

func (e entry) line(uid uint32) string {
	return strings.Join([]string{strconv.FormatUint(uint64(uid), 10), tree.Escape(e.origin), tree.Escape(string(e.flags))}, "\t") + "\n"
}

// goneLine says that a message is gone.
func goneLine(uid uint32) string { return strconv.FormatUint(uint64(uid), 10) + "\t-\n" }
