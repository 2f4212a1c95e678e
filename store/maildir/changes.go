package maildir

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"roost/mail"
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
	began, err := s.stateOf(b.dir) // before the listing: what happens meanwhile makes the token old
	if err != nil {
		return mail.Changes{}, s.fail("list", name, err)
	}
	c := mail.Changes{Token: began.token(), Count: -1, Method: "scan"}
	if since != "" && since == c.Token {
		n, err := s.numbersOf(b.dir)
		if err != nil {
			return mail.Changes{}, s.fail("list", name, err)
		}
		c.UIDValidity, c.UIDNext, c.Method = n.uidValidity, n.next(), "unchanged"
		return c, nil
	}
	c.Full = true
	if err := s.list(ctx, b, &c); err != nil {
		return mail.Changes{}, s.fail("list", name, err)
	}
	return c, nil
}

// list fills in the messages.
func (s *Store) list(ctx context.Context, b box, c *mail.Changes) error {
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
		_, letters, _ := splitInfo(l.files[i].name)
		f, ok := flags[letters]
		if !ok {
			f = flagsOf(letters, k)
			flags[letters] = f
		}
		c.Messages[i].Flags = f
	}
	if err := s.number(b.dir, l, c); err != nil {
		return err
	}
	if failed != nil {
		c.Messages = slices.DeleteFunc(c.Messages, func(m mail.Message) bool { return m.Key == "" })
		for i, err := range failed {
			if err != nil {
				c.Failed = append(c.Failed, &mail.Error{Op: "list", Mailbox: b.name, Key: l.files[i].key(), Err: translate(err)})
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
	n, err := s.readUIDList(dir, func(r record) {
		i, found := slices.BinarySearchFunc(l.files, string(r.name), func(f file, base string) int {
			return strings.Compare(f.baseName(), base)
		})
		if !found || c.Messages[i].Key == "" {
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
			if uid, ok := field(f.baseName(), 'U'); ok && uid > 0 && uid < 1<<32-1 && !seen[uint32(uid)] && c.Messages[i].Key != "" {
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

// stat makes a message of each file, with size and date. complete is false if
// one was not there under its name; such a message has neither. A file that
// cannot be looked at has an error and a message without key.
func (s *Store) stat(ctx context.Context, l *listing) (messages []mail.Message, failed []error, complete bool, err error) {
	messages = make([]mail.Message, len(l.files))
	var next atomic.Int64
	var missing atomic.Bool
	var mu sync.Mutex // guards failed
	const chunk = 1024
	work := func() {
		for ctx.Err() == nil {
			from := int(next.Add(chunk)) - chunk
			if from >= len(l.files) {
				return
			}
			for i := from; i < min(from+chunk, len(l.files)); i++ {
				m, err := s.statFile(l, &l.files[i])
				if errors.Is(err, fs.ErrNotExist) {
					missing.Store(true)
				} else if err != nil {
					mu.Lock()
					if failed == nil {
						failed = make([]error, len(l.files))
					}
					failed[i] = err
					mu.Unlock()
					continue
				}
				messages[i] = m
			}
		}
	}
	var wg sync.WaitGroup
	for range min(statWorkers, runtime.GOMAXPROCS(0), len(l.files)/chunk+1) {
		wg.Go(work)
	}
	wg.Wait()
	return messages, failed, !missing.Load(), ctx.Err()
}

func (s *Store) statFile(l *listing, f *file) (mail.Message, error) {
	key := f.key()
	m := mail.Message{Key: key, GUID: string(key), Size: -1}
	if f.twin {
		m.GUID = "" // it is the other's
	}
	if size, ok := field(f.baseName(), 'S'); ok {
		m.Size = size // also of what is compressed
	}
	info, err := s.root.Stat(path.Join(l.dir, f.path()))
	if err != nil {
		return m, err
	}
	if !info.Mode().IsRegular() {
		return m, errors.New("not a regular file")
	}
	if m.Size < 0 {
		m.Size = info.Size()
	}
	m.InternalDate = info.ModTime().Truncate(time.Second)
	return m, nil
}
