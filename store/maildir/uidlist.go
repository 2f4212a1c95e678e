package maildir

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"roost/store/tree"
)

// dovecot-uidlist, version 3, says which UID a file has:
//
//	3 V1323785716 N42 G8a5e3c2fb05e1c4f0e7300008b5f6c2d
//	1 :1323785716.M20046P12Q3.host,S=1204,W=1230
//	7 G1323.M1P2.old W1230 :1323785799.M1P12Q4.host,S=1204
//
// The header has UIDVALIDITY, a lower bound of UIDNEXT, and the mailbox's GUID;
// fields with other letters are kept. A record has a UID, fields of a capital
// letter and a value (G: the message's GUID, S and W: its sizes), and the base
// name of its file. UIDs ascend. Records are appended in place, or the file is
// replaced by rename, always under the lock; so it is read without. Files that
// records name may be gone. Version 1, also Courier's courierimapuiddb, has
// "1 V N" and "UID NAME".

const (
	uidlistFile = "dovecot-uidlist"
	courierFile = "courierimapuiddb"
	mbsyncFile  = ".uidvalidity" // UIDVALIDITY and last UID, a line each; UIDs are in file names
	maxRecord   = 4 << 10        // octets of a line; a longer one is passed over
)

var errUIDList = errors.New("not a UID list")

// numbers is the header of a uidlist, and its end.
type numbers struct {
	version     int
	uidValidity uint32 // 0: there is no list
	uidNext     uint32 // as the header says
	guid        string // 32 hex digits, "" if there is none
	extra       string // fields that we do not know, as they stand there
	lastUID     uint32 // of the last record
	torn        bool   // the last line has no end
	mbsync      bool   // UIDs are in file names
	courier     bool   // the list is Courier's
}

// next is UIDNEXT.
func (n *numbers) next() uint32 {
	if n.uidValidity == 0 {
		return 0
	}
	if n.lastUID == math.MaxUint32 {
		return n.lastUID
	}
	return max(n.uidNext, n.lastUID+1, 1)
}

type record struct {
	uid    uint32
	fields []byte // "G.. W..", as they stand there
	name   []byte // base name; both are good until the next record
}

func (r record) guid() string {
	for f := range bytes.FieldsSeq(r.fields) {
		if f[0] == 'G' {
			return string(f[1:])
		}
	}
	return ""
}

func parseHeader(line []byte) (numbers, error) {
	var n numbers
	version, rest, _ := strings.Cut(string(line), " ")
	number := func(text string) uint32 {
		u, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return 0
		}
		return uint32(u)
	}
	switch version {
	case "1":
		n.version = 1
		validity, next, _ := strings.Cut(rest, " ")
		next, _, _ = strings.Cut(next, " ")
		n.uidValidity, n.uidNext = number(validity), number(next)
	case "3":
		n.version = 3
		for f := range strings.FieldsSeq(rest) {
			switch f[0] {
			case 'V':
				n.uidValidity = number(f[1:])
			case 'N':
				n.uidNext = number(f[1:])
			case 'G':
				n.guid = f[1:]
			default:
				n.extra += " " + f
			}
		}
	}
	if n.uidValidity == 0 || n.uidNext == 0 {
		return numbers{}, fmt.Errorf("header %.60q: %w", line, errUIDList)
	}
	return n, nil
}

// parseRecord reads a record; false if it is none.
func parseRecord(line []byte, version int) (record, bool) {
	number, rest, found := bytes.Cut(line, []byte(" "))
	uid, err := strconv.ParseUint(string(number), 10, 32)
	if !found || err != nil || uid == 0 || uid == math.MaxUint32 {
		return record{}, false
	}
	r := record{uid: uint32(uid)}
	rest = bytes.TrimLeft(rest, " ")
	if version == 1 {
		r.name = rest
	} else {
		start := 0 // of the name; it begins with a ":" at the start or behind a space
		for start < len(rest) && rest[start] != ':' {
			i := bytes.IndexByte(rest[start:], ' ')
			if i < 0 {
				return record{}, false
			}
			start += i + 1
		}
		if start >= len(rest) {
			return record{}, false
		}
		r.fields, r.name = bytes.TrimRight(rest[:start], " "), rest[start+1:]
	}
	if i := bytes.IndexByte(r.name, ':'); i >= 0 {
		r.name = r.name[:i]
	}
	return r, len(r.name) > 0 && bytes.IndexByte(r.name, '/') < 0
}

// parseUIDList reads a whole list. each is called with each record. A record
// that makes no sense, or whose UID does not ascend, is passed over.
func parseUIDList(r io.Reader, each func(record)) (numbers, error) {
	lines := bufio.NewReaderSize(r, 64<<10)
	line, err := readLine(lines)
	if err == io.EOF {
		return numbers{}, fmt.Errorf("empty: %w", errUIDList)
	}
	if err != nil {
		return numbers{}, err
	}
	n, err := parseHeader(line)
	if err != nil {
		return numbers{}, err
	}
	for {
		line, err := readLine(lines)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if rec, ok := parseRecord(line, n.version); ok && rec.uid > n.lastUID && len(line) <= maxRecord {
			n.lastUID = rec.uid
			each(rec)
		}
	}
}

// openUIDList opens what there is of a list of UIDs; nil if there is none.
func (s *Store) openUIDList(dir string) (f *os.File, info fs.FileInfo, courier bool, err error) {
	f, info, err = tree.OpenStat(s.control, s.controlPath(dir, uidlistFile))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return f, info, false, err
	}
	f, info, err = tree.OpenStat(s.root, path.Join(dir, courierFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, false, nil
	}
	return f, info, true, err
}

// readUIDList reads the list of a mailbox. Without one, or with one that makes
// no sense, UIDVALIDITY is 0.
func (s *Store) readUIDList(dir string, each func(record)) (numbers, error) {
	f, _, courier, err := s.openUIDList(dir)
	if err != nil {
		return numbers{}, err
	}
	if f == nil {
		return s.mbsyncNumbers(dir), nil
	}
	defer f.Close()
	n, err := parseUIDList(f, each)
	n.courier = courier
	if errors.Is(err, errUIDList) {
		return numbers{courier: courier}, nil
	}
	return n, err
}

// numbersOf reads only the header and the end of the list.
func (s *Store) numbersOf(dir string) (numbers, error) {
	n, _, err := s.numbersAndLook(dir)
	return n, err
}

// numbersAndLook also says how the list looks; nil if there is none.
func (s *Store) numbersAndLook(dir string) (numbers, *tree.Look, error) {
	f, info, courier, err := s.openUIDList(dir)
	if err != nil {
		return numbers{}, nil, err
	}
	if f == nil {
		return s.mbsyncNumbers(dir), nil, nil
	}
	defer f.Close()
	n, err := numbersIn(f, info.Size())
	if errors.Is(err, errUIDList) {
		n, err = numbers{}, nil
	}
	n.courier = courier
	seen := tree.LookOf(info)
	return n, &seen, err
}

func numbersIn(f *os.File, size int64) (numbers, error) {
	head, err := bufio.NewReaderSize(f, maxRecord).ReadSlice('\n')
	if err != nil {
		return numbers{}, fmt.Errorf("header %.60q: %w", head, errUIDList)
	}
	n, err := parseHeader(bytes.TrimSuffix(head, []byte("\n")))
	if err != nil {
		return numbers{}, err
	}
	for window := int64(2 * maxRecord); ; window *= 8 {
		from := max(int64(len(head)), size-window)
		tail := make([]byte, size-from)
		if _, err := f.ReadAt(tail, from); err != nil && err != io.EOF {
			return numbers{}, err
		}
		n.torn = len(tail) > 0 && tail[len(tail)-1] != '\n'
		if from > int64(len(head)) { // begins inside a line
			_, tail, _ = bytes.Cut(tail, []byte("\n"))
		}
		for line := range bytes.Lines(tail) {
			if rec, ok := parseRecord(bytes.TrimSuffix(line, []byte("\n")), n.version); ok {
				n.lastUID = max(n.lastUID, rec.uid)
			}
		}
		if n.lastUID > 0 || from == int64(len(head)) {
			return n, nil
		}
	}
}

func (s *Store) mbsyncNumbers(dir string) numbers {
	text, err := tree.ReadFile(s.root, path.Join(dir, mbsyncFile))
	if err != nil {
		return numbers{}
	}
	var n numbers
	if _, err := fmt.Sscanf(string(text), "%d\n%d", &n.uidValidity, &n.lastUID); err != nil {
		return numbers{}
	}
	n.mbsync = true
	return n
}

// addRecords appends records to the list of a mailbox. The caller holds its lock.
func (s *Store) addRecords(dir string, n numbers, records []byte) error {
	if len(records) == 0 {
		return nil
	}
	if n.version != 3 {
		return s.rewriteUIDList(dir, n, records)
	}
	if n.torn {
		records = append([]byte("\n"), records...)
	}
	f, err := s.control.OpenFile(s.controlPath(dir, uidlistFile), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(records)
	return errors.Join(err, s.sync(f), f.Close())
}

// rewriteUIDList writes the list anew, in version 3, with what it holds and
// more records. The caller holds its lock.
func (s *Store) rewriteUIDList(dir string, n numbers, more []byte) error {
	var b bytes.Buffer
	if n.guid == "" {
		var guid [16]byte
		rand.Read(guid[:]) // never fails, see crypto/rand
		n.guid = hex.EncodeToString(guid[:])
	}
	fmt.Fprintf(&b, "3 V%d N%d G%s%s\n", n.uidValidity, cmp.Or(n.uidNext, 1), n.guid, n.extra)
	if n.version != 0 {
		if _, err := s.readUIDList(dir, func(r record) {
			fmt.Fprintf(&b, "%d", r.uid)
			if len(r.fields) > 0 {
				fmt.Fprintf(&b, " %s", r.fields)
			}
			fmt.Fprintf(&b, " :%s\n", r.name)
		}); err != nil {
			return err
		}
	}
	b.Write(more)
	file := s.controlPath(dir, uidlistFile)
	return s.replace(s.control, file, file+".tmp", b.Bytes(), time.Time{})
}
