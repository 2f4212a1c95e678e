package eml

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"roost/mail"
	"roost/store/tree"
)

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
	return s.fail(op, name, errors.Join(err, s.addLines(dir, strings.Join(lines, ""))))
}

// SetFlags adds a line for each file whose flags change.
func (s *Store) SetFlags(ctx context.Context, name mail.Name, keys []mail.Key, add, remove mail.Flags) error {
	return s.edit(ctx, "set flags", name, keys, func(dir string, side *sidecar, files []string) (lines []string, err error) {
		for _, file := range files {
			if file == "" {
				continue
			}
			f, _, err := s.look(side, dir, file)
			if err != nil {
				return lines, err
			}
			flags := f.entry.flags.Plus(add).Minus(remove)
			if _, known := side.entries[file]; known && flags == f.entry.flags {
				continue
			}
			if f.entry.flags = flags; f.entry.uid == 0 {
				f.entry.uid = side.Next
			}
			side.Next = max(side.Next, f.entry.uid+1)
			side.entries[file] = f.entry
			lines = append(lines, f.entry.line(file))
		}
		delete(s.tails, dir) // UIDNEXT may have grown
		return lines, s.retail(dir, side)
	})
}

// retail notes what side says of UIDNEXT. The caller holds the lock.
func (s *Store) retail(dir string, side *sidecar) error {
	info, err := s.root.Stat(tree.Join(dir, sidecarFile))
	if err != nil {
		return err
	}
	s.tails[dir] = tail{info, side.Header}
	return nil
}

// Expunge removes files, then says in the sidecar that they are gone.
func (s *Store) Expunge(ctx context.Context, name mail.Name, keys []mail.Key) error {
	return s.edit(ctx, "expunge", name, keys, func(dir string, side *sidecar, files []string) (lines []string, err error) {
		for _, file := range files {
			if file == "" {
				continue
			}
			if err := s.root.Remove(tree.Join(dir, file)); err != nil {
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				return lines, err
			}
			if _, known := side.entries[file]; !known { // its UID is not to be given again
				e := entry{uid: side.uidOf(file)}
				side.Next = max(side.Next, e.uid+1)
				lines = append(lines, e.line(file))
			}
			delete(side.entries, file)
			lines = append(lines, goneLine(file))
		}
		if len(lines) == 0 {
			return nil, nil
		}
		return lines, tree.SyncDir(s.root, dir)
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
			f, _, err := s.look(side, dir, file)
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
			if err := s.root.Rename(tree.Join(dir, f.name), tree.Join(target, file)); err != nil {
				return lines, err
			}
			moved[i] = keyOf(f.entry.uid)
			lines = append(lines, goneLine(f.name))
			delete(side.entries, f.name)
			if target == dir {
				side.entries[file], side.Next = f.entry, max(side.Next, f.entry.uid+1)
			}
		}
		if len(lines) == 0 {
			return nil, nil
		}
		return lines, errors.Join(tree.SyncDir(s.root, target), tree.SyncDir(s.root, dir))
	})
	return moved, err
}

// Number gives an empty mailbox a UIDVALIDITY and UIDNEXT. That Append keeps UIDs
// stands in the sidecar, so that it holds for whoever opens the store, also after a
// crash or a rename.
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
	side := sidecar{Header: l.side.Header}
	side.Validity, side.Next, side.Keeps, side.Last = uidValidity, max(uidNext, 1), true, 0
	if side.ID == "" {
		side.ID = rand.Text()
	}
	return s.fail("number", name, s.rewrite(dir, &side))
}
