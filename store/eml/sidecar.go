package eml

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"roost/mail"
)

// The sidecar of a directory is .roost.tsv, UTF-8 text in lines that end with
// LF, of columns separated by a tab. In a column, control characters and "%" are
// written %XX.
//
//	#roost-eml 1   UIDVALIDITY   UIDNEXT   ID
//	FILE   UID   SIZE   INTERNALDATE   GUID   ORIGIN   FLAGS
//	FILE   -
//
// The first line says the version, the mailbox's UIDVALIDITY, a lower bound of
// its UIDNEXT, and its ID, which survives a rename. Each other line is what holds
// from there on of a file; the last one counts, and "-" says that the file is
// gone. SIZE is octets, INTERNALDATE is RFC 3339, FLAGS are separated by spaces.
// GUID is "sha256:" and the digest of the bytes; it holds as long as the file has
// that size and is dated INTERNALDATE. ORIGIN is the GUID that the message had
// where it came from.
//
// Lines are only ever added, so a crash leaves at most a last line without LF,
// which is no line. When most are overruled, the file is written anew and
// renamed. A line is added before its file gets its name. Lines that cannot be
// read, and those of files that are not there, are passed over.

const (
	sidecarFile  = ".roost.tsv"
	sidecarMagic = "#roost-eml "
	maxLine      = 1 << 20 // octets; a longer line is passed over
)

// sidecar is what stands in a sidecar. The zero value is that of a directory
// without one.
type sidecar struct {
	there    bool
	validity uint32
	next     uint32
	id       string
	entries  map[string]entry // by file
	lines    int
	torn     bool // the last line has no LF
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
	f, err := s.root.Open(join(dir, sidecarFile))
	if errors.Is(err, fs.ErrNotExist) {
		return sidecar{}, nil
	}
	if err != nil {
		return sidecar{}, err
	}
	defer f.Close()
	side, err := parseSidecar(f)
	if err != nil {
		return sidecar{}, fmt.Errorf("read %s: %w", join(dir, sidecarFile), err)
	}
	return side, nil
}

// parseSidecar reads a sidecar. The only errors are those of r, and a version
// that is not known.
func parseSidecar(r io.Reader) (sidecar, error) {
	side := sidecar{there: true, next: 1, entries: make(map[string]entry)}
	lines := bufio.NewReaderSize(r, 64<<10)
	for first := true; ; first = false {
		line, whole, err := readLine(lines)
		if err == io.EOF {
			side.torn = len(line) > 0
			return side, nil
		}
		if err != nil {
			return sidecar{}, err
		}
		side.lines++
		switch {
		case !whole:
		case first && bytes.HasPrefix(line, []byte(sidecarMagic)):
			if err := side.parseFirst(string(line[len(sidecarMagic):])); err != nil {
				return sidecar{}, err
			}
		default:
			side.parseEntry(string(line))
		}
	}
}

// readLine reads a line without its LF. whole is false for one that is too long;
// then only its beginning is returned. At io.EOF it returns what has no LF.
func readLine(r *bufio.Reader) (line []byte, whole bool, err error) {
	whole = true
	for {
		piece, err := r.ReadSlice('\n')
		if len(line)+len(piece) > maxLine {
			whole = false
		} else {
			line = append(line, piece...)
		}
		if err == nil {
			return bytes.TrimSuffix(line, []byte("\n")), whole, nil
		}
		if err != bufio.ErrBufferFull {
			return line, whole, err
		}
	}
}

func (side *sidecar) parseFirst(line string) error {
	columns := strings.Split(line, "\t")
	if columns[0] != "1" {
		return fmt.Errorf("sidecar of version %.20q is not known", columns[0])
	}
	if len(columns) < 4 {
		return nil
	}
	validity, err1 := strconv.ParseUint(columns[1], 10, 32)
	next, err2 := strconv.ParseUint(columns[2], 10, 32)
	if err1 == nil && err2 == nil {
		side.validity, side.next = uint32(validity), max(uint32(next), 1)
	}
	side.id = unescape(columns[3])
	return nil
}

func (side *sidecar) parseEntry(line string) {
	columns := strings.Split(line, "\t")
	file := unescape(columns[0])
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
	e := entry{uint32(uid), size, date.UTC(), unescape(columns[4]), unescape(columns[5]),
		mail.FlagsOf(strings.Fields(unescape(columns[6]))...)}
	side.entries[file] = e
	if e.uid >= side.next && e.uid < 1<<32-1 {
		side.next = e.uid + 1
	}
}

// escape writes a column.
func escape(s string) string {
	plain := true
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f || s[i] == '%' {
			plain = false
		}
	}
	if plain {
		return s
	}
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < ' ' || c == 0x7f || c == '%' {
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

func (e entry) line(file string) string {
	return strings.Join([]string{
		escape(file), strconv.FormatUint(uint64(e.uid), 10), strconv.FormatInt(e.size, 10),
		e.date.UTC().Format(time.RFC3339), escape(e.guid), escape(e.origin), escape(string(e.flags)),
	}, "\t") + "\n"
}

func (side *sidecar) firstLine() string {
	return fmt.Sprintf("%s1\t%d\t%d\t%s\n", sidecarMagic, side.validity, side.next, escape(side.id))
}

// goneLine says that a file is gone.
func goneLine(file string) string { return escape(file) + "\t-\n" }
