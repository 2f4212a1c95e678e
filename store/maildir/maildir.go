package maildir

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"roost/mail"
)

var (
	_ mail.Store        = (*Store)(nil)
	_ mail.BulkAppender = (*Store)(nil)
	_ mail.Numberer     = (*Store)(nil)
	_ mail.Subscriber   = (*Store)(nil)
	_ mail.Identifier   = (*Store)(nil)
)

// Options say how the tree is laid out. The zero value is Maildir++ with names
// in modified UTF-7, as Dovecot and Courier have it.
type Options struct {
	FS     bool // a directory a level (Dovecot's LAYOUT=fs, mbsync's SubFolders Verbatim), not Maildir++
	UTF8   bool // names of mailboxes are in UTF-8
	Make   bool // make the root if it is not there
	LF     bool // Append converts CRLF line ends to LF; default: bytes are stored as they come
	NoSync bool // do not wait until the disk has what was written; for what can be made again

	// Zstd decodes what Dovecot compressed by zstd. nil: such messages cannot
	// be read, which is said of each.
	Zstd func(io.Reader) (io.ReadCloser, error)
}

// Store is a tree of Maildirs. It is safe for concurrent use, also beside
// other programs.
type Store struct {
	root     *os.Root
	path     string // absolute, for Identity
	options  Options
	host     string        // as Dovecot has it
	random   string        // in the names of files, to tell apart processes that share PID and host name
	delivery atomic.Uint64 // files made

	mu       sync.Mutex // guards what follows
	gates    map[string]chan struct{}
	odd      map[mail.Name]string // directories that dirOf does not lead to
	numbered map[string]bool      // directories of mailboxes where Append keeps UIDs
	recent   []*listing           // last used first
}

// Open opens the tree at path. Closing the Store gives back the one file
// descriptor it holds.
func Open(ctx context.Context, path string, options Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if options.Make {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, &mail.Error{Op: "open maildir", Err: translate(err)}
		}
	}
	absolute, err := filepath.Abs(path)
	if err == nil {
		absolute, err = filepath.EvalSymlinks(absolute)
	}
	if err != nil {
		return nil, &mail.Error{Op: "open maildir", Err: translate(err)}
	}
	root, err := os.OpenRoot(absolute)
	if err != nil {
		return nil, &mail.Error{Op: "open maildir", Err: translate(err)}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return &Store{
		root:     root,
		path:     absolute,
		options:  options,
		host:     host,
		random:   strings.ToLower(rand.Text()[:10]),
		gates:    make(map[string]chan struct{}),
		odd:      make(map[mail.Name]string),
		numbered: make(map[string]bool),
	}, nil
}

// Identity is "maildir:" and the absolute path.
func (s *Store) Identity() string { return "maildir:" + s.path }

// Close closes the root. Where Number was called, UIDs are no longer kept when
// the store is opened again.
func (s *Store) Close() error { return s.root.Close() }

// box is a mailbox that is there.
type box struct {
	name mail.Name
	dir  string // relative to the root
}

func (b box) path(elem ...string) string { return path.Join(append([]string{b.dir}, elem...)...) }

// box finds a mailbox. A mailbox is a directory with cur or new in it.
func (s *Store) box(op string, name mail.Name) (box, error) {
	dir, err := s.find(name)
	if err != nil {
		return box{}, s.fail(op, name, err)
	}
	return box{name, dir}, nil
}

// find is the directory of the mailbox called name, ErrNoMailbox if there is none.
func (s *Store) find(name mail.Name) (string, error) {
	if name == "" {
		return "", mail.ErrNoMailbox
	}
	for relisted := false; ; relisted = true {
		s.mu.Lock()
		dir, isOdd := s.odd[name]
		s.mu.Unlock()
		if !isOdd {
			dir = s.options.dirOf(name)
		}
		there, err := s.isMailbox(dir)
		if there || err != nil && !errors.Is(err, syscall.ENAMETOOLONG) {
			return dir, err
		}
		if relisted || isOdd {
			return "", mail.ErrNoMailbox
		}
		if _, err := s.places(); err != nil { // perhaps it is an odd one
			return "", err
		}
	}
}

func (s *Store) isMailbox(dir string) (bool, error) {
	for _, sub := range []string{"cur", "new"} {
		info, err := s.root.Stat(path.Join(dir, sub))
		if err == nil && info.IsDir() {
			return true, nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return false, err
		}
	}
	return false, nil
}

// Mailboxes lists the mailboxes from the directories. Counts are not known
// without listing each.
func (s *Store) Mailboxes(ctx context.Context) ([]mail.Mailbox, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	places, err := s.places()
	if err != nil {
		return nil, s.fail("list mailboxes", "", err)
	}
	subscribed, err := s.subscriptions()
	if err != nil {
		return nil, s.fail("list subscriptions", "", err)
	}
	list := make([]mail.Mailbox, 0, len(places))
	for _, p := range places {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m := mail.Mailbox{Name: p.name, Raw: p.dir, NoSelect: p.noSelect, Subscribed: subscribed[p.name], Count: -1, Err: p.err}
		if !p.noSelect && p.err == nil {
			s.status(&m, p.dir)
		}
		list = append(list, m)
	}
	return list, nil
}

// status fills in what is known of a mailbox without listing it.
func (s *Store) status(m *mail.Mailbox, dir string) {
	state, err := s.stateOf(dir)
	if err != nil {
		m.Err = s.fail("list", m.Name, err)
		return
	}
	m.Token = state.token()
	if numbers, err := s.numbersOf(dir); err == nil {
		m.ID, m.UIDValidity, m.UIDNext = numbers.guid, numbers.uidValidity, numbers.next()
	}
}

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
			if err := s.replace(path.Join(dir, "maildirfolder"), "", nil, time.Time{}); err != nil {
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
		err = s.root.Rename(from, to)
	} else {
		for _, p := range moving {
			if err = s.root.Rename(p.dir, s.options.dirOf(new+p.name[len(old):])); err != nil {
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
	away := trash + s.newName()
	if err = s.takeAway(b.dir, away); err == nil {
		err = s.root.RemoveAll(away)
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
	below := slices.ContainsFunc(entries, func(e fs.DirEntry) bool {
		return s.options.FS && e.IsDir() && e.Name() != "cur" && e.Name() != "new" && e.Name() != "tmp"
	})
	if !below {
		return s.root.Rename(dir, away)
	}
	if err := s.root.Mkdir(away, 0o700); err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != "cur" && e.Name() != "new" && e.Name() != "tmp" {
			continue
		}
		if err := s.root.Rename(path.Join(dir, e.Name()), path.Join(away, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) readDir(dir string) ([]fs.DirEntry, error) {
	d, err := s.root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.ReadDir(-1)
}

// fail makes an error of this store; nil of nil.
func (s *Store) fail(op string, name mail.Name, err error) error {
	return s.failKey(op, name, "", err)
}

func (s *Store) failKey(op string, name mail.Name, key mail.Key, err error) error {
	var already *mail.Error
	if err == nil || errors.As(err, &already) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &mail.Error{Op: op, Mailbox: name, Key: key, Err: translate(err)}
}

// translate adds to an error of the system the one that callers act on.
func translate(err error) error {
	for _, t := range []struct{ system, ours error }{
		{fs.ErrPermission, mail.ErrDenied},
		{syscall.EROFS, mail.ErrReadOnly},
		{syscall.ENOSPC, mail.ErrQuota},
		{syscall.EDQUOT, mail.ErrQuota},
		{syscall.ENAMETOOLONG, mail.ErrUnsupported},
	} {
		if errors.Is(err, t.system) {
			return fmt.Errorf("%w: %w", t.ours, err)
		}
	}
	return err
}
