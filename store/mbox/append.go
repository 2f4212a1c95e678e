package mbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"time"

	"roost/mail"
)

// maxMemory is how much of a message is held before it goes to a temporary file,
// in octets.
const maxMemory = 1 << 20

// tail is what Append must know of a mailbox, as our last write left it.
type tail struct {
	mbox, side fs.FileInfo
	validity   uint32
	next       uint32
	lines      int // of the sidecar
	messages   int
}

// Append writes the message behind the others. What it wrote is cut off again if
// it fails.
func (s *Store) Append(ctx context.Context, name mail.Name, m mail.Message, body io.Reader) (mail.Key, error) {
	fail := func(err error) (mail.Key, error) { return "", s.fail("append", name, err) }
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	file, there := s.find(name)
	if !there {
		return fail(mail.ErrNoMailbox)
	}
	p := spool{store: s, dir: path.Dir(file)}
	defer p.remove()
	size, err := p.fill(ctx, body)
	if err != nil {
		return fail(err)
	}
	if err := s.enter(ctx); err != nil {
		return fail(err)
	}
	defer s.leave()
	if now, there := s.find(name); !there || now != file {
		return fail(mail.ErrNoMailbox) // it was renamed or deleted meanwhile
	}
	o, err := s.openExclusive(ctx, file)
	if err != nil {
		return fail(err)
	}
	defer o.close()
	key, err := s.appendTo(ctx, o, m, size, p.copyTo)
	if err != nil {
		return fail(err)
	}
	return key, nil
}

// appendTo writes a message of size octets, which content writes as it stands in
// the file, with all that ends it.
func (s *Store) appendTo(ctx context.Context, o *opening, m mail.Message, size int64, content func(io.Writer) error) (mail.Key, error) {
	t, fast := s.tailOf(o)
	var v *view
	if !fast {
		var err error
		if v, err = s.look(ctx, o); err != nil {
			return "", err
		}
		if err := s.ensureSidecar(o.path, v); err != nil {
			return "", err
		}
		if v.end < v.info.Size() { // what was never finished
			if err := o.Truncate(v.end); err != nil {
				return "", err
			}
		}
		t = tail{mbox: v.info, validity: v.side.validity, next: v.side.next, lines: v.side.lines, messages: len(v.list)}
		if v.validity != 0 {
			t.next = v.next
		}
	}
	uid, err := s.takeUID(o.path, m.UID, t.next)
	if err != nil {
		return "", err
	}
	delete(s.tails, o.path)
	date := m.InternalDate
	if date.IsZero() {
		date = time.Now()
	}
	start, err := s.write(o, mark{uid, t.validity, size}, date, content)
	if err != nil {
		return "", err
	}
	e := entry{m.GUID, m.Flags}
	t.lines++
	if err := s.note(o, v, uid, e, t.lines); err != nil {
		return "", errors.Join(err, o.Truncate(start), o.Sync())
	}
	return s.settle(ctx, o, t, v, uid, start)
}

// note writes the line of a new message.
func (s *Store) note(o *opening, v *view, uid uint32, e entry, lines int) error {
	if v != nil {
		v.side.entries[uid] = e
		v.side.next = max(v.side.next, uid+1)
		return s.addLines(o.path, &v.side, []string{e.line(uid)})
	}
	// The rest of the sidecar need not be known: it only grows by lines that count.
	return s.addLines(o.path, &sidecar{lines: math.MinInt32}, []string{e.line(uid)})
}

// settle remembers the file as it is after a message was added at start, and finds
// the message's key.
func (s *Store) settle(ctx context.Context, o *opening, t tail, before *view, uid uint32, start int64) (mail.Key, error) {
	info, err := o.Stat()
	if err != nil {
		return "", err
	}
	added, stop, err := find(o, start, info.Size(), s.format)
	if err != nil || len(added) != 1 {
		return "", fmt.Errorf("read back what was written: %d messages, %w", len(added), err)
	}
	s.mu.Lock()
	known := s.places[o.path]
	s.mu.Unlock()
	switch {
	case before != nil:
		s.remember(o.path, &places{info, append(before.list, added[0]), stop})
	case known != nil && same(known.info, t.mbox):
		s.remember(o.path, &places{info, append(known.list, added[0]), stop})
	}
	if before != nil && before.validity == 0 {
		v, err := s.look(ctx, o)
		if err != nil {
			return "", err
		}
		return v.keys[len(v.keys)-1], nil
	}
	t.mbox, t.next = info, max(t.next, uid+1)
	if t.side, err = s.root.Stat(sidecarOf(o.path)); err == nil {
		s.tails[o.path] = t
	}
	return keyOf(uid), nil
}

// tailOf is what our last write left, if nobody wrote since.
func (s *Store) tailOf(o *opening) (tail, bool) {
	t, ok := s.tails[o.path]
	if !ok {
		return tail{}, false
	}
	mbox, err1 := o.Stat()
	side, err2 := s.root.Stat(sidecarOf(o.path))
	return t, err1 == nil && err2 == nil && same(t.mbox, mbox) && same(t.side, side)
}

// takeUID is next, or the UID that is wanted if the mailbox keeps UIDs.
func (s *Store) takeUID(file string, wanted, next uint32) (uint32, error) {
	last, keeps := s.last[file]
	uid := next
	if keeps && wanted > last && wanted < math.MaxUint32 {
		uid = wanted
	}
	if uid == math.MaxUint32 {
		return 0, errors.New("no UIDs are left in this mailbox")
	}
	if keeps {
		s.last[file] = uid
	}
	return uid, nil
}

// write writes a message at the end of the file and returns where it begins. If it
// fails, the file is as it was.
func (s *Store) write(o *opening, m mark, date time.Time, content func(io.Writer) error) (start int64, err error) {
	before, err := o.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.Truncate(before), o.Sync())
		}
	}()
	gap, err := missingGap(o, before)
	if err != nil {
		return 0, err
	}
	if _, err := io.WriteString(o, gap+fromLine(m, date)); err != nil {
		return 0, err
	}
	if err := content(o); err != nil {
		return 0, err
	}
	return before + int64(len(gap)), o.Sync()
}

// missingGap is what lacks for an empty line at the end of a file of size octets.
func missingGap(r io.ReaderAt, size int64) (string, error) {
	near := make([]byte, min(size, 4))
	if _, err := r.ReadAt(near, size-int64(len(near))); err != nil && err != io.EOF {
		return "", err
	}
	near = bytes.ReplaceAll(near, []byte("\r\n"), []byte("\n"))
	switch {
	case size == 0, bytes.HasSuffix(near, []byte("\n\n")), string(near) == "\n":
		return "", nil
	case bytes.HasSuffix(near, []byte("\n")):
		return "\n", nil
	}
	return "\n\n", nil
}

// spool holds a message, quoted, until its size is known: in memory, or in a
// temporary file if it is large.
type spool struct {
	store *Store
	dir   string
	small bytes.Buffer
	file  *os.File
	name  string
}

// fill takes the body to its end and returns its size.
func (p *spool) fill(ctx context.Context, body io.Reader) (int64, error) {
	q := quoter{w: p}
	if _, err := io.Copy(&q, &contextReader{ctx, body}); err != nil {
		return 0, err
	}
	return q.size, q.finish()
}

func (p *spool) Write(b []byte) (int, error) {
	if p.file == nil && p.small.Len()+len(b) <= maxMemory {
		return p.small.Write(b)
	}
	if p.file == nil {
		name := temporary(p.dir)
		f, err := p.store.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return 0, err
		}
		p.file, p.name = f, name
		if _, err := p.file.Write(p.small.Bytes()); err != nil {
			return 0, err
		}
	}
	return p.file.Write(b)
}

func (p *spool) copyTo(w io.Writer) error {
	if p.file == nil {
		_, err := w.Write(p.small.Bytes())
		return err
	}
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(w, p.file)
	return err
}

func (p *spool) remove() {
	if p.file != nil {
		p.file.Close()
		p.store.root.Remove(p.name)
	}
}

// contextReader stops reading when the context is done.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
