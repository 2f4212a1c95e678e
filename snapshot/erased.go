package snapshot

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"roost/mail"
	"roost/message"
)

// The file erased.tsv tells which messages the user had erased, so that no later run stores them again, and nothing of
// what was in them. Its lines are
//
//	salt TAB 64 hex digits                       the first
//	at TAB mailbox TAB slot TAB key TAB look     an erased message that its mailbox still has at the source
//	is TAB digest                                something by which an erased message is recognised
//
// Digests are HMAC-SHA-256 under the salt, cut to 16 octets, in hex: of the message's print, of its beginning if it is long, of
// how the source lists it. Who knows a message can tell whether it was erased; nobody can tell what was.

const erasedFile = "erased.tsv"

// OpeningSize is how many octets, with CRLF line ends, the opening of a message has: enough to tell a long message before
// all of it was read.
const OpeningSize = 4 << 20

// A Digest recognises something that an account's erased messages had.
type Digest [16]byte

// IsZero reports whether d stands for nothing.
func (d Digest) IsZero() bool { return d == Digest{} }

// A Mark stands where a message was erased that the source still has.
type Mark struct {
	Slot Slot
	Key  Digest // of the source's key; zero: that is the slot in decimal
	Look Digest // how the source lists it: if it differs, it may be another message; zero: not known
}

// Erased is what an account remembers of its erased messages. A nil one is empty and may be asked. Its methods that do not
// change it are safe for concurrent use.
type Erased struct {
	salt  [32]byte
	marks map[mail.Name][]Mark // ascending by slot, none empty
	known map[Digest]bool
}

// NewErased returns an empty one with a salt of its own.
func NewErased() *Erased {
	e := &Erased{marks: make(map[mail.Name][]Mark), known: make(map[Digest]bool)}
	rand.Read(e.salt[:]) // never fails
	return e
}

// Clone returns a copy that can be changed, with the same salt.
func (e *Erased) Clone() *Erased {
	return &Erased{salt: e.salt, marks: maps.Clone(e.marks), known: maps.Clone(e.known)}
}

// Join learns what other knows, if its digests mean the same in e: if both have one origin.
func (e *Erased) Join(other *Erased) {
	if other != nil && e.salt == other.salt {
		maps.Copy(e.known, other.known)
	}
}

// IsEmpty reports whether nothing is remembered.
func (e *Erased) IsEmpty() bool { return e == nil || len(e.marks) == 0 && len(e.known) == 0 }

// Marks are those of a mailbox, ascending by slot. The caller must not change them.
func (e *Erased) Marks(name mail.Name) []Mark {
	if e == nil {
		return nil
	}
	return e.marks[name]
}

// SetMarks replaces the marks of a mailbox by marks, in any order.
func (e *Erased) SetMarks(name mail.Name, marks []Mark) {
	if len(marks) == 0 {
		delete(e.marks, name)
		return
	}
	slices.SortFunc(marks, func(a, b Mark) int { return cmp.Compare(a.Slot, b.Slot) })
	e.marks[name] = slices.CompactFunc(marks, func(a, b Mark) bool { return a.Slot == b.Slot })
}

// Clear forgets where erased messages stand, and with all also how they are recognised.
func (e *Erased) Clear(all bool) {
	clear(e.marks)
	if all {
		clear(e.known)
	}
}

// Knows reports whether an erased message had what d stands for.
func (e *Erased) Knows(d Digest) bool { return e != nil && e.known[d] }

// Recognises reports whether anything is remembered by which a message could be recognised.
func (e *Erased) Recognises() bool { return e != nil && len(e.known) > 0 }

// Learn remembers d, unless it is zero.
func (e *Erased) Learn(d Digest) {
	if !d.IsZero() {
		e.known[d] = true
	}
}

// Print is the digest of a message's print.
func (e *Erased) Print(p message.Print) Digest { return e.digest("print", p[:]) }

// Opening is the digest of the opening of a message.
func (e *Erased) Opening(o message.Print) Digest { return e.digest("opening", o[:]) }

// OpeningOf is the print of the first OpeningSize octets of a message, with CRLF line ends, of which raw is the beginning; false if
// raw has not so many: such a message is told by its print alone.
func OpeningOf(raw []byte) (message.Print, bool) {
	const piece = 64 << 10
	crlf := message.NormalizeCRLF(io.LimitReader(bytes.NewReader(raw), OpeningSize))
	sum := sha256.New()
	n, err := io.CopyBuffer(struct{ io.Writer }{sum}, io.LimitReader(crlf, OpeningSize), make([]byte, piece))
	return message.Print(sum.Sum(nil)), err == nil && n == OpeningSize
}

// Look is the digest of how the store of that identity lists a message: of its GUID, size and date. Only with an identity and a
// GUID does it tell a message in another place.
func (e *Erased) Look(identity string, m *mail.Message) Digest {
	date := ""
	if !m.InternalDate.IsZero() {
		date = strconv.FormatInt(m.InternalDate.Unix(), 10)
	}
	return e.digest("look", []byte(identity), []byte(m.GUID), strconv.AppendInt(nil, m.Size, 10), []byte(date))
}

// Key is the digest of a source's key.
func (e *Erased) Key(k mail.Key) Digest { return e.digest("key", []byte(k)) }

// digest puts a length before each part, so that no two lists of parts are alike.
func (e *Erased) digest(kind string, parts ...[]byte) Digest {
	sum := hmac.New(sha256.New, e.salt[:])
	fmt.Fprintf(sum, "%s\x00", kind)
	for _, p := range parts {
		fmt.Fprintf(sum, "%d\x00", len(p))
		sum.Write(p)
	}
	return Digest(sum.Sum(nil)[:len(Digest{})])
}

// append writes the file.
func (e *Erased) append(dst []byte) []byte {
	dst = hex.AppendEncode(append(dst, "salt\t"...), e.salt[:])
	dst = append(dst, '\n')
	for _, name := range slices.Sorted(maps.Keys(e.marks)) {
		for _, m := range e.marks[name] {
			dst = appendField(append(dst, "at\t"...), string(name))
			dst = append(append(dst, '\t'), m.Slot.Key()...)
			dst = appendDigest(append(dst, '\t'), m.Key)
			dst = appendDigest(append(dst, '\t'), m.Look)
			dst = append(dst, '\n')
		}
	}
	known := slices.SortedFunc(maps.Keys(e.known), func(a, b Digest) int { return bytes.Compare(a[:], b[:]) })
	for _, d := range known {
		dst = appendDigest(append(dst, "is\t"...), d)
		dst = append(dst, '\n')
	}
	return dst
}

func appendDigest(dst []byte, d Digest) []byte {
	if d.IsZero() {
		return dst
	}
	return hex.AppendEncode(dst, d[:])
}

// parseErased reads the file.
func parseErased(file []byte) (*Erased, error) {
	e := &Erased{marks: make(map[mail.Name][]Mark), known: make(map[Digest]bool)}
	for n := 1; len(file) > 0; n++ {
		line, rest, ok := bytes.Cut(file, []byte{'\n'})
		if !ok {
			return nil, fmt.Errorf("line %d is cut off", n)
		}
		file = rest
		if err := e.readLine(n, bytes.Split(line, []byte{'\t'})); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if e.salt == [32]byte{} {
		return nil, errors.New("no salt")
	}
	return e, nil
}

func (e *Erased) readLine(n int, fields [][]byte) error {
	kind, fields := string(fields[0]), fields[1:]
	switch {
	case (kind == "salt") != (n == 1):
		return errors.New("the salt does not stand first, or twice")
	case kind == "salt" && len(fields) == 1 && len(fields[0]) == 2*len(e.salt):
		_, err := hex.Decode(e.salt[:], fields[0])
		return err
	case kind == "at" && len(fields) == 4:
		return e.readMark(mail.Name(parseField(fields[0])), fields[1:])
	case kind == "is" && len(fields) == 1:
		d, err := parseDigest(fields[0])
		if err == nil && d.IsZero() {
			err = errors.New("no digest")
		}
		e.known[d] = true
		return err
	}
	return fmt.Errorf("%.20q is no line of it", kind)
}

func (e *Erased) readMark(name mail.Name, fields [][]byte) (err error) {
	var m Mark
	if m.Slot, err = ParseSlot(string(fields[0])); err != nil {
		return err
	}
	if m.Key, err = parseDigest(fields[1]); err != nil {
		return err
	}
	if m.Look, err = parseDigest(fields[2]); err != nil {
		return err
	}
	before := e.marks[name]
	if len(before) > 0 && before[len(before)-1].Slot >= m.Slot {
		return fmt.Errorf("slot %s stands behind %s", m.Slot, before[len(before)-1].Slot)
	}
	e.marks[name] = append(before, m)
	return nil
}

// parseDigest reads a digest; nothing is the zero one.
func parseDigest(text []byte) (d Digest, err error) {
	if len(text) == 0 {
		return d, nil
	}
	if len(text) != 2*len(d) {
		return d, fmt.Errorf("%.40q is no digest", text)
	}
	_, err = hex.Decode(d[:], text)
	return d, err
}

// Erased is what the account remembers of messages that were erased; nil if none were.
func (s *Source) Erased(ctx context.Context) (*Erased, error) {
	text, err := s.file(ctx, erasedFile)
	if errors.Is(err, errNoFile) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	e, err := parseErased(text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", erasedFile, err)
	}
	return e, nil
}
