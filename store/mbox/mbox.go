package mbox

import (
	"bytes"
	"context"
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

// Options adjust Open; the zero value is sensible.
type Options struct {
	// Make makes what is not there: a file if the path ends with .mbox, else the
	// root of a tree.
	Make bool

	Format Format // of messages that other programs wrote; default: Auto
}

// Store is an mbox file or a tree of them. It is safe for concurrent use, also
// beside other programs that lock as is the custom.
type Store struct {
	root   *os.Root
	path   string // absolute, for Identity
	single string // the one file below the root; "" for a tree
	format Format
	now    func() time.Time // by which a file is settled

	// gate lets one writer in at a time. It guards what follows.
	gate  chan struct{}
	tails map[string]tail // by file, as our last write left it

	mu     sync.Mutex         // guards what follows
	places map[string]*places // by file
}

// places are the messages of a file as it was.
type places struct {
	stamp   tree.Stamp
	settled bool // a change after they were read shows in the stamp
	list    []place
	stop    int64 // where they end
}

// maxPlaces is how many messages are remembered over all files, at about 130
// octets each.
const maxPlaces = 1 << 20

// Open opens the file or tree at path. Closing the Store gives back the one file
// descriptor that it holds.
func Open(ctx context.Context, path string, options Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	fail := func(err error) (*Store, error) { return nil, &mail.Error{Op: "open mbox", Err: translate(err)} }
	if options.Make {
		if err := makePath(path); err != nil {
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
	info, err := os.Stat(absolute)
	if err != nil {
		return fail(err)
	}
	s := &Store{
		path:   absolute,
		format: options.Format,
		gate:   make(chan struct{}, 1),
		now:    time.Now,
		tails:  make(map[string]tail),
		places: make(map[string]*places),
	}
	dir := absolute
	if !info.IsDir() {
		dir, s.single = filepath.Split(absolute)
	}
	if s.root, err = os.OpenRoot(dir); err != nil {
		return fail(err)
	}
	return s, nil
}

func makePath(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if filepath.Ext(path) != ".mbox" {
		return os.MkdirAll(path, 0o700)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// Identity is "mbox:" and the absolute path.
func (s *Store) Identity() string { return "mbox:" + s.path }

// Close closes the root.
func (s *Store) Close() error { return s.root.Close() }

// enter lets this writer in, until leave.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) leave() { <-s.gate }

// Mailboxes walks the tree. A file or directory that cannot be read is listed with
// Err.
func (s *Store) Mailboxes(ctx context.Context) ([]mail.Mailbox, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.single != "" {
		return []mail.Mailbox{s.describe(s.single, mail.Inbox)}, nil
	}
	found := make(map[mail.Name][]mail.Mailbox)
	if err := s.walk(ctx, ".", nil, found); err != nil {
		return nil, err
	}
	list := make([]mail.Mailbox, 0, len(found))
	for name, boxes := range found {
		files := slices.DeleteFunc(slices.Clone(boxes), func(m mail.Mailbox) bool { return m.NoSelect })
		switch len(files) {
		case 0:
			list = append(list, boxes[0])
		case 1:
			list = append(list, files[0])
		default:
			files[0].Err = s.fail("list", name, errors.New("more than one file has this name; rename one"))
			list = append(list, files[0])
		}
	}
	slices.SortFunc(list, func(a, b mail.Mailbox) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return list, nil
}

// walk finds the mailboxes in dir and below it.
func (s *Store) walk(ctx context.Context, dir string, components []string, found map[mail.Name][]mail.Mailbox) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := s.readDir(dir)
	if err != nil {
		if dir == "." {
			return &mail.Error{Op: "list", Err: translate(err)}
		}
		name := mail.NameOf(components...)
		found[name] = append(found[name], mail.Mailbox{Name: name, Count: -1, Err: s.fail("list", name, err)})
		return nil
	}
	for _, e := range entries {
		file := e.Name()
		if file[0] == '.' {
			continue
		}
		stem := file
		if e.IsDir() {
			stem = strings.TrimSuffix(file, directorySuffix)
		}
		below := append(slices.Clip(components), spelling.Decode(stem))
		name := mail.NameOf(below...)
		switch {
		case e.IsDir():
			if name != "" {
				found[name] = append(found[name], mail.Mailbox{Name: name, NoSelect: true, Count: -1})
			}
			if err := s.walk(ctx, tree.Join(dir, file), below, found); err != nil {
				return err
			}
		case e.Type()&fs.ModeSymlink != 0 && name != "" && !isReserved(path.Ext(file)):
			if err := tree.Astray(s.root, tree.Join(dir, file), func(i fs.FileInfo) bool { return i.IsDir() || i.Mode().IsRegular() }); err != nil {
				found[name] = append(found[name], mail.Mailbox{Name: name, Count: -1, Err: s.fail("list", name, fmt.Errorf("%s %w", file, err))})
			}
		case s.isMailbox(dir, e) && name != "":
			found[name] = append(found[name], s.describe(tree.Join(dir, file), name))
		}
	}
	return nil
}

// isMailbox reports whether a file is to be listed: because it is an mbox, looks
// like one that is damaged, or cannot be read.
func (s *Store) isMailbox(dir string, e fs.DirEntry) bool {
	ext := path.Ext(e.Name())
	if !e.Type().IsRegular() || isReserved(ext) {
		return false
	}
	ok, err := s.looksRight(tree.Join(dir, e.Name()))
	return ok || err != nil || strings.EqualFold(ext, ".mbox") || strings.EqualFold(ext, ".mbx")
}

// looksRight reports whether a file is empty or begins as an mbox does.
func (s *Store) looksRight(file string) (bool, error) {
	f, err := tree.Open(s.root, file)
	if err != nil {
		return false, err
	}
	defer f.Close()
	near := make([]byte, 64)
	n, err := io.ReadFull(f, near)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return false, err
	}
	near = bytes.TrimLeft(near[:n], "\r\n")
	return bytes.HasPrefix(near, []byte(fromPrefix)) || strings.HasPrefix(fromPrefix, string(near)), nil
}

// describe is the mailbox in a file, as far as it is known without reading it.
func (s *Store) describe(file string, name mail.Name) mail.Mailbox {
	m := mail.Mailbox{Name: name, Count: -1}
	ok, err := s.looksRight(file)
	if err == nil && !ok {
		err = fmt.Errorf("%s %w", file, errNoMbox)
	}
	if err == nil {
		var h tree.Header
		h, err = s.readHeader(file)
		m.ID, m.Role, m.Subscribed = h.ID, mail.Role(h.Role), h.Subscribed
	}
	m.Err = s.fail("list", name, err)
	return m
}

// forget drops all that is remembered of files.
func (s *Store) forget() {
	clear(s.tails)
	s.mu.Lock()
	clear(s.places)
	s.mu.Unlock()
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
