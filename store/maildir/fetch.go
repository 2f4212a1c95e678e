package maildir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"

	"roost/mail"
	"roost/message"
)

// Fetch yields the messages in the order of keys.
func (s *Store) Fetch(ctx context.Context, name mail.Name, keys []mail.Key, part mail.Part) iter.Seq2[mail.Fetched, error] {
	return func(yield func(mail.Fetched, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(mail.Fetched{}, err)
			return
		}
		b, err := s.box("fetch", name)
		if err != nil {
			yield(mail.Fetched{}, err)
			return
		}
		f := finder{store: s, box: b}
		defer f.close()
		for _, key := range keys {
			body, err := f.open(ctx, key)
			if ctx.Err() != nil || errors.Is(err, errScan) {
				if body != nil {
					body.Close()
				}
				yield(mail.Fetched{}, cmp.Or(ctx.Err(), s.fail("fetch", name, err)))
				return
			}
			if err != nil {
				if !yield(mail.Fetched{Key: key}, s.failKey("fetch", name, key, err)) {
					return
				}
				continue
			}
			ok := s.yieldBody(yield, name, key, body, part)
			body.Close()
			if !ok {
				return
			}
		}
	}
}

// yieldBody yields an open file as the answer for key.
func (s *Store) yieldBody(yield func(mail.Fetched, error) bool, name mail.Name, key mail.Key, f *os.File, part mail.Part) bool {
	body, size, err := s.decompress(f)
	if c, ok := body.(*expanded); ok {
		defer c.Close()
	}
	if err != nil {
		return yield(mail.Fetched{Key: key}, s.failKey("fetch", name, key, err))
	}
	if part == mail.Header {
		body, size = message.HeaderOf(body), -1
	}
	return yield(mail.Fetched{Key: key, Body: body, Size: size}, nil)
}

// errScan says that a directory could not be read, which is not the fault of a message.
var errScan = errors.New("cannot list")

// finder opens files that others may rename at any moment.
type finder struct {
	store   *Store
	box     box
	cur     [2]*os.Root // opened when needed: cur and new
	listing *listing
	scanned bool // listing was read by this finder
}

const maxChases = 10 // renames of one file that are followed

// at calls do with the path of the message below the mailbox's directory. If
// the file is not there under that name, it looks for another one, and calls do
// again. ErrGone if there is none.
func (f *finder) at(ctx context.Context, key mail.Key, do func(path string) error) error {
	var err error
	if f.listing == nil {
		if f.listing, err = f.store.listing(ctx, f.box.dir); err != nil {
			return fmt.Errorf("%w: %w", errScan, err)
		}
	}
	for range maxChases {
		if err := ctx.Err(); err != nil {
			return err
		}
		path, seen := f.listing.where(key)
		if seen {
			if err = do(path); !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		} else if f.scanned {
			return mail.ErrGone
		}
		if f.listing, err = f.store.rescan(ctx, f.box.dir); err != nil {
			return fmt.Errorf("%w: %w", errScan, err)
		}
		f.scanned = true
	}
	return errors.New("the file is renamed faster than it can be opened")
}

func (f *finder) open(ctx context.Context, key mail.Key) (file *os.File, err error) {
	err = f.at(ctx, key, func(path string) error {
		i, name := cur, path[len("cur/"):]
		if path[:3] == "new" {
			i = fresh
		}
		if f.cur[i] == nil {
			if f.cur[i], err = f.store.root.OpenRoot(f.box.path(i.String())); err != nil {
				return err
			}
		}
		file, err = f.cur[i].Open(name)
		return err
	})
	return file, err
}

func (f *finder) close() {
	for _, r := range f.cur {
		if r != nil {
			r.Close()
		}
	}
}
