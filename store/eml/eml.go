package eml

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"roost/mail"
	"roost/store/tree"
)

var (
	_ mail.Store        = (*Store)(nil)
	_ mail.BulkAppender = (*Store)(nil)
	_ mail.Numberer     = (*Store)(nil)
	_ mail.Subscriber   = (*Store)(nil)
	_ mail.RoleCreator  = (*Store)(nil)
	_ mail.Identifier   = (*Store)(nil)
)

const (
	lockFile     = ".roost.lock"
	validityFile = ".roost.validity" // the last UIDVALIDITY that was given in the tree
)

// Options adjust Open; the zero value is sensible.
type Options struct {
	Make bool // make the root if it is not there
}

// Store is a tree of .eml files. It is safe for concurrent use, also by several
// processes.
type Store struct {
	root *os.Root
	path string           // absolute, for Identity
	now  func() time.Time // by which a file is settled

	// gate lets one writer in at a time. It guards what follows.
	gate  chan struct{}
	tails map[string]tail // by directory
}

// Open opens the tree at path. Closing the Store gives back the one file
// descriptor that it holds.
func Open(ctx context.Context, path string, options Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	fail := func(err error) (*Store, error) { return nil, &mail.Error{Op: "open eml", Err: translate(err)} }
	if options.Make {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return fail(err)
		}
	}
	absolute, err := filepath.Abs(path)
	if err == nil {
		absolute, err = filepath.EvalSymlinks(absolute)
	}
	if err != nil {
		return fail(err)
	}
	root, err := os.OpenRoot(absolute)
	if err != nil {
		return fail(err)
	}
	return &Store{
		root:  root,
		path:  absolute,
		now:   time.Now,
		gate:  make(chan struct{}, 1),
		tails: make(map[string]tail),
	}, nil
}

// Identity is "eml:" and the absolute path.
func (s *Store) Identity() string { return "eml:" + s.path }

// Close closes the root.
func (s *Store) Close() error { return s.root.Close() }

// lock keeps other writers out until release.
func (s *Store) lock(ctx context.Context) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case s.gate <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	f, err := s.root.OpenFile(lockFile, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		<-s.gate
		return nil, err
	}
	release = func() { f.Close(); <-s.gate }
	for wait := time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		held, err := tree.TryLock(f, true)
		if held {
			return release, nil
		}
		if err != nil {
			release()
			return nil, fmt.Errorf("lock %s: %w", lockFile, err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			release()
			return nil, ctx.Err()
		}
	}
}

// Mailboxes walks the tree. A directory that cannot be read is listed with Err.
func (s *Store) Mailboxes(ctx context.Context) ([]mail.Mailbox, error) {
	var list []mail.Mailbox
	if err := s.walk(ctx, ".", nil, &list); err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(a, b mail.Mailbox) int { return strings.Compare(string(a.Name), string(b.Name)) })
	// Two directories may stand for one name: INBOX and Inbox.
	for i := 1; i < len(list); i++ {
		if list[i].Name == list[i-1].Name {
			list[i-1].Err = s.fail("list", list[i].Name, errors.New("more than one directory has this name; rename one"))
			list = slices.Delete(list, i, i+1)
			i--
		}
	}
	return list, nil
}

// walk appends the mailbox in dir, if it is one, and all below it.
func (s *Store) walk(ctx context.Context, dir string, components []string, list *[]mail.Mailbox) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name := mail.NameOf(components...)
	entries, err := s.readDir(dir)
	if err != nil {
		if dir == "." {
			return &mail.Error{Op: "list", Err: translate(err)}
		}
		*list = append(*list, mail.Mailbox{Name: name, Count: -1, Err: s.fail("list", name, err)})
		return nil
	}
	m := mail.Mailbox{Name: name, NoSelect: !holdsMail(entries), Count: -1}
	if dir == "." {
		m.Name = mail.Inbox
	}
	if !m.NoSelect {
		m = s.describe(dir, m, entries)
	}
	if m.Name != "" && (dir != "." || !m.NoSelect) { // an empty component alone has no name
		*list = append(*list, m)
	}
	for _, e := range entries {
		if e.Name()[0] == '.' {
			continue
		}
		if e.Type()&fs.ModeSymlink != 0 {
			if err := tree.Astray(s.root, tree.Join(dir, e.Name()), fs.FileInfo.IsDir); err != nil && !strings.EqualFold(filepath.Ext(e.Name()), ".eml") {
				name := mail.NameOf(append(slices.Clip(components), spelling.Decode(e.Name()))...)
				*list = append(*list, mail.Mailbox{Name: name, Count: -1, Err: s.fail("list", name, fmt.Errorf("%s %w", e.Name(), err))})
			}
		}
		if !e.IsDir() {
			continue
		}
		if err := s.walk(ctx, tree.Join(dir, e.Name()), append(slices.Clip(components), spelling.Decode(e.Name())), list); err != nil {
			return err
		}
	}
	return nil
}

// describe adds what the sidecar says of the mailbox in dir.
func (s *Store) describe(dir string, m mail.Mailbox, entries []fs.DirEntry) mail.Mailbox {
	side, err := s.readSidecar(dir)
	if err != nil {
		m.Err = s.fail("list", m.Name, err)
		return m
	}
	m.ID, m.Role, m.Subscribed = side.ID, mail.Role(side.Role), side.Subscribed
	m.UIDValidity, m.UIDNext = side.number(entries)
	return m
}

// mailbox is the directory of a mailbox that is there.
func (s *Store) mailbox(name mail.Name) (dir string, err error) {
	dir, there := s.find(name)
	if !there || !s.holdsMail(dir) {
		return "", mail.ErrNoMailbox
	}
	return dir, nil
}

// holdsMail reports whether a directory is a mailbox. One that cannot be read is.
func (s *Store) holdsMail(dir string) bool {
	if _, err := s.root.Lstat(tree.Join(dir, sidecarFile)); err == nil {
		return true
	}
	entries, err := s.readDir(dir)
	return err != nil && !errors.Is(err, fs.ErrNotExist) || holdsMail(entries)
}

func holdsMail(entries []fs.DirEntry) bool {
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return e.Name() == sidecarFile || isMessageFile(e.Name()) && !e.IsDir()
	})
}

func (s *Store) readDir(dir string) ([]fs.DirEntry, error) {
	f, err := s.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// fail says what was tried and how far the damage reaches; nil if err is.
func (s *Store) fail(op string, name mail.Name, err error) error {
	if err == nil {
		return nil
	}
	return &mail.Error{Op: op, Mailbox: name, Err: translate(err)}
}

// translate says in the words of package mail what the system said.
func translate(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission) && !errors.Is(err, mail.ErrDenied):
		return fmt.Errorf("%w: %w", mail.ErrDenied, err)
	case errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w: %w", mail.ErrReadOnly, err)
	case errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", mail.ErrQuota, err)
	}
	return err
}
