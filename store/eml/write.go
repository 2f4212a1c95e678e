package eml

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"roost/mail"
)

const (
	temporaryPrefix = ".roost-"
	temporarySuffix = ".tmp"

	// slack is how many lines of a sidecar may be overruled before it is written
	// anew, beside as many as there are files.
	slack = 1000
)

func isTemporary(file string) bool {
	return strings.HasPrefix(file, temporaryPrefix) && strings.HasSuffix(file, temporarySuffix)
}

// tail is what Append must know of a sidecar, as it was left by our last write.
type tail struct {
	info     fs.FileInfo
	validity uint32
	next     uint32
}

// Append writes the message to a file without name, then its line in the sidecar,
// then names the file.
func (s *Store) Append(ctx context.Context, name mail.Name, m mail.Message, body io.Reader) (mail.Key, error) {
	fail := func(err error) (mail.Key, error) { return "", s.fail("append", name, err) }
	if err := ctx.Err(); err != nil {
		return fail(err)
	}
	dir, err := s.mailbox(name)
	if err != nil {
		return fail(err)
	}
	e := entry{date: m.InternalDate, origin: m.GUID, flags: m.Flags}
	if e.date.IsZero() {
		e.date = time.Now()
	}
	e.date = e.date.UTC().Truncate(time.Second)
	written := join(dir, temporaryPrefix+rand.Text()+temporarySuffix)
	if err := s.write(ctx, written, &e, body); err != nil {
		s.root.Remove(written)
		return fail(err)
	}
	if err := s.enter(ctx, dir, name, written, m.UID, &e); err != nil {
		s.root.Remove(written)
		return fail(err)
	}
	return keyOf(e.uid), nil
}

// write makes a durable file of a body, dated as the message is, and notes size
// and GUID.
func (s *Store) write(ctx context.Context, file string, e *entry, body io.Reader) (err error) {
	f, err := s.root.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	digest := sha256.New()
	if e.size, err = io.Copy(io.MultiWriter(f, digest), &contextReader{ctx, body}); err != nil {
		return err
	}
	e.guid = "sha256:" + hex.EncodeToString(digest.Sum(nil))
	if err := s.root.Chtimes(file, e.date, e.date); err != nil {
		return err
	}
	return f.Sync()
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

// enter gives a written file a UID, its line and its name.
func (s *Store) enter(ctx context.Context, dir string, name mail.Name, written string, wanted uint32, e *entry) error {
	release, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	if now, err := s.mailbox(name); err != nil || now != dir {
		return mail.ErrNoMailbox // it was renamed or deleted meanwhile
	}
	if err := s.takeUID(dir, wanted, e); err != nil {
		return err
	}
	file := fileOfUID(e.uid)
	if err := s.addLines(dir, e.line(file)); err != nil {
		return err
	}
	if err := s.root.Rename(written, join(dir, file)); err != nil {
		return err
	}
	return s.syncDir(dir)
}

// takeUID gives e the next UID, or the one it wants if the mailbox keeps UIDs. The
// caller holds the lock.
func (s *Store) takeUID(dir string, wanted uint32, e *entry) error {
	t, err := s.tail(dir)
	if err != nil {
		return err
	}
	if last, keeps := s.last[dir]; keeps && wanted > last && wanted != math.MaxUint32 {
		e.uid = wanted
	} else {
		e.uid = t.next
	}
	for { // somebody else may have put a file there
		if _, err := s.root.Lstat(join(dir, fileOfUID(e.uid))); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
		e.uid = max(e.uid+1, t.next)
	}
	if e.uid >= math.MaxUint32-1 {
		return errors.New("no UIDs are left in this mailbox")
	}
	if _, keeps := s.last[dir]; keeps {
		s.last[dir] = e.uid
	}
	t.next = max(t.next, e.uid+1)
	s.tails[dir] = t
	return nil
}

// tail is what is known of the sidecar, read anew if another process wrote it. A
// directory without one gets one. The caller holds the lock.
func (s *Store) tail(dir string) (tail, error) {
	info, err := s.root.Stat(join(dir, sidecarFile))
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.found(dir); err != nil {
			return tail{}, err
		}
		return s.tails[dir], nil
	}
	if err != nil {
		return tail{}, err
	}
	if t, ok := s.tails[dir]; ok && os.SameFile(t.info, info) && t.info.Size() == info.Size() {
		return t, nil
	}
	side, err := s.readSidecar(dir)
	if err != nil {
		return tail{}, err
	}
	if side.validity == 0 || side.torn { // its first or last line is damaged: write it anew
		return s.repair(dir, side)
	}
	t := tail{info, side.validity, side.next}
	s.tails[dir] = t
	return t, nil
}

// repair writes a damaged sidecar anew, with all lines that can be read. The
// caller holds the lock.
func (s *Store) repair(dir string, side sidecar) (tail, error) {
	if side.validity == 0 {
		validity, err := s.newValidity()
		if err != nil {
			return tail{}, err
		}
		side.validity, side.id = validity, rand.Text()
	}
	if err := s.rewrite(dir, &side); err != nil {
		return tail{}, err
	}
	return s.tails[dir], nil
}

// addLines adds lines to the sidecar and makes them durable. The caller holds the
// lock and has called tail.
func (s *Store) addLines(dir string, lines ...string) (err error) {
	if len(lines) == 0 {
		return nil
	}
	f, err := s.root.OpenFile(join(dir, sidecarFile), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	before := s.tails[dir]
	delete(s.tails, dir) // until all is well
	if _, err := f.WriteString(strings.Join(lines, "")); err != nil {
		f.Truncate(before.info.Size())
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if before.info, err = f.Stat(); err != nil {
		return err
	}
	s.tails[dir] = before
	return nil
}

// rewrite replaces the sidecar. The caller holds the lock.
func (s *Store) rewrite(dir string, side *sidecar) (err error) {
	delete(s.tails, dir)
	written := join(dir, temporaryPrefix+rand.Text()+temporarySuffix)
	defer func() {
		if err != nil {
			s.root.Remove(written)
		}
	}()
	var text strings.Builder
	text.WriteString(side.firstLine())
	files := make([]string, 0, len(side.entries))
	for file := range side.entries {
		files = append(files, file)
	}
	slices.Sort(files)
	for _, file := range files {
		text.WriteString(side.entries[file].line(file))
	}
	f, err := s.root.OpenFile(written, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text.String())
	if err == nil {
		err = f.Sync()
	}
	info, errStat := f.Stat()
	if err := errors.Join(err, errStat, f.Close()); err != nil {
		return err
	}
	if err := s.root.Rename(written, join(dir, sidecarFile)); err != nil {
		return err
	}
	s.tails[dir] = tail{info, side.validity, side.next}
	return s.syncDir(dir)
}

// edit calls f with the sidecar of a mailbox and the files of those keys that are
// there, in the order of keys ("" for those that are not), and adds the lines that
// f returns.
func (s *Store) edit(ctx context.Context, op string, name mail.Name, keys []mail.Key,
	f func(dir string, side *sidecar, files []string) (lines []string, err error)) error {
	if err := ctx.Err(); err != nil {
		return s.fail(op, name, err)
	}
	release, err := s.lock(ctx)
	if err != nil {
		return s.fail(op, name, err)
	}
	defer release()
	dir, err := s.mailbox(name)
	if err != nil {
		return s.fail(op, name, err)
	}
	if len(keys) == 0 {
		return nil
	}
	if _, err := s.tail(dir); err != nil { // makes a sidecar, or mends it
		return s.fail(op, name, err)
	}
	r := resolver{store: s, dir: dir}
	if err := r.read(); err != nil {
		return s.fail(op, name, err)
	}
	files := make([]string, len(keys))
	for i, k := range keys {
		file, err := r.file(k)
		if err != nil && !errors.Is(err, mail.ErrGone) {
			return s.fail(op, name, err)
		}
		files[i] = file
	}
	lines, err := f(dir, r.side, files)
	if r.side.lines+len(lines) > 2*len(r.side.entries)+slack {
		return s.fail(op, name, errors.Join(err, s.rewrite(dir, r.side)))
	}
	return s.fail(op, name, errors.Join(err, s.addLines(dir, lines...)))
}

// SetFlags adds a line for each file whose flags change.
func (s *Store) SetFlags(ctx context.Context, name mail.Name, keys []mail.Key, add, remove mail.Flags) error {
	return s.edit(ctx, "set flags", name, keys, func(dir string, side *sidecar, files []string) (lines []string, err error) {
		for _, file := range files {
			if file == "" {
				continue
			}
			f, err := s.look(side, dir, file)
			if err != nil {
				return lines, err
			}
			flags := f.entry.flags.Plus(add).Minus(remove)
			if _, known := side.entries[file]; known && flags == f.entry.flags {
				continue
			}
			if f.entry.flags = flags; f.entry.uid == 0 {
				f.entry.uid = side.next
			}
			side.next = max(side.next, f.entry.uid+1)
			side.entries[file] = f.entry
			lines = append(lines, f.entry.line(file))
		}
		delete(s.tails, dir) // UIDNEXT may have grown
		return lines, s.retail(dir, side)
	})
}

// retail notes what side says of UIDNEXT. The caller holds the lock.
func (s *Store) retail(dir string, side *sidecar) error {
	info, err := s.root.Stat(join(dir, sidecarFile))
	if err != nil {
		return err
	}
	s.tails[dir] = tail{info, side.validity, side.next}
	return nil
}

// Expunge removes files, then says in the sidecar that they are gone.
func (s *Store) Expunge(ctx context.Context, name mail.Name, keys []mail.Key) error {
	return s.edit(ctx, "expunge", name, keys, func(dir string, side *sidecar, files []string) (lines []string, err error) {
		for _, file := range files {
			if file == "" {
				continue
			}
			if err := s.root.Remove(join(dir, file)); err != nil {
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				return lines, err
			}
			if _, known := side.entries[file]; !known { // its UID is not to be given again
				e := entry{uid: side.uidOf(file)}
				side.next = max(side.next, e.uid+1)
				lines = append(lines, e.line(file))
			}
			delete(side.entries, file)
			lines = append(lines, goneLine(file))
		}
		if len(lines) == 0 {
			return nil, nil
		}
		return lines, s.syncDir(dir)
	})
}

// Move renames files into the other directory, under new UIDs, each after its line
// was added there.
func (s *Store) Move(ctx context.Context, from mail.Name, keys []mail.Key, to mail.Name) ([]mail.Key, error) {
	moved := make([]mail.Key, len(keys))
	err := s.edit(ctx, "move", from, keys, func(dir string, side *sidecar, files []string) (lines []string, err error) {
		target, err := s.mailbox(to)
		if err != nil {
			return nil, fmt.Errorf("to %s: %w", to, err)
		}
		for i, file := range files {
			if file == "" {
				continue
			}
			f, err := s.look(side, dir, file)
			if errors.Is(err, fs.ErrNotExist) { // asked for twice
				continue
			}
			if err != nil {
				return lines, err
			}
			if err := s.takeUID(target, 0, &f.entry); err != nil {
				return lines, err
			}
			file = fileOfUID(f.entry.uid)
			if err := s.addLines(target, f.entry.line(file)); err != nil {
				return lines, err
			}
			if err := s.root.Rename(join(dir, f.name), join(target, file)); err != nil {
				return lines, err
			}
			moved[i] = keyOf(f.entry.uid)
			lines = append(lines, goneLine(f.name))
			delete(side.entries, f.name)
			if target == dir {
				side.entries[file], side.next = f.entry, max(side.next, f.entry.uid+1)
			}
		}
		if len(lines) == 0 {
			return nil, nil
		}
		return lines, errors.Join(s.syncDir(target), s.syncDir(dir))
	})
	return moved, err
}

// Number gives an empty mailbox a UIDVALIDITY and UIDNEXT, and makes Append keep
// UIDs until the store is closed.
func (s *Store) Number(ctx context.Context, name mail.Name, uidValidity, uidNext uint32) error {
	if err := ctx.Err(); err != nil {
		return s.fail("number", name, err)
	}
	release, err := s.lock(ctx)
	if err != nil {
		return s.fail("number", name, err)
	}
	defer release()
	dir, err := s.mailbox(name)
	if err != nil {
		return s.fail("number", name, err)
	}
	l, err := s.scan(dir)
	switch {
	case err != nil:
		return s.fail("number", name, err)
	case len(l.files)+len(l.failed) > 0:
		return s.fail("number", name, mail.ErrExist)
	case uidValidity == 0:
		return s.fail("number", name, errors.New("UIDVALIDITY is 0"))
	}
	side := sidecar{validity: uidValidity, next: max(uidNext, 1), id: l.side.id}
	if side.id == "" {
		side.id = rand.Text()
	}
	s.last[dir] = 0
	return s.fail("number", name, s.rewrite(dir, &side))
}
