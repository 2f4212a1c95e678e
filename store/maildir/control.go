package maildir

import (
	"errors"
	"io/fs"
	"os"
	"path"
)

// With Dovecot's CONTROL, what it writes of a mailbox stands apart from the mail, in
// a directory of the same name in another tree; that of INBOX is called ".INBOX",
// with LAYOUT=fs "INBOX". The file subscriptions stands in that tree's root. What of
// it is not there is made when it is needed.

// openControl opens the tree of control files; it is root if there is none.
func openControl(root *os.Root, o Options) (*os.Root, error) {
	if o.Control == "" {
		return root, nil
	}
	if o.Make {
		if err := os.MkdirAll(o.Control, 0o700); err != nil {
			return nil, err
		}
	}
	return os.OpenRoot(o.Control)
}

func (s *Store) hasControl() bool { return s.control != s.root }

// controlPath is a control file of the mailbox in dir, below s.control.
func (s *Store) controlPath(dir, file string) string {
	return path.Join(s.controlDir(dir), file)
}

func (s *Store) controlDir(dir string) string {
	switch {
	case !s.hasControl() || dir != ".":
		return dir
	case s.options.FS:
		return "INBOX"
	}
	return ".INBOX"
}

// makeControl makes the directory of a mailbox's control files.
func (s *Store) makeControl(dir string) error {
	if !s.hasControl() {
		return nil
	}
	return s.control.MkdirAll(s.controlDir(dir), 0o700)
}

// renameDir renames the directory of a mailbox, and that of its control files.
func (s *Store) renameDir(from, to string) error {
	if err := s.root.Rename(from, to); err != nil || !s.hasControl() {
		return err
	}
	if err := s.control.MkdirAll(path.Dir(s.controlDir(to)), 0o700); err != nil {
		return err
	}
	if err := s.control.Rename(s.controlDir(from), s.controlDir(to)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeControl removes the control files of a mailbox, not those of mailboxes below.
func (s *Store) removeControl(dir string) error {
	if !s.hasControl() {
		return nil
	}
	for _, file := range []string{uidlistFile, keywordsFile} {
		if err := s.control.Remove(s.controlPath(dir, file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	s.control.Remove(s.controlDir(dir)) // it stays if something else is in it
	return nil
}
