package mbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"roost/mail"
	"roost/store/tree"
)

// edit opens the file of a mailbox for writing, looks into it, and calls f with
// where the messages of keys are (-1: gone).
func (s *Store) edit(ctx context.Context, op string, name mail.Name, keys []mail.Key, f func(o *opening, v *view, at []int) error) error {
	if err := s.enter(ctx); err != nil {
		return s.fail(op, name, err)
	}
	defer s.leave()
	file, there := s.find(name)
	if !there {
		return s.fail(op, name, mail.ErrNoMailbox)
	}
	o, err := s.openExclusive(ctx, file)
	if err != nil {
		return s.fail(op, name, err)
	}
	defer o.close()
	v, err := s.look(ctx, o, strict)
	if err != nil {
		return s.fail(op, name, err)
	}
	delete(s.tails, file)
	return s.fail(op, name, f(o, v, v.resolve(keys)))
}

// SetFlags adds lines to the sidecar. Messages that other programs wrote get a
// From_ line of ours first, once.
func (s *Store) SetFlags(ctx context.Context, name mail.Name, keys []mail.Key, add, remove mail.Flags) error {
	return s.edit(ctx, "set flags", name, keys, func(o *opening, v *view, at []int) error {
		changed := make(map[int]mail.Flags)
		for _, i := range at {
			if i < 0 {
				continue
			}
			flags := v.flags(v.list[i])
			if now := flags.Plus(add).Minus(remove); now != flags {
				changed[i] = now
			}
		}
		if len(changed) == 0 {
			return nil
		}
		if v.validity == 0 {
			if err := s.adopt(ctx, o, v); err != nil {
				return err
			}
		}
		if err := s.ensureSidecar(o.path, v); err != nil {
			return err
		}
		var lines []string
		for i, flags := range changed {
			uid := v.list[i].mark.uid
			e := entry{v.side.entries[uid].origin, flags}
			v.side.entries[uid] = e
			lines = append(lines, e.line(uid))
		}
		return s.addLines(o.path, &v.side, lines)
	})
}

// Expunge writes the file anew without these messages.
func (s *Store) Expunge(ctx context.Context, name mail.Name, keys []mail.Key) error {
	return s.edit(ctx, "expunge", name, keys, func(o *opening, v *view, at []int) error {
		return s.remove(ctx, o, v, at)
	})
}

// remove writes the file anew without the messages in at.
func (s *Store) remove(ctx context.Context, o *opening, v *view, at []int) error {
	gone := make(map[int]bool)
	for _, i := range at {
		if i >= 0 {
			gone[i] = true
		}
	}
	if len(gone) == 0 {
		return nil
	}
	var lines []string
	if v.side.there && v.side.Validity != 0 && !v.side.torn {
		for i := range gone {
			if m := v.list[i].mark; m.uid != 0 && m.validity == v.side.Validity {
				lines = append(lines, goneLine(m.uid))
				delete(v.side.entries, m.uid)
				v.side.Next = max(v.side.Next, m.uid+1)
			}
		}
	}
	err := s.rewrite(ctx, o, v, func(w *bufio.Writer, i int) error {
		if gone[i] {
			return nil
		}
		return v.copyPlace(w, o, i)
	})
	if err != nil {
		return err
	}
	return s.addLines(o.path, &v.side, lines)
}

// copyPlace copies message i as it stands, with the empty line behind it.
func (v *view) copyPlace(w io.Writer, o *opening, i int) error {
	stop := v.end
	if i+1 < len(v.list) {
		stop = v.list[i+1].start
	}
	start := v.list[i].start
	n, err := io.Copy(w, io.NewSectionReader(o, start, stop-start))
	if err == nil && n != stop-start {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// rewrite replaces the file by what each writes for its messages. What stands
// before the first is kept.
func (s *Store) rewrite(ctx context.Context, o *opening, v *view, each func(w *bufio.Writer, i int) error) (err error) {
	written := tree.Temporary(path.Dir(o.path))
	f, err := s.root.OpenFile(written, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			s.root.Remove(written)
		}
	}()
	w := bufio.NewWriterSize(f, 256<<10)
	if len(v.list) > 0 {
		if _, err := io.Copy(w, io.NewSectionReader(o, 0, v.list[0].start)); err != nil {
			return err
		}
	}
	for i := range v.list {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := each(w, i); err != nil {
			return err
		}
	}
	if err := errors.Join(w.Flush(), f.Chmod(v.mode.Mode().Perm())); err != nil {
		return err
	}
	s.copyOwner(written, v.mode)
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := s.root.Rename(written, o.path); err != nil {
		return err
	}
	s.mu.Lock()
	delete(s.places, o.path)
	s.mu.Unlock()
	return tree.SyncDir(s.root, path.Dir(o.path))
}

// adopt gives all messages UIDs: it writes our From_ line where another program's
// is, and the flags of such messages into the sidecar. Those that have UIDs keep
// them, unless they stand behind some that have none; then all get new ones under
// a new UIDVALIDITY. v is then as the file is, but for offsets.
func (s *Store) adopt(ctx context.Context, o *opening, v *view) error {
	marks, err := s.newMarks(o.path, v)
	if err != nil {
		return err
	}
	err = s.rewrite(ctx, o, v, func(w *bufio.Writer, i int) error {
		p := v.list[i]
		if p.mark == marks[i] {
			return v.copyPlace(w, o, i)
		}
		date := p.date
		if date.IsZero() {
			date = v.mode.ModTime()
		}
		if _, err := w.WriteString(fromLine(marks[i], date)); err != nil {
			return err
		}
		return s.copyQuoted(w, o, p)
	})
	if err != nil {
		return err
	}
	adopted := make([]place, len(v.list))
	for i, p := range v.list {
		p.mark = marks[i]
		adopted[i] = p
	}
	v.list = adopted
	v.number()
	return nil
}

// newMarks gives a mark to each message and writes the sidecar to it.
func (s *Store) newMarks(file string, v *view) ([]mark, error) {
	kept, last := 0, uint32(0) // how many at the beginning have UIDs that can stay
	for _, p := range v.list {
		if v.side.Validity == 0 || p.mark.validity != v.side.Validity || p.mark.uid <= last {
			break
		}
		kept, last = kept+1, p.mark.uid
	}
	for _, p := range v.list[kept:] {
		if v.side.Validity != 0 && p.mark.validity == v.side.Validity && p.mark.uid != 0 {
			kept = 0
		}
	}
	side := v.side
	if kept == 0 {
		fresh, err := s.newSidecar()
		if err != nil {
			return nil, err
		}
		if side.ID != "" {
			fresh.ID, fresh.Role, fresh.Subscribed = side.ID, side.Role, side.Subscribed
		}
		side = fresh
	}
	marks := make([]mark, len(v.list))
	next := max(side.Next, last+1)
	for i, p := range v.list {
		if i < kept {
			marks[i] = p.mark
			continue
		}
		marks[i] = mark{next, side.Validity, p.size}
		side.entries[next] = entry{flags: v.flags(p), origin: v.side.entries[p.mark.uid].origin}
		next++
	}
	side.Next = next
	if err := s.rewriteSidecar(file, &side); err != nil {
		return nil, err
	}
	v.side = side
	return marks, nil
}

// Move appends the messages to the other file, makes that durable, and then removes
// them from this one.
func (s *Store) Move(ctx context.Context, from mail.Name, keys []mail.Key, to mail.Name) ([]mail.Key, error) {
	moved := make([]mail.Key, len(keys))
	err := s.edit(ctx, "move", from, keys, func(o *opening, v *view, at []int) error {
		file, there := s.find(to)
		if !there {
			return fmt.Errorf("to %s: %w", to, mail.ErrNoMailbox)
		}
		target := o
		if file != o.path {
			var err error
			if target, err = s.openSecond(ctx, o, file); err != nil {
				return fmt.Errorf("to %s: %w", to, err)
			}
			defer target.close()
		}
		var drafts []*draft
		done := make(map[int]*draft)
		for k, i := range at {
			if i < 0 || done[i] != nil {
				at[k] = -1
				continue
			}
			p := v.list[i]
			done[i] = &draft{
				m:       mail.Message{Flags: v.flags(p), InternalDate: p.date, GUID: v.side.entries[p.mark.uid].origin},
				size:    p.size,
				content: func(w io.Writer) error { return s.copyQuoted(w, o, p) },
			}
			drafts = append(drafts, done[i])
		}
		if err := s.appendTo(ctx, target, drafts); err != nil {
			return err
		}
		var failed error
		for k, i := range at {
			if i < 0 {
				continue
			}
			if err := done[i].err; err != nil {
				failed, at[k] = err, -1
				continue
			}
			moved[k] = done[i].key
		}
		return errors.Join(failed, s.removeMoved(ctx, o, at))
	})
	return moved, err
}

// copyQuoted writes a message as it stands in a file that we write.
func (s *Store) copyQuoted(w io.Writer, o *opening, p place) error {
	q := quoter{w: w}
	if _, err := io.Copy(&q, s.body(o, p)); err != nil {
		return err
	}
	return q.finish()
}

// openSecond opens another file beside o. Two programs that each wait for the
// other's file would wait until one gives up; so it does not wait if o comes
// later in the order of names.
func (s *Store) openSecond(ctx context.Context, o *opening, file string) (*opening, error) {
	if strings.Compare(o.path, file) > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, secondWait)
		defer cancel()
	}
	return s.openExclusive(ctx, file)
}

// removeMoved removes the messages in at from a file that may have grown since.
func (s *Store) removeMoved(ctx context.Context, o *opening, at []int) error {
	v, err := s.look(ctx, o, strict)
	if err != nil {
		return err
	}
	delete(s.tails, o.path)
	return s.remove(ctx, o, v, at)
}

// Number gives an empty mailbox a UIDVALIDITY and UIDNEXT. That Append keeps UIDs
// stands in the sidecar, so that it holds for whoever opens the store.
func (s *Store) Number(ctx context.Context, name mail.Name, uidValidity, uidNext uint32) error {
	return s.edit(ctx, "number", name, nil, func(o *opening, v *view, _ []int) error {
		switch {
		case len(v.list) > 0:
			return mail.ErrExist
		case uidValidity == 0:
			return errors.New("UIDVALIDITY is 0")
		}
		side, err := s.newSidecar()
		if err != nil {
			return err
		}
		if v.side.ID != "" {
			side.ID, side.Role, side.Subscribed = v.side.ID, v.side.Role, v.side.Subscribed
		}
		side.Validity, side.Next, side.Keeps = uidValidity, max(uidNext, 1), true
		return s.rewriteSidecar(o.path, &side)
	})
}

// Subscribe notes it in the sidecar.
func (s *Store) Subscribe(ctx context.Context, name mail.Name, on bool) error {
	return s.edit(ctx, "subscribe", name, nil, func(o *opening, v *view, _ []int) error {
		if v.side.Subscribed == on {
			return nil
		}
		if err := s.ensureSidecar(o.path, v); err != nil {
			return err
		}
		v.side.Subscribed = on
		return s.rewriteSidecar(o.path, &v.side)
	})
}
