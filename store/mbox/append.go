package mbox

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"roost/mail"
	"roost/store/tree"
)

// tail is what Append must know of a mailbox, as our last write left it.
type tail struct {
	mbox, side tree.Stamp
	tree.Header
	lines int // of the sidecar
}

// draft is a message on its way into a mailbox.
type draft struct {
	m       mail.Message
	size    int64                   // octets of the content
	content func(w io.Writer) error // writes it as it stands in the file, with all that ends it
	uid     uint32
	key     mail.Key
	err     error
}

// Append writes the message behind the others. What it wrote is cut off again if
// it fails.
func (s *Store) Append(ctx context.Context, name mail.Name, m mail.Message, body io.Reader) (mail.Key, error) {
	b, err := s.newBatch(ctx, name)
	if err != nil {
		return "", s.fail("append", name, err)
	}
	defer b.clear()
	b.add(ctx, m, body)
	if err := b.commit(ctx); err != nil {
		return "", s.fail("append", name, err)
	}
	return b.drafts[0].key, s.fail("append", name, b.drafts[0].err)
}

// appendTo writes messages and makes them durable as one. Cut short, it leaves
// some of the first of them, of which the last may lack its end: that is then no
// message (isTorn). What cannot be written is the draft's error; after any other,
// the file is as it was.
func (s *Store) appendTo(ctx context.Context, o *opening, drafts []*draft) error {
	t, fast := s.tailOf(o)
	var v *view
	if !fast {
		var err error
		if v, err = s.look(ctx, o, strict); err != nil {
			return err
		}
		if err := s.ensureSidecar(o.path, v); err != nil {
			return err
		}
		if v.end < v.stamp.Size() { // what was never finished
			if err := o.Truncate(v.end); err != nil {
				return err
			}
		}
		t = tail{mbox: v.stamp, Header: v.side.Header, lines: v.side.lines}
		if v.validity != 0 {
			t.Next = v.next
		}
	}
	delete(s.tails, o.path)
	start, err := o.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	var lines []string
	for _, d := range drafts {
		if d.err == nil {
			d.err = s.write(o, d, &t)
		}
		if d.err == nil {
			e := entry{d.m.GUID, d.m.Flags}
			lines = append(lines, e.line(d.uid))
			if v != nil {
				v.side.entries[d.uid] = e
			}
		}
	}
	if len(lines) == 0 {
		return nil
	}
	if err = o.Sync(); err == nil {
		err = s.note(o, v, &t, lines)
	}
	if err != nil {
		return errors.Join(err, o.Truncate(start), o.Sync())
	}
	return s.settle(ctx, o, t, v, drafts, start)
}

// note writes the lines of new messages.
func (s *Store) note(o *opening, v *view, t *tail, lines []string) error {
	t.lines += len(lines)
	if v != nil {
		v.side.Header = t.Header
		return s.addLines(o.path, &v.side, lines)
	}
	// The rest of the sidecar need not be known: it only grows by lines that count.
	return s.addLines(o.path, &sidecar{lines: math.MinInt32}, lines)
}

// settle remembers the file as it is after messages were added from start on, and
// finds their keys.
func (s *Store) settle(ctx context.Context, o *opening, t tail, before *view, drafts []*draft, start int64) error {
	info, err := o.Stat()
	if err != nil {
		return err
	}
	stored := slices.DeleteFunc(slices.Clone(drafts), func(d *draft) bool { return d.err != nil })
	added, stop, err := find(o, start, info.Size(), s.format)
	if err != nil || len(added) != len(stored) {
		return fmt.Errorf("read back what was written: %d messages, %w", len(added), err)
	}
	for _, d := range stored {
		d.key = keyOf(d.uid)
	}
	s.mu.Lock()
	known := s.places[o.path]
	s.mu.Unlock()
	stamp := tree.StampOf(info)
	switch {
	case before != nil:
		s.remember(o.path, &places{stamp, false, append(before.list, added...), stop})
	case known != nil && known.stamp == t.mbox:
		s.remember(o.path, &places{stamp, false, append(known.list, added...), stop})
	}
	if before != nil && before.validity == 0 {
		v, err := s.look(ctx, o, lax)
		if err != nil {
			return err
		}
		for i, d := range stored {
			d.key = v.keys[len(v.keys)-len(stored)+i]
		}
		return nil
	}
	t.mbox = stamp
	if info, err := s.root.Stat(sidecarOf(o.path)); err == nil {
		t.side = tree.StampOf(info)
		s.tails[o.path] = t
	}
	return nil
}

// tailOf is what our last write left, if nobody wrote since.
func (s *Store) tailOf(o *opening) (tail, bool) {
	t, ok := s.tails[o.path]
	if !ok {
		return tail{}, false
	}
	mbox, side, err := s.stampsOf(o)
	return t, err == nil && t.mbox == mbox && t.side == side
}

// takeUID is UIDNEXT, or the UID that is wanted if the mailbox keeps UIDs.
func (t *tail) takeUID(wanted uint32) (uint32, error) {
	uid := t.Next
	if t.Keeps && wanted > t.Last && wanted < math.MaxUint32 {
		uid = wanted
	}
	if uid == math.MaxUint32 {
		return 0, errors.New("no UIDs are left in this mailbox")
	}
	t.Next, t.Last = max(t.Next, uid+1), max(t.Last, uid)
	return uid, nil
}

// write writes a message at the end of the file. If it fails, the file is as it was.
func (s *Store) write(o *opening, d *draft, t *tail) (err error) {
	if d.uid, err = t.takeUID(d.m.UID); err != nil {
		return err
	}
	date := d.m.InternalDate
	if date.IsZero() {
		date = time.Now()
	}
	before, err := o.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	gap, err := missingGap(o, before)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(o, 64<<10)
	w.WriteString(gap + fromLine(mark{d.uid, t.Validity, d.size}, date)) // w keeps its first error
	if err = d.content(w); err == nil {
		err = w.Flush()
	}
	if err != nil {
		return errors.Join(err, o.Truncate(before), o.Sync())
	}
	return nil
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
