package mbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"roost/mail"
	"roost/store/tree"
)

// Create makes an empty file. Its parents become directories.
func (s *Store) Create(ctx context.Context, name mail.Name) error {
	return s.CreateRole(ctx, name, "")
}

// CreateRole is Create with a role, which stands in the sidecar.
func (s *Store) CreateRole(ctx context.Context, name mail.Name, role mail.Role) error {
	name = mail.NameOf(name.Components()...)
	if name == "" {
		return &mail.Error{Op: "create", Err: errors.New("a mailbox needs a name")}
	}
	if err := s.enter(ctx); err != nil {
		return s.fail("create", name, err)
	}
	defer s.leave()
	file, there := s.find(name)
	switch {
	case there:
		return s.fail("create", name, mail.ErrExist)
	case s.single != "":
		return s.fail("create", name, fmt.Errorf("in a single mbox file: %w", mail.ErrUnsupported))
	}
	if err := checkLength(file); err != nil {
		return s.fail("create", name, err)
	}
	if err := s.root.MkdirAll(path.Dir(file), 0o700); err != nil {
		return s.fail("create", name, err)
	}
	side, err := s.newSidecar()
	if err != nil {
		return s.fail("create", name, err)
	}
	side.Role = string(role)
	if err := s.rewriteSidecar(file, &side); err != nil {
		return s.fail("create", name, err)
	}
	f, err := s.root.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return s.fail("create", name, err)
	}
	return s.fail("create", name, errors.Join(f.Sync(), f.Close(), tree.SyncDir(s.root, path.Dir(file))))
}

// checkLength refuses names of which no name of a sidecar can be made.
func checkLength(file string) error {
	if name := path.Base(file); len(name) > maxComponent {
		return fmt.Errorf("its name of %d octets is longer than %d: %w", len(name), maxComponent, mail.ErrUnsupported)
	}
	return nil
}

// Rename renames the file of a mailbox, its sidecar, and the directories of what
// is below it.
func (s *Store) Rename(ctx context.Context, old, new mail.Name) error {
	new = mail.NameOf(new.Components()...)
	if err := s.enter(ctx); err != nil {
		return s.fail("rename", old, err)
	}
	defer s.leave()
	from, there := s.find(old)
	to, taken := s.find(new)
	below := s.below(old)
	switch {
	case !there && len(below) == 0:
		return s.fail("rename", old, mail.ErrNoMailbox)
	case old == mail.Inbox, new.Below(old):
		return s.fail("rename", old, fmt.Errorf("to %s: %w", new, mail.ErrUnsupported))
	case new == "":
		return s.fail("rename", old, errors.New("a mailbox needs a name"))
	case taken, len(s.below(new)) > 0:
		return s.fail("rename", old, fmt.Errorf("to %s: %w", new, mail.ErrExist))
	case len(below) > 1:
		return s.fail("rename", old, fmt.Errorf("it has the directories %s: %w", strings.Join(below, ", "), mail.ErrUnsupported))
	}
	if err := checkLength(to); err != nil {
		return s.fail("rename", old, err)
	}
	if err := s.root.MkdirAll(path.Dir(to), 0o700); err != nil {
		return s.fail("rename", old, err)
	}
	s.forget()
	// What is below comes first: while the file is there, the old name is.
	if len(below) == 1 {
		if err := s.root.Rename(below[0], to+directorySuffix); err != nil {
			return s.fail("rename", old, err)
		}
	}
	if there {
		end, err := s.dotlock(ctx, from)
		if err != nil {
			return s.fail("rename", old, err)
		}
		defer end()
		if err := s.renameFile(from, to); err != nil {
			return s.fail("rename", old, err)
		}
	}
	return s.fail("rename", old, errors.Join(tree.SyncDir(s.root, path.Dir(from)), tree.SyncDir(s.root, path.Dir(to))))
}

// renameFile renames the file of a mailbox. Its sidecar stands under both names
// while it does, so that a program that is killed leaves the file with one.
func (s *Store) renameFile(from, to string) error {
	if err := s.root.Remove(sidecarOf(to)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // it is nobody's: there is no file of that name
	}
	side, err := tree.ReadFile(s.root, sidecarOf(from))
	if errors.Is(err, fs.ErrNotExist) {
		return s.root.Rename(from, to)
	}
	if err != nil {
		return err
	}
	if _, err := tree.Replace(s.root, sidecarOf(to), func(w *bufio.Writer) error {
		_, err := w.Write(side)
		return err
	}); err != nil {
		return err
	}
	if err := s.root.Rename(from, to); err != nil {
		return errors.Join(err, s.root.Remove(sidecarOf(to)))
	}
	if err := tree.SyncDir(s.root, path.Dir(to)); err != nil {
		return err
	}
	return s.root.Remove(sidecarOf(from))
}

// Delete removes the file of a mailbox and its sidecar.
func (s *Store) Delete(ctx context.Context, name mail.Name) error {
	if err := s.enter(ctx); err != nil {
		return s.fail("delete", name, err)
	}
	defer s.leave()
	file, there := s.find(name)
	switch {
	case !there:
		return s.fail("delete", name, mail.ErrNoMailbox)
	case s.single != "", name == mail.Inbox:
		return s.fail("delete", name, mail.ErrUnsupported)
	}
	end, err := s.dotlock(ctx, file)
	if err != nil {
		return s.fail("delete", name, err)
	}
	err = s.root.Remove(file)
	if err == nil {
		s.forget()
		if err = s.root.Remove(sidecarOf(file)); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
	}
	end()
	dir := path.Dir(file)
	if err := errors.Join(err, tree.SyncDir(s.root, dir)); err != nil {
		return s.fail("delete", name, err)
	}
	for strings.HasSuffix(dir, directorySuffix) && s.root.Remove(dir) == nil { // nothing is below its parent now
		dir = path.Dir(dir)
	}
	return nil
}
