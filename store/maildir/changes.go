package maildir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"roost/mail"
	"roost/store/tree"
)

// Changes lists the whole mailbox, unless nothing changed since: the directory
// tells that, but not what changed.
func (s *Store) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	if err := ctx.Err(); err != nil {
		return mail.Changes{}, err
	}
	b, err := s.box("list", name)
	if err != nil {
		return mail.Changes{}, err
	}
	began, n, err := s.stateOf(b.dir) // before the listing: what happens meanwhile makes the token old
	if err != nil {
		return mail.Changes{}, s.fail("list", name, err)
	}
	c := mail.Changes{Token: began.token(), Count: -1, Method: "scan", FileDates: true}
	if since != "" && since == c.Token {
		c.UIDValidity, c.UIDNext, c.Method = n.uidValidity, n.next(), "unchanged"
		return c, nil
	}
	c.Full = true
	if err := s.list(ctx, b, n.courier, &c); err != nil {
		return mail.Changes{}, s.fail("list", name, err)
	}
	return c, nil
}

// list fills in the messages.
func (s *Store) list(ctx context.Context, b box, courier bool, c *mail.Changes) error {
	k, err := s.keywordsOf(b.dir)
	if err != nil {
		return err
	}
	var failed []error // beside the files that could not be looked at; nil for the others
	look := func(l *listing) (complete bool, err error) {
		c.Messages, failed, complete, err = s.stat(ctx, l)
		return complete, err
	}
	l, err := s.scan(ctx, b.dir, look)
	if err != nil {
		return err
	}
	flags := make(map[string]mail.Flags) // few combinations, shared by many messages
	for i := range c.Messages {
		_, letters, _ := splitInfo(l.name(l.files[i]))
		f, ok := flags[letters]
		if !ok {
			f = flagsOf(letters, k)
			flags[letters] = f
		}
		c.Messages[i].Flags = f
	}
	if courier {
		words, err := s.courierKeywords(b.dir)
		if err != nil {
			return err
		}
		for i := range c.Messages {
			if words, ok := words[l.baseName(l.files[i])]; ok {
				c.Messages[i].Flags = c.Messages[i].Flags.Plus(words)
			}
		}
	}
	if err := s.number(b.dir, l, c); err != nil {
		return err
	}
	if failed != nil {
		c.Messages = slices.DeleteFunc(c.Messages, func(m mail.Message) bool { return m.Key == "" })
		for i, err := range failed {
			if err != nil {
				c.Failed = append(c.Failed, &mail.Error{Op: "list", Mailbox: b.name, Key: l.key(l.files[i]), Err: translate(err)})
			}
		}
	}
	slices.SortFunc(c.Messages, func(a, b mail.Message) int {
		// Those without UID come last: 0-1 is the highest number.
		return cmp.Or(cmp.Compare(a.UID-1, b.UID-1), strings.Compare(string(a.Key), string(b.Key)))
	})
	return nil
}

// number fills in UIDs and GUIDs.
func (s *Store) number(dir string, l *listing, c *mail.Changes) error {
	next := 0 // records mostly stand in the order of names
	n, err := s.readUIDList(dir, func(r record) {
		i, found := next, next < len(l.files) && l.baseName(l.files[next]) == string(r.name)
		if !found {
			i, found = l.search(l.files, r.name)
		}
		if next = i + 1; !found || c.Messages[i].Key == "" {
			return
		}
		c.Messages[i].UID = r.uid
		if guid := r.guid(); guid != "" {
			c.Messages[i].GUID = guid
		}
	})
	if err != nil {
		return err
	}
	c.UIDValidity, c.UIDNext = n.uidValidity, n.next()
	if n.mbsync {
		seen := make(map[uint32]bool)
		for i, f := range l.files {
			if uid, ok := field(l.baseName(f), 'U'); ok && uid > 0 && uid < 1<<32-1 && !seen[uint32(uid)] && c.Messages[i].Key != "" {
				c.Messages[i].UID = uint32(uid)
				seen[uint32(uid)] = true
				c.UIDNext = max(c.UIDNext, uint32(uid)+1)
			}
		}
	}
	return nil
}

// statWorkers look at files at once; more do not help, since they share a directory.
const statWorkers = 4

// statter looks at the files of a listing.
type statter struct {
	store    *Store
	listing  *listing
	dirs     [2]*os.File // cur and new; nil if not there
	messages []mail.Message
	missing  atomic.Bool // a file was not there under its name

	mu     sync.Mutex // guards what follows
	failed []error    // beside the files that cannot be looked at; nil if there is none
}

// stat makes a message of each file, with size and date. complete is false if
// one was not there under its name; such a message has neither. A file that
// cannot be looked at has an error and a message without key.
func (s *Store) stat(ctx context.Context, l *listing) (messages []mail.Message, failed []error, complete bool, err error) {
	st := &statter{store: s, listing: l, messages: make([]mail.Message, len(l.files))}
	for _, d := range []subdir{cur, fresh} {
		f, err := s.root.Open(path.Join(l.dir, d.String()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, false, err
		}
		if err == nil {
			defer f.Close()
			st.dirs[d] = f
		}
	}
	const chunk = 1024
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(statWorkers, runtime.GOMAXPROCS(0), len(l.files)/chunk+1) {
		wg.Go(func() {
			for ctx.Err() == nil {
				from := int(next.Add(chunk)) - chunk
				if from >= len(l.files) {
					return
				}
				for i := from; i < min(from+chunk, len(l.files)); i++ {
					st.file(i)
				}
			}
		})
	}
	wg.Wait()
	return st.messages, st.failed, !st.missing.Load(), ctx.Err()
}

func (st *statter) file(i int) {
	l, f := st.listing, st.listing.files[i]
	m := &st.messages[i]
	m.Key = l.key(f)
	if !f.twin && isUnique(string(m.Key)) { // the GUID of a twin is the other's
		m.GUID = string(m.Key)
	}
	m.Size = -1
	if size, ok := field(l.baseName(f), 'S'); ok {
		m.Size = size // also of what is compressed
	}
	seen, err := st.look(f)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		st.missing.Store(true)
		return
	case err == nil && !seen.Regular:
		err = errors.New("not a regular file")
		fallthrough
	case err != nil:
		m.Key = ""
		st.mu.Lock()
		defer st.mu.Unlock()
		if st.failed == nil {
			st.failed = make([]error, len(st.listing.files))
		}
		st.failed[i] = err
		return
	}
	if m.Size < 0 {
		m.Size = seen.Size
	}
	m.InternalDate = seen.Modified.Truncate(time.Second)
}

func (st *statter) look(f file) (tree.Look, error) {
	dir := st.dirs[f.dir]
	if dir == nil {
		return tree.Look{}, fs.ErrNotExist
	}
	seen, err := tree.LookAt(dir, st.listing.name(f))
	if err == nil && seen.Symlink { // followed, but not out of the root
		info, err := st.store.root.Stat(path.Join(st.listing.dir, st.listing.path(f)))
		if err != nil {
			return tree.Look{}, fmt.Errorf("symbolic link: %w", err)
		}
		return tree.LookOf(info), nil
	}
	return seen, err
}
