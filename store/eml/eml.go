package eml

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
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
		if !e.IsDir() || e.Name()[0] == '.' {
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

// Create makes a mailbox: its directory and a sidecar. Its parents become
// directories.
func (s *Store) Create(ctx context.Context, name mail.Name) error {
	return s.CreateRole(ctx, name, "")
}

// CreateRole is Create with a role, which stands in the sidecar.
func (s *Store) CreateRole(ctx context.Context, name mail.Name, role mail.Role) error {
	name = mail.NameOf(name.Components()...)
	if name == "" {
		return &mail.Error{Op: "create", Err: errors.New("a mailbox needs a name")}
	}
	release, err := s.lock(ctx)
	if err != nil {
		return s.fail("create", name, err)
	}
	defer release()
	dir, there := s.find(name)
	if there && s.holdsMail(dir) {
		return s.fail("create", name, mail.ErrExist)
	}
	if err := s.root.MkdirAll(dir, 0o700); err != nil {
		return s.fail("create", name, err)
	}
	return s.fail("create", name, s.found(dir, role))
}

// found writes the first sidecar of a directory. Messages that are there get
// UIDs. The caller holds the lock.
func (s *Store) found(dir string, role mail.Role) error {
	listed, err := s.scan(dir)
	if err != nil {
		return err
	}
	validity, err := s.newValidity()
	if err != nil {
		return err
	}
	side := sidecar{Header: tree.Header{Validity: validity, Next: 1, ID: rand.Text(), Role: string(role)}, entries: make(map[string]entry)}
	for _, f := range listed.files {
		if uid := uidOfFile(f.name); uid != 0 {
			f.entry.uid = uid
			side.Next = max(side.Next, uid+1)
			side.entries[f.name] = f.entry
		}
	}
	for _, f := range listed.files {
		if uidOfFile(f.name) == 0 {
			f.entry.uid = side.Next
			side.Next++
			side.entries[f.name] = f.entry
		}
	}
	return s.rewrite(dir, &side)
}

// newValidity is a UIDVALIDITY that no mailbox of the tree had. The caller holds
// the lock.
func (s *Store) newValidity() (uint32, error) {
	return tree.NextValidity(s.root, validityFile, time.Now().Unix())
}

// Subscribe notes it in the sidecar.
func (s *Store) Subscribe(ctx context.Context, name mail.Name, on bool) error {
	release, err := s.lock(ctx)
	if err != nil {
		return s.fail("subscribe", name, err)
	}
	defer release()
	dir, err := s.mailbox(name)
	if err != nil {
		return s.fail("subscribe", name, err)
	}
	if _, err := s.tail(dir); err != nil { // makes a sidecar, or mends it
		return s.fail("subscribe", name, err)
	}
	side, err := s.readSidecar(dir)
	if err != nil || side.Subscribed == on {
		return s.fail("subscribe", name, err)
	}
	side.Subscribed = on
	return s.fail("subscribe", name, s.rewrite(dir, &side))
}

// Rename renames the directory of a mailbox.
func (s *Store) Rename(ctx context.Context, old, new mail.Name) error {
	new = mail.NameOf(new.Components()...)
	release, err := s.lock(ctx)
	if err != nil {
		return s.fail("rename", old, err)
	}
	defer release()
	from, there := s.find(old)
	to, taken := s.find(new)
	switch {
	case !there:
		return s.fail("rename", old, mail.ErrNoMailbox)
	case old == mail.Inbox, new.Below(old):
		return s.fail("rename", old, fmt.Errorf("to %s: %w", new, mail.ErrUnsupported))
	case new == "":
		return s.fail("rename", old, errors.New("a mailbox needs a name"))
	case taken:
		return s.fail("rename", old, fmt.Errorf("to %s: %w", new, mail.ErrExist))
	}
	if parent := path.Dir(to); parent != "." {
		if err := s.root.MkdirAll(parent, 0o700); err != nil {
			return s.fail("rename", old, err)
		}
	}
	clear(s.tails)
	if err := s.root.Rename(from, to); err != nil {
		return s.fail("rename", old, err)
	}
	return s.fail("rename", old, errors.Join(tree.SyncDir(s.root, path.Dir(from)), tree.SyncDir(s.root, path.Dir(to))))
}

// Delete removes the messages and the sidecar of a mailbox, and the directory if
// then nothing is left in it.
func (s *Store) Delete(ctx context.Context, name mail.Name) error {
	release, err := s.lock(ctx)
	if err != nil {
		return s.fail("delete", name, err)
	}
	defer release()
	dir, err := s.mailbox(name)
	if err != nil {
		return s.fail("delete", name, err)
	}
	if name == mail.Inbox {
		return s.fail("delete", name, mail.ErrUnsupported)
	}
	entries, err := s.readDir(dir)
	if err != nil {
		return s.fail("delete", name, err)
	}
	delete(s.tails, dir)
	for _, e := range entries {
		if !isMessageFile(e.Name()) && !tree.IsTemporary(e.Name()) {
			continue
		}
		if err := s.root.Remove(tree.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s.fail("delete", name, err)
		}
	}
	if err := s.root.Remove(tree.Join(dir, sidecarFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.fail("delete", name, err)
	}
	if err := tree.SyncDir(s.root, dir); err != nil {
		return s.fail("delete", name, err)
	}
	// It stays if something is left: mailboxes below it, files of others.
	if left, err := s.readDir(dir); err == nil && len(left) == 0 {
		if err := s.root.Remove(dir); err != nil {
			return s.fail("delete", name, err)
		}
		return s.fail("delete", name, tree.SyncDir(s.root, path.Dir(dir)))
	}
	return nil
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
