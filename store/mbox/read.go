package mbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strconv"
	"time"

	"roost/mail"
	"roost/message"
	"roost/store/tree"
)

// view is a mailbox as it was at one moment.
type view struct {
	list     []place
	side     sidecar
	validity uint32 // 0: the messages have no UIDs
	next     uint32
	keys     []mail.Key // of list
	end      int64      // where a message is appended: the end of the file, or what was never finished
	stamp    tree.Stamp
	mode     fs.FileInfo // for its mode and owner
}

// trust says whether the messages that are in memory do for a file that was not
// yet settled when they were read. Who then reads the bytes finds out if not.
type trust bool

const (
	strict trust = false
	lax    trust = true
)

// look reads what is in the mailbox of an open file.
func (s *Store) look(ctx context.Context, o *opening, memory trust) (*view, error) {
	info, err := o.Stat()
	if err != nil {
		return nil, err
	}
	known, err := s.messages(ctx, o, info, memory)
	if err != nil {
		return nil, err
	}
	side, err := s.readSidecar(o.path)
	if err != nil {
		return nil, err
	}
	list := known.list
	v := &view{list: list, side: side, end: known.stop, stamp: known.stamp, mode: info}
	if n := len(list); n > 0 && side.isTorn(list[n-1]) {
		v.list, v.end = slices.Clip(list[:n-1]), list[n-1].start
	}
	v.number()
	return v, nil
}

// messages are those of an open file, from memory if it did not change.
func (s *Store) messages(ctx context.Context, o *opening, info fs.FileInfo, memory trust) (*places, error) {
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", o.path)
	}
	stamp := tree.StampOf(info)
	s.mu.Lock()
	known := s.places[o.path]
	s.mu.Unlock()
	if known != nil && known.stamp == stamp && (known.settled || memory == lax) {
		return known, nil
	}
	settled := stamp.Settled(s.now())
	list, stop, err := find(contextReaderAt{ctx, o}, 0, info.Size(), s.format)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.path, err)
	}
	known = &places{stamp, settled, list, stop}
	s.remember(o.path, known)
	return known, nil
}

// remember keeps the messages of a file in mind.
func (s *Store) remember(file string, now *places) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.places, file)
	n := len(now.list)
	for _, other := range s.places {
		n += len(other.list)
	}
	if n > maxPlaces {
		clear(s.places)
	}
	s.places[file] = now
}

type contextReaderAt struct {
	ctx context.Context
	r   io.ReaderAt
}

func (c contextReaderAt) ReadAt(p []byte, at int64) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.ReadAt(p, at)
}

// isTorn reports whether p, the last message of a file, is one whose Append was
// cut short by a crash.
func (side *sidecar) isTorn(p place) bool {
	_, finished := side.entries[p.mark.uid]
	return p.cut && !finished && side.Validity != 0 && p.mark.validity == side.Validity
}

// number finds out whether the messages have UIDs, and gives them keys: the UID,
// or else their digest, counted where it is the same: then they are alike to the last octet.
func (v *view) number() {
	v.validity, v.next = v.side.Validity, max(v.side.Next, 1)
	var last uint32
	for _, p := range v.list {
		if p.mark.uid <= last || p.mark.validity != v.validity {
			v.validity, v.next = 0, 0
			break
		}
		last = p.mark.uid
		v.next = max(v.next, last+1)
	}
	v.keys = make([]mail.Key, len(v.list))
	seen := make(map[digest]int)
	for i, p := range v.list {
		if v.validity != 0 {
			v.keys[i] = keyOf(p.mark.uid)
			continue
		}
		seen[p.sum]++
		v.keys[i] = mail.Key(fmt.Sprintf("%x.%d", p.sum, seen[p.sum]))
	}
}

func keyOf(uid uint32) mail.Key { return mail.Key(strconv.FormatUint(uint64(uid), 10)) }

// resolve returns where in the list the messages of keys are, -1 for those that
// are not there.
func (v *view) resolve(keys []mail.Key) []int {
	at := make([]int, len(keys))
	if len(keys) < 8 {
		for i, k := range keys {
			at[i] = slices.Index(v.keys, k)
		}
		return at
	}
	byKey := make(map[mail.Key]int, len(v.keys))
	for i, k := range v.keys {
		byKey[k] = i
	}
	for i, k := range keys {
		var ok bool
		if at[i], ok = byKey[k]; !ok {
			at[i] = -1
		}
	}
	return at
}

// flags are those of a message: what the sidecar says, or else its own fields.
func (v *view) flags(p place) mail.Flags {
	if p.mark.uid != 0 && p.mark.validity == v.side.Validity {
		if e, ok := v.side.entries[p.mark.uid]; ok {
			return e.flags
		}
	}
	return p.flags
}

// Fetch reads one message after the other from the file as it is when it begins.
// No lock is held meanwhile; if somebody changes the file in place, reading the
// body fails.
func (s *Store) Fetch(ctx context.Context, name mail.Name, keys []mail.Key, part mail.Part) iter.Seq2[mail.Fetched, error] {
	return func(yield func(mail.Fetched, error) bool) {
		f, v, err := s.openView(ctx, name)
		if err != nil {
			yield(mail.Fetched{}, s.fail("fetch", name, err))
			return
		}
		defer f.Close()
		for i, at := range v.resolve(keys) {
			if err := ctx.Err(); err != nil {
				yield(mail.Fetched{}, s.fail("fetch", name, err))
				return
			}
			if at < 0 {
				if !yield(mail.Fetched{Key: keys[i]}, &mail.Error{Op: "fetch", Mailbox: name, Key: keys[i], Err: mail.ErrGone}) {
					return
				}
				continue
			}
			p := v.list[at]
			fetched := mail.Fetched{Key: keys[i], Body: s.body(f, p), Size: p.size}
			if part == mail.Header {
				fetched.Body, fetched.Size = message.HeaderOf(fetched.Body), -1
			}
			if !yield(fetched, nil) {
				return
			}
		}
	}
}

// openView opens the file of a mailbox without a lock, and looks into it with one.
func (s *Store) openView(ctx context.Context, name mail.Name) (*os.File, *view, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	file, there := s.find(name)
	if !there {
		return nil, nil, mail.ErrNoMailbox
	}
	o, err := s.openShared(ctx, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, mail.ErrNoMailbox
	}
	if err != nil {
		return nil, nil, err
	}
	v, err := s.look(ctx, o, lax)
	if err == nil {
		err = unlock(o.File)
	}
	if err != nil {
		o.close()
		return nil, nil, err
	}
	return o.File, v, nil
}

// body reads the content of a message.
func (s *Store) body(f io.ReaderAt, p place) io.Reader {
	var r io.Reader = io.NewSectionReader(f, p.body, p.end-p.body)
	if !p.plain {
		r = &unquoter{r: r, mboxo: s.format == Mboxo && p.mark.uid == 0}
	}
	return &checked{r: r, file: f, p: p}
}

// checked ends with an error if not the message was read that was there when the
// file was looked into.
type checked struct {
	r    io.Reader
	file io.ReaderAt
	p    place
	n    int64
}

var errChanged = errors.New("the file was changed while it was read")

func (c *checked) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	if err != io.EOF {
		return n, err
	}
	line := make([]byte, c.p.body-c.p.start)
	if _, err := c.file.ReadAt(line, c.p.start); err != nil && err != io.EOF {
		return n, err
	}
	m, date, _ := parseFrom(line)
	if c.n != c.p.size || m != c.p.mark || !date.Truncate(time.Second).Equal(c.p.date) {
		return n, errChanged
	}
	return n, io.EOF
}
