package maildir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"syscall"
	"time"

	"roost/mail"
	"roost/store/tree"
)

// Create makes a mailbox and its missing parents.
func (s *Store) Create(ctx context.Context, name mail.Name) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if name == "" {
		return s.fail("create", name, errors.New("a mailbox needs a name"))
	}
	if _, err := s.find(name); err == nil {
		return s.fail("create", name, mail.ErrExist)
	} else if !errors.Is(err, mail.ErrNoMailbox) {
		return s.fail("create", name, err)
	}
	if err := s.makeParents(name); err != nil {
		return s.fail("create", name, err)
	}
	return s.fail("create", name, s.makeMailbox(s.options.dirOf(name)))
}

// makeParents makes what is missing above name, from the root down.
func (s *Store) makeParents(name mail.Name) error {
	parent := name.Parent()
	if parent == "" {
		return nil
	}
	if _, err := s.find(parent); !errors.Is(err, mail.ErrNoMailbox) {
		return err
	}
	if err := s.makeParents(parent); err != nil {
		return err
	}
	err := s.makeMailbox(s.options.dirOf(parent))
	if errors.Is(err, mail.ErrExist) {
		return nil // somebody else was faster
	}
	return err
}

// makeMailbox makes a Maildir. The directory cur comes last, so that what is
// listed is complete.
func (s *Store) makeMailbox(dir string) error {
	if s.options.FS && len(dir) > maxPath {
		return syscall.ENAMETOOLONG
	}
	like, err := s.root.Stat(".")
	if err != nil {
		return err
	}
	if dir != "." {
		for i, c := range dir { // LAYOUT=fs: levels that are no mailboxes of their own, as above INBOX/a
			if c == '/' {
				if err := s.mkdir(dir[:i], like); err != nil && !errors.Is(err, fs.ErrExist) {
					return err
				}
			}
		}
		if err := s.mkdir(dir, like); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if !s.options.FS {
			if err := s.replace(s.root, path.Join(dir, "maildirfolder"), "", nil, time.Time{}); err != nil {
				return err
			}
		}
	}
	for _, sub := range []string{"tmp", "new", "cur"} {
		err := s.mkdir(path.Join(dir, sub), like)
		if errors.Is(err, fs.ErrExist) && sub == "cur" {
			return mail.ErrExist
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if err := s.syncDirs(dir, path.Dir(dir)); err != nil {
		return err
	}
	return nil
}

// maxPath is the longest path of a mailbox below the root, so that there is
// room for the names of files.
const maxPath = 3 << 10

// mkdir makes a directory with the mode and owner of like.
func (s *Store) mkdir(dir string, like fs.FileInfo) error {
	if err := s.root.Mkdir(dir, like.Mode().Perm()); err != nil {
		return err
	}
	if err := s.root.Chmod(dir, like.Mode().Perm()); err != nil {
		return err
	}
	if uid, gid, ok := ownerOf(like); ok {
		return s.root.Lchown(dir, uid, gid)
	}
	return nil
}

// Rename renames directories: in Maildir++ one for each mailbox below, which
// may be seen half done. INBOX cannot be renamed.
func (s *Store) Rename(ctx context.Context, old, new mail.Name) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	places, err := s.places()
	if err != nil {
		return s.fail("rename", old, err)
	}
	var moving []place // the mailbox, if it is more than a level, and all below
	for _, p := range places {
		if p.name == old || p.name.Below(old) {
			moving = append(moving, p)
		}
	}
	if len(moving) == 0 {
		return s.fail("rename", old, mail.ErrNoMailbox)
	}
	if _, err := s.find(new); err == nil {
		return s.fail("rename", old, fmt.Errorf("to %s: %w", new, mail.ErrExist))
	} else if !errors.Is(err, mail.ErrNoMailbox) {
		return s.fail("rename", old, err)
	}
	if old == mail.Inbox || new == "" || new.Below(old) {
		return s.fail("rename", old, fmt.Errorf("to %s: %w", new, mail.ErrUnsupported))
	}
	if err := s.makeParents(new); err != nil {
		return s.fail("rename", old, err)
	}
	from := s.options.dirOf(old)
	if moving[0].name == old {
		from = moving[0].dir
	}
	to := s.options.dirOf(new)
	if s.options.FS {
		err = s.renameDir(from, to)
	} else {
		for _, p := range moving {
			if err = s.renameDir(p.dir, s.options.dirOf(new+p.name[len(old):])); err != nil {
				break
			}
		}
	}
	s.forget()
	if err != nil {
		return s.fail("rename", old, fmt.Errorf("to %s: %w", new, err))
	}
	return s.fail("rename", old, s.syncDirs(path.Dir(from), path.Dir(to)))
}

// trash is how a directory is called that is being removed. Dovecot's is called
// nearly so; neither lists it.
const trash = "..DOVECOT-TRASHED-"

// Delete takes the mailbox out of sight by one rename, then removes it. INBOX
// cannot be deleted.
func (s *Store) Delete(ctx context.Context, name mail.Name) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := s.box("delete", name)
	if err != nil {
		return err
	}
	if name == mail.Inbox {
		return s.fail("delete", name, mail.ErrUnsupported)
	}
	went, err := s.tallyOf(ctx, b)
	if err != nil {
		return s.fail("delete", name, err)
	}
	away := trash + s.newName()
	if err = s.takeAway(b.dir, away); err == nil {
		s.account(b.dir, tally{}, went)
		err = errors.Join(s.root.RemoveAll(away), s.removeControl(b.dir))
	}
	s.forget()
	if err == nil {
		err = s.syncDirs(".", path.Dir(b.dir))
	}
	return s.fail("delete", name, err)
}

// takeAway moves a mailbox, without those below it, to the directory away.
func (s *Store) takeAway(dir, away string) error {
	entries, err := s.readDir(dir)
	if err != nil {
		return err
	}
	below := slices.ContainsFunc(entries, func(e tree.Entry) bool {
		return s.options.FS && e.IsDir() && e.Name != "cur" && e.Name != "new" && e.Name != "tmp"
	})
	if !below {
		return s.root.Rename(dir, away)
	}
	if err := s.root.Mkdir(away, 0o700); err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && e.Name != "cur" && e.Name != "new" && e.Name != "tmp" {
			continue
		}
		if err := s.root.Rename(path.Join(dir, e.Name), path.Join(away, e.Name)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) readDir(dir string) ([]tree.Entry, error) {
	d, err := s.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return tree.Entries(d)
}
