package eml

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"roost/mail"
	"roost/store/tree"
)

// The sidecar of a directory is .roost.tsv; package tree tells of its first line
// and its columns.
//
//	#roost-eml 1   UIDVALIDITY   UIDNEXT   ID   ROLE   SUBSCRIBED   KEPT
//	FILE   UID   SIZE   INTERNALDATE   GUID   ORIGIN   FLAGS
//	FILE   -
//
// Each other line is what holds from there on of a file; the last one counts, and "-" says that the file is
// gone. SIZE is octets, INTERNALDATE is RFC 3339, FLAGS are separated by spaces.
// GUID is "sha256:" and the digest of the bytes; it holds as long as the file has
// that size and is dated INTERNALDATE. ORIGIN is the GUID that the message had
// where it came from.
//
// Lines are only ever added. When most are overruled, the file is written anew and
// renamed. A line is added before its file gets its name. Lines that cannot be
// read, and those of files that are not there, are passed over.

const (
	sidecarFile  = ".roost.tsv"
	sidecarMagic = "#roost-eml "
)

// sidecar is what stands in a sidecar. The zero value is that of a directory
// without one.
type sidecar struct {
	tree.Header
	there   bool
	entries map[string]entry // by file
	lines   int
	torn    bool // the last line has no LF
}

// entry is what a sidecar says of a file.
type entry struct {
	uid    uint32
	size   int64
	date   time.Time
	guid   string
	origin string
	flags  mail.Flags
}

// readSidecar reads the sidecar of a directory.
func (s *Store) readSidecar(dir string) (sidecar, error) {
	f, err := tree.Open(s.root, tree.Join(dir, sidecarFile))
	if errors.Is(err, fs.ErrNotExist) {
		return sidecar{}, nil
	}
	if err != nil {
		return sidecar{}, err
	}
	defer f.Close()
	side, err := parseSidecar(f)
	if err != nil {
		return sidecar{}, fmt.Errorf("read %s: %w", tree.Join(dir, sidecarFile), err)
	}
	return side, nil
}

// parseSidecar reads a sidecar. The only errors are those of r, and a version
// that is not known.
func parseSidecar(r io.Reader) (side sidecar, err error) {
	side = sidecar{there: true, entries: make(map[string]entry)}
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
	file := tree.Unescape(columns[0])
	if len(columns) == 2 && columns[1] == "-" {
		delete(side.entries, file)
		return
	}
	if len(columns) < 7 || !isMessageFile(file) {
		return
	}
	uid, err1 := strconv.ParseUint(columns[1], 10, 32)
	size, err2 := strconv.ParseInt(columns[2], 10, 64)
	date, err3 := time.Parse(time.RFC3339, columns[3])
	if err1 != nil || err2 != nil || err3 != nil {
		return
	}
	e := entry{uint32(uid), size, date.UTC(), tree.Unescape(columns[4]), tree.Unescape(columns[5]),
		mail.FlagsOf(strings.Fields(tree.Unescape(columns[6]))...)}
	side.entries[file] = e
	if e.uid < 1<<32-1 {
		*greatest = max(*greatest, e.uid)
	}
}

func (e entry) line(file string) string {
	return strings.Join([]string{
		tree.Escape(file), strconv.FormatUint(uint64(e.uid), 10), strconv.FormatInt(e.size, 10),
		e.date.UTC().Format(time.RFC3339), tree.Escape(e.guid), tree.Escape(e.origin), tree.Escape(string(e.flags)),
	}, "\t") + "\n"
}

// goneLine says that a file is gone.
func goneLine(file string) string { return tree.Escape(file) + "\t-\n" }
