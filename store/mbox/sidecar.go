package mbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"

	"roost/mail"
)

// The sidecar of a file NAME is .NAME.roost.tsv beside it, UTF-8 text in lines
// that end with LF, of columns separated by a tab. In a column, control
// characters and "%" are written %XX.
//
//	#roost-mbox 1   UIDVALIDITY   UIDNEXT   ID
//	UID   ORIGIN   FLAGS
//	UID   -
//
// The first line says the version, the mailbox's UIDVALIDITY, a lower bound of
// its UIDNEXT, and its ID, which survives a rename. Each other line is what holds
// from there on of the message with that UID in its From_ line; the last one
// counts, and "-" says that the message is gone. ORIGIN is the GUID that the
// message had where it came from; FLAGS are separated by spaces.
//
// Lines are only ever added, so a crash leaves at most a last line without LF,
// which is no line. When most are overruled, the file is written anew and
// renamed. A line is added when its message is there whole: a message without
// one that is shorter than its mark says was never finished.

const (
	sidecarSuffix = ".roost.tsv"
	sidecarMagic  = "#roost-mbox "
	maxLine       = 1 << 20 // octets; a longer line is passed over
)

// sidecar is what stands in a sidecar. The zero value is that of a file without
// one.
type sidecar struct {
	there    bool
	validity uint32
	next     uint32
	id       string
	entries  map[uint32]entry // by UID
	lines    int
	torn     bool // the last line has no LF
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
	f, err := s.root.Open(sidecarOf(file))
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
func parseSidecar(r io.Reader) (sidecar, error) {
	side := sidecar{there: true, next: 1, entries: make(map[uint32]entry)}
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
	number, err := strconv.ParseUint(columns[0], 10, 32)
	uid := uint32(number)
	if err != nil || uid == 0 || uid == math.MaxUint32 || len(columns) < 2 {
		return
	}
	side.next = max(side.next, uid+1)
	if len(columns) == 2 {
		delete(side.entries, uid)
		return
	}
	side.entries[uid] = entry{unescape(columns[1]), mail.FlagsOf(strings.Fields(unescape(columns[2]))...)}
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

func (e entry) line(uid uint32) string {
	return strings.Join([]string{strconv.FormatUint(uint64(uid), 10), escape(e.origin), escape(string(e.flags))}, "\t") + "\n"
}

func (side *sidecar) firstLine() string {
	return fmt.Sprintf("%s1\t%d\t%d\t%s\n", sidecarMagic, side.validity, side.next, escape(side.id))
}

// goneLine says that a message is gone.
func goneLine(uid uint32) string { return strconv.FormatUint(uint64(uid), 10) + "\t-\n" }
