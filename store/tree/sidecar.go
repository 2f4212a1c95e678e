package tree

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// A sidecar is a file of text beside mail, in UTF-8, of lines that end with LF and
// hold columns separated by a tab, each written by Escape. Its first line is
//
//	MAGIC 1   UIDVALIDITY   UIDNEXT   ID   ROLE   SUBSCRIBED   KEPT
//
// with the version, the mailbox's UIDVALIDITY, a lower bound of its UIDNEXT, its
// ID, which survives a rename, its special use, "subscribed" or nothing, and, if
// messages that are appended keep their UIDs, the greatest that one of them has.
// Columns may lack at the end. What the other lines say, the driver knows. They
// are only ever added, so that a crash leaves at most a last line without LF,
// which is no line.

// Header is what the first line of a sidecar says.
type Header struct {
	Validity   uint32 // 0: the line is damaged
	Next       uint32 // a lower bound of UIDNEXT, at least 1
	ID         string
	Role       string
	Subscribed bool
	Keeps      bool   // UIDs of messages that are appended are kept
	Last       uint32 // if Keeps: the greatest UID that was kept, 0 for none
}

const subscribed = "subscribed"

// ParseHeader reads the first line, without its magic. A line that is damaged is
// the zero Header; a version that is not known is an error.
func ParseHeader(line string) (Header, error) {
	columns := strings.Split(line, "\t")
	if columns[0] != "1" {
		return Header{}, fmt.Errorf("sidecar of version %.20q is not known", columns[0])
	}
	if len(columns) < 4 {
		return Header{}, nil
	}
	validity, err1 := strconv.ParseUint(columns[1], 10, 32)
	next, err2 := strconv.ParseUint(columns[2], 10, 32)
	if err1 != nil || err2 != nil {
		return Header{ID: Unescape(columns[3])}, nil
	}
	h := Header{Validity: uint32(validity), Next: max(uint32(next), 1), ID: Unescape(columns[3])}
	if len(columns) > 4 {
		h.Role = Unescape(columns[4])
	}
	h.Subscribed = len(columns) > 5 && columns[5] == subscribed
	if len(columns) > 6 {
		last, err := strconv.ParseUint(columns[6], 10, 32)
		h.Keeps, h.Last = err == nil, uint32(last)
		if err != nil {
			h.Last = 0
		}
	}
	return h, nil
}

// Line is the first line behind its magic.
func (h Header) Line() string {
	columns := []string{"1", strconv.FormatUint(uint64(h.Validity), 10), strconv.FormatUint(uint64(h.Next), 10), Escape(h.ID), Escape(h.Role), "", ""}
	if h.Subscribed {
		columns[5] = subscribed
	}
	if h.Keeps {
		columns[6] = strconv.FormatUint(uint64(h.Last), 10)
	}
	for columns[len(columns)-1] == "" && len(columns) > 4 {
		columns = columns[:len(columns)-1]
	}
	return strings.Join(columns, "\t") + "\n"
}

// maxLine is how long a line of a sidecar can be, in octets; a longer one is passed
// over.
const maxLine = 1 << 20

// Lines reads a sidecar: header is its first line behind magic, if it begins so,
// and each is called with each other line. n is how many lines there are; torn
// says that the last has no LF. The only errors are those of r, and a version that
// is not known.
func Lines(r io.Reader, magic string, each func(line string)) (header Header, n int, torn bool, err error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	for ; ; n++ {
		line, whole, err := readLine(lines)
		if err == io.EOF {
			return header, n, len(line) > 0, nil
		}
		if err != nil {
			return Header{}, n, false, err
		}
		switch {
		case !whole:
		case n == 0 && bytes.HasPrefix(line, []byte(magic)):
			if header, err = ParseHeader(string(line[len(magic):])); err != nil {
				return Header{}, n, false, err
			}
		default:
			each(string(line))
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

// ReadHeader reads no more than the first line.
func ReadHeader(r io.Reader, magic string) (Header, error) {
	line, _, err := readLine(bufio.NewReader(r))
	if err != nil && err != io.EOF {
		return Header{}, err
	}
	first, ok := strings.CutPrefix(string(line), magic)
	if !ok || err == io.EOF {
		return Header{}, nil // a damaged one is seen by those who need it
	}
	return ParseHeader(first)
}
