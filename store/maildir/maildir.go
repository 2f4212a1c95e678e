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
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

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
	FS   bool // a directory a level (Dovecot's LAYOUT=fs, mbsync's SubFolders Verbatim), not Maildir++
	UTF8 bool // names of mailboxes are in UTF-8
	Make bool // make the root if it is not there
	LF   bool // Append converts CRLF line ends to LF; default: bytes are stored as they come
	// Control is the directory in which dovecot-uidlist, dovecot-keywords and
	// subscriptions stand, as Dovecot's CONTROL. "": in the mailboxes.
	Control string

	NoSync bool // do not wait until the disk has what was written; for what can be made again

	// Zstd decodes what Dovecot compressed by zstd. nil: such messages cannot
	// be read, which is said of each.
	Zstd func(io.Reader) (io.ReadCloser, error)
}

// Store is a tree of Maildirs. It is safe for concurrent use, also beside
// other programs.
type Store struct {
	root     *os.Root
	control  *os.Root // where Dovecot's files stand; root, if there is no other place
	path     string   // absolute, for Identity
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
// descriptor it holds, or with Control two.
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
	control, err := openControl(root, options)
	if err != nil {
		root.Close()
		return nil, &mail.Error{Op: "open control directory of maildir", Err: translate(err)}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return &Store{
		root:     root,
		control:  control,
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
func (s *Store) Close() error {
	if s.hasControl() {
		return errors.Join(s.control.Close(), s.root.Close())
	}
	return s.root.Close()
}

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
			s.status(&m, p)
		}
		list = append(list, m)
	}
	return list, nil
}

// status fills in what is known of a mailbox without listing it.
func (s *Store) status(m *mail.Mailbox, p place) {
	state, numbers := p.state, p.numbers
	if state == nil {
		now, n, err := s.stateOf(p.dir)
		if err != nil {
			m.Err = s.fail("list", m.Name, err)
			return
		}
		state, numbers = &now, n
	}
	m.Token = state.token()
	m.ID, m.UIDValidity, m.UIDNext = numbers.guid, numbers.uidValidity, numbers.next()
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
