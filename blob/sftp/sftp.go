// Package sftp reaches buckets over SFTP, by the system's ssh, which knows the user's keys, agents, hosts and jumps.
// Files lie as restic's local backend lays them out. A new one is written under another name, and renamed when it is whole.
package sftp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	client "github.com/pkg/sftp"

	"roost/blob"
	"roost/blob/wire"
)

// Place is where the bucket is, and how it is reached.
type Place struct {
	Command []string // speaks SFTP on its standard input and output
	Dir     string   // with slashes; a relative one begins where the server lets us in
}

// Command is ssh to a host; user and port may be "". Neither user nor host begins with a hyphen.
func Command(user, host, port string) []string {
	argv := []string{"ssh", host}
	if port != "" {
		argv = append(argv, "-p", port)
	}
	if user != "" {
		argv = append(argv, "-l", user)
	}
	return append(argv, "-s", "sftp")
}

// Options adjusts a Bucket; the zero value is right for most.
type Options struct {
	Up, Down *wire.Limit   // nil: none
	Timeout  time.Duration // a session that is waited for and in which nothing moves is ended; default wire.DefaultTimeout
}

// Bucket is a blob.Driver.
type Bucket struct {
	place   Place
	options Options

	mu      sync.Mutex // guards what follows
	current *session   // nil: there is none
}

// New returns the bucket at p, without looking whether there is one.
func New(p Place, o Options) *Bucket {
	if o.Timeout == 0 {
		o.Timeout = wire.DefaultTimeout
	}
	return &Bucket{place: p, options: o}
}

// session returns the connection, a new one if there is none that works.
func (b *Bucket) session(ctx context.Context) (*session, error) {
	b.mu.Lock() // also while a connection is made: one is enough
	defer b.mu.Unlock()
	if b.current != nil {
		if b.current.alive() {
			return b.current, nil
		}
		b.current.end()
		b.current = nil
	}
	s, err := start(ctx, b.place, b.options)
	if err == nil {
		b.current = s
	}
	return s, err
}

// do makes a call. A ctx that ends cuts the connection, as there is no other way to end a call in which body is in use; other
// calls are made again.
func (b *Bucket) do(ctx context.Context, call func(s *session) error) error {
	s, err := b.session(ctx)
	if err != nil {
		return err
	}
	if s.calls.Add(1) == 1 {
		s.moved()
	}
	defer s.calls.Add(-1)
	defer context.AfterFunc(ctx, s.kill)()
	err = s.fault(call(s))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// path is the file of h.
func (b *Bucket) path(h blob.Handle) string {
	if h.Kind == blob.Config {
		return path.Join(b.place.Dir, "config")
	}
	return path.Join(b.dir(h.Kind, h.Name), h.Name)
}

func (b *Bucket) dir(kind blob.Kind, name string) string {
	if kind == blob.Pack {
		return path.Join(b.place.Dir, kind.String(), name[:2])
	}
	return path.Join(b.place.Dir, kind.String())
}

// Create implements blob.Driver. restic wants to see all folders.
func (b *Bucket) Create(ctx context.Context) error {
	return b.do(ctx, func(s *session) error {
		for _, k := range blob.Kinds() {
			if err := s.MkdirAll(path.Join(b.place.Dir, k.String())); err != nil {
				return err
			}
		}
		const together = 16
		errs := make([]error, together)
		var wg sync.WaitGroup
		for w := range together {
			wg.Go(func() {
				for i := w; i < 256 && errs[w] == nil; i += together {
					errs[w] = s.MkdirAll(b.dir(blob.Pack, fmt.Sprintf("%02x", i)))
				}
			})
		}
		wg.Wait()
		return errors.Join(errs...)
	})
}

// Save implements blob.Driver.
func (b *Bucket) Save(ctx context.Context, h blob.Handle, body []byte) error {
	return b.do(ctx, func(s *session) error {
		name := b.path(h)
		if _, err := s.Lstat(name); !errors.Is(err, os.ErrNotExist) {
			if err == nil {
				err = blob.ErrExist
			}
			return err
		}
		temp := name + "-tmp-" + rand.Text()
		err := s.write(temp, body)
		if errors.Is(err, os.ErrNotExist) {
			if err = s.MkdirAll(path.Dir(name)); err == nil {
				err = s.write(temp, body)
			}
		}
		if err == nil {
			// OpenSSH's rename does not replace what is there, so config needs no more than that.
			err = s.Rename(temp, name)
		}
		if err == nil {
			return nil
		}
		s.Remove(temp)
		if _, again := s.Lstat(name); again == nil {
			return blob.ErrExist
		}
		if full, _ := s.StatVFS(path.Dir(name)); full != nil && full.Bavail == 0 {
			return fmt.Errorf("%w: %w", blob.ErrNoSpace, err)
		}
		return err
	})
}

// write makes a file that holds body, and has the server put it on the disk.
func (s *session) write(name string, body []byte) error {
	f, err := s.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	if err == nil {
		if _, can := s.HasExtension("fsync@openssh.com"); can {
			err = f.Sync()
		}
	}
	var info fs.FileInfo
	if err == nil {
		info, err = f.Stat()
	}
	f.Chmod(0o400) // a guard against accidents; some servers know no modes
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil && info.Size() != int64(len(body)) {
		err = shortFile{info.Size(), int64(len(body))}
	}
	return err
}

// Load implements blob.Driver.
func (b *Bucket) Load(ctx context.Context, h blob.Handle, limit int64) (body []byte, err error) {
	err = b.do(ctx, func(s *session) error {
		f, err := s.Open(b.path(h))
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if info.Size() > limit {
			return tooLarge{info.Size(), limit}
		}
		body = make([]byte, info.Size())
		return s.fill(f, body, 0)
	})
	return body, err
}

// tooLarge is an object that nobody wants to hold in memory.
type tooLarge struct{ size, limit int64 }

func (e tooLarge) Error() string { return fmt.Sprintf("%d octets, the limit is %d", e.size, e.limit) }

// shortFile is a file of which the server lost a part without a word.
type shortFile struct{ size, want int64 }

func (e shortFile) Error() string {
	return fmt.Sprintf("the server kept %d octets of %d", e.size, e.want)
}

// fill reads p from offset off.
func (s *session) fill(f *client.File, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if errors.Is(err, io.EOF) && s.alive() {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ReadAt implements blob.Driver.
func (b *Bucket) ReadAt(ctx context.Context, h blob.Handle, p []byte, off int64) error {
	return b.do(ctx, func(s *session) error {
		f, err := s.Open(b.path(h))
		if err != nil {
			return err
		}
		defer f.Close()
		return s.fill(f, p, off)
	})
}

// Stat implements blob.Driver.
func (b *Bucket) Stat(ctx context.Context, h blob.Handle) (size int64, err error) {
	err = b.do(ctx, func(s *session) error {
		info, err := s.Lstat(b.path(h))
		if err == nil {
			size = info.Size()
		}
		return err
	})
	return size, err
}

// List implements blob.Driver.
func (b *Bucket) List(ctx context.Context, kind blob.Kind, after string) iter.Seq2[blob.Entry, error] {
	return func(yield func(blob.Entry, error) bool) {
		if kind != blob.Pack {
			entries, err := b.list(ctx, kind, "")
			send(entries, err, after, yield)
			return
		}
		top, err := b.files(ctx, path.Join(b.place.Dir, kind.String()))
		if err != nil {
			yield(blob.Entry{}, err)
			return
		}
		for _, sub := range top {
			if !sub.IsDir() || len(sub.Name()) != 2 || sub.Name() < after[:min(2, len(after))] {
				continue
			}
			entries, err := b.list(ctx, kind, sub.Name())
			if !send(entries, err, after, yield) {
				return
			}
		}
	}
}

// send yields what comes behind after; false means stop.
func send(entries []blob.Entry, err error, after string, yield func(blob.Entry, error) bool) bool {
	if err != nil {
		yield(blob.Entry{}, err)
		return false
	}
	for _, e := range entries {
		if e.Name > after && !yield(e, nil) {
			return false
		}
	}
	return true
}

// list returns the objects of one folder, in the order of their names.
func (b *Bucket) list(ctx context.Context, kind blob.Kind, sub string) ([]blob.Entry, error) {
	files, err := b.files(ctx, path.Join(b.place.Dir, kind.String(), sub))
	if err != nil {
		return nil, err
	}
	var entries []blob.Entry
	for _, f := range files {
		h := blob.Handle{Kind: kind, Name: f.Name()}
		if h.Valid() == nil && f.Mode().IsRegular() && strings.HasPrefix(h.Name, sub) {
			entries = append(entries, blob.Entry{Name: h.Name, Size: f.Size()})
		}
	}
	return entries, nil
}

// files returns what is in a folder, in the order of names; a missing one is empty.
func (b *Bucket) files(ctx context.Context, dir string) (files []fs.FileInfo, err error) {
	err = b.do(ctx, func(s *session) (err error) {
		files, err = s.ReadDirContext(ctx, dir)
		return err
	})
	if errors.Is(err, blob.ErrNotExist) {
		err = nil
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return strings.Compare(a.Name(), b.Name()) })
	return files, err
}

// Remove implements blob.Driver.
func (b *Bucket) Remove(ctx context.Context, h blob.Handle) error {
	return b.do(ctx, func(s *session) error { return s.Client.Remove(b.path(h)) })
}

// Close implements blob.Driver.
func (b *Bucket) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.current != nil {
		b.current.end()
		b.current = nil
	}
	return nil
}
