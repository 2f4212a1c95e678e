package mbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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

// A token says how the file and its sidecar looked from outside, so that a file
// that did not change is not read. Where all messages have UIDs, it also says which
// was the last and how both files ended; then mail that was appended since is all
// that is read. In a file of other programs, flags stand in the messages and are
// changed in place, in the same length (Thunderbird, Dovecot): how the file ends
// does not show that, so it is read as a whole when it has grown.

// token is what Changes remembers.
type token struct {
	format         Format // how the file was read
	validity, next uint32 // as Changes said; 0: no UIDs
	last           uint32 // the last UID there was
	print          string // of the ends of both files; noPrint: more cannot be told from what was appended
	mbox, side     tree.Stamp
}

const (
	tokenMagic = "mbox2"
	noPrint    = "-"
	printed    = 64 << 10 // octets of the end of a file that are looked at
)

func (t token) text() mail.Token {
	b := fmt.Appendf(nil, "%s %d %d %d %d %s ", tokenMagic, t.format, t.validity, t.next, t.last, t.print)
	b = append(t.mbox.Append(b), ' ')
	return mail.Token(t.side.Append(b))
}

// parseToken reads a token; false if it is none of ours.
func parseToken(text mail.Token) (t token, ok bool) {
	columns := strings.Split(string(text), " ")
	if len(columns) != 8 || columns[0] != tokenMagic {
		return token{}, false
	}
	var n [4]uint64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseUint(columns[1+i], 10, 32); err != nil {
			return token{}, false
		}
	}
	t = token{format: Format(n[0]), validity: uint32(n[1]), next: uint32(n[2]), last: uint32(n[3]), print: columns[5]}
	mbox, ok1 := tree.ParseStamp(columns[6])
	side, ok2 := tree.ParseStamp(columns[7])
	t.mbox, t.side = mbox, side
	return t, ok1 && ok2 && t.text() == text
}

// Changes reads nothing if nothing changed since, only what was appended if that is
// all that happened, and else the whole file.
func (s *Store) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	if err := ctx.Err(); err != nil {
		return mail.Changes{}, err
	}
	ch, err := s.changes(ctx, name, since)
	if err != nil {
		return mail.Changes{}, s.fail("list", name, err)
	}
	return ch, nil
}

func (s *Store) changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	file, there := s.find(name)
	if !there {
		return mail.Changes{}, mail.ErrNoMailbox
	}
	o, err := s.openShared(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		return mail.Changes{}, mail.ErrNoMailbox
	}
	if err != nil {
		return mail.Changes{}, err
	}
	defer o.close()
	began := s.now()
	mbox, side, err := s.stampsOf(o)
	if err != nil {
		return mail.Changes{}, err
	}
	if old, ok := parseToken(since); ok && old.format == s.format {
		if old.mbox == mbox && old.side == side {
			return mail.Changes{UIDValidity: old.validity, UIDNext: old.next, Count: -1, Token: since, Method: "unchanged"}, nil
		}
		now := old
		now.mbox, now.side = mbox, side
		if ch, ok, err := s.appended(ctx, o, old, now, began); ok || err != nil {
			return ch, err
		}
	}
	v, err := s.look(ctx, o, strict)
	if err != nil {
		return mail.Changes{}, err
	}
	ch := mail.Changes{Full: true, UIDValidity: v.validity, UIDNext: v.next, Count: -1, Method: "scan"}
	ch.Messages = v.messages()
	now := token{s.format, v.validity, v.next, 0, noPrint, mbox, side}
	if n := len(v.list); n > 0 && v.validity != 0 {
		now.last = v.list[n-1].mark.uid
	}
	ch.Token, err = s.tokenOf(o, now, began, v.validity != 0 && !v.side.torn && v.end == mbox.Size() && v.stamp == mbox)
	return ch, err
}

// messages are those of the list as Changes tells them.
func (v *view) messages() []mail.Message {
	all := make([]mail.Message, len(v.list))
	for i, p := range v.list {
		all[i] = mail.Message{Key: v.keys[i], Flags: v.flags(p), InternalDate: p.date, Size: p.size}
		if v.validity != 0 {
			all[i].UID = p.mark.uid
		}
	}
	return all
}

// stampsOf looks at an open file and its sidecar.
func (s *Store) stampsOf(o *opening) (mbox, side tree.Stamp, err error) {
	info, err := o.Stat()
	if err != nil {
		return mbox, side, err
	}
	mbox = tree.StampOf(info)
	info, err = s.root.Stat(sidecarOf(o.path))
	if errors.Is(err, fs.ErrNotExist) {
		return mbox, side, nil
	}
	if err == nil {
		side = tree.StampOf(info)
	}
	return mbox, side, err
}

// tokenOf is the token of files that looked so when they were read. One that a
// further change might not alter never equals another. whole says that what is
// appended later can be told from what is there.
func (s *Store) tokenOf(o *opening, t token, began time.Time, whole bool) (mail.Token, error) {
	if !t.mbox.Settled(began) || t.side != (tree.Stamp{}) && !t.side.Settled(began) {
		return mail.Token(fmt.Sprintf("%s young %d", tokenMagic, began.UnixNano())), nil
	}
	if whole {
		side, err := tree.Open(s.root, sidecarOf(o.path))
		if err != nil {
			return "", err
		}
		defer side.Close()
		if t.print, err = printOf(o, side, t); err != nil {
			return "", err
		}
	}
	return t.text(), nil
}

// printOf is a digest of how both files begin and end at the sizes that t says.
func printOf(mbox, side io.ReaderAt, t token) (string, error) {
	digest := sha256.New()
	for _, f := range []struct {
		io.ReaderAt
		size int64
	}{{mbox, t.mbox.Size()}, {side, t.side.Size()}} {
		for _, from := range []int64{0, max(0, f.size-printed)} {
			if _, err := io.Copy(digest, io.NewSectionReader(f, from, min(printed, f.size-from))); err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(digest.Sum(nil)[:16]), nil
}

// appended tells what was appended since old, if that is all that happened: both
// files are the same as before up to where they ended, and behind that stand whole
// messages of ours and lines about them.
func (s *Store) appended(ctx context.Context, o *opening, old, now token, began time.Time) (ch mail.Changes, ok bool, err error) {
	if old.print == noPrint || !now.mbox.SameFile(old.mbox) || !now.side.SameFile(old.side) ||
		now.mbox.Size() <= old.mbox.Size() || now.side.Size() < old.side.Size() {
		return ch, false, nil
	}
	side, err := tree.Open(s.root, sidecarOf(o.path))
	if err != nil {
		return ch, false, err
	}
	defer side.Close()
	if print, err := printOf(o, side, old); err != nil || print != old.print {
		return ch, false, err
	}
	if gap, err := missingGap(o, old.mbox.Size()); err != nil || gap != "" {
		return ch, false, err
	}
	list, stop, err := find(contextReaderAt{ctx, o}, old.mbox.Size(), now.mbox.Size(), s.format)
	if errors.Is(err, errNoMbox) {
		return ch, false, nil
	}
	if err != nil {
		return ch, false, err
	}
	v := view{list: list, validity: old.validity}
	about, err := v.readLines(io.NewSectionReader(side, old.side.Size(), now.side.Size()-old.side.Size()))
	if err != nil {
		return ch, false, err
	}
	for _, p := range list {
		if p.cut || p.mark.validity != old.validity || p.mark.uid <= now.last {
			return ch, false, nil
		}
		now.last = p.mark.uid
		delete(about, p.mark.uid)
		v.keys = append(v.keys, keyOf(p.mark.uid))
	}
	if len(about) > 0 || v.side.torn || stop != now.mbox.Size() {
		return ch, false, nil
	}
	now.next = max(old.next, now.last+1)
	ch = mail.Changes{Messages: v.messages(), UIDValidity: now.validity, UIDNext: now.next, Count: -1, Method: "appended"}
	ch.Token, err = s.tokenOf(o, now, began, true)
	return ch, err == nil, err
}

// readLines reads lines that were added to a sidecar, and returns which UIDs they
// are about.
func (v *view) readLines(r io.Reader) (about map[uint32]bool, err error) {
	about = make(map[uint32]bool)
	v.side.entries = make(map[uint32]entry)
	_, _, v.side.torn, err = tree.Lines(r, sidecarMagic, func(line string) {
		var uid uint32
		v.side.parseEntry(line, &uid)
		about[uid] = true
	})
	v.side.Validity = v.validity
	return about, err
}
