package maildir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"roost/mail"
	"roost/store/tree"
)

// subdir is where in a Maildir a file stands.
type subdir uint8

const (
	cur subdir = iota
	fresh
)

func (d subdir) String() string {
	if d == fresh {
		return "new"
	}
	return "cur"
}

// listing is what cur and new of a mailbox held once. A file may have got
// another name since; who does not find it scans again.
type listing struct {
	dir string
	names
	files []file // ascending by base name

	mu    sync.Mutex          // guards what follows
	moved map[mail.Key]string // keys that we renamed or made since: path below dir; "": removed
}

const (
	maxRecent = 8       // listings that are remembered
	maxMoved  = 100_000 // changes to a listing that are remembered
)

// where is where the message with this key was last seen.
func (l *listing) where(key mail.Key) (string, bool) {
	l.mu.Lock()
	p, ok := l.moved[key]
	l.mu.Unlock()
	if ok {
		return p, p != ""
	}
	if f := l.file(key); f != nil {
		return l.path(*f), true
	}
	return "", false
}

func (l *listing) file(key mail.Key) *file {
	base := string(key)
	if in, name, ok := strings.Cut(base, "/"); ok && (in == "new" || in == "cur") {
		base = name[:baseLen(name)]
	}
	i, found := l.search(l.files, []byte(base))
	for ; found && i < len(l.files) && l.baseName(l.files[i]) == base; i++ {
		if l.key(l.files[i]) == key {
			return &l.files[i]
		}
	}
	return nil
}

// search finds the first of files, which are sorted, with a base name.
func (l *listing) search(files []file, base []byte) (int, bool) {
	// A comparison with string(base) needs no memory.
	i := sort.Search(len(files), func(i int) bool { return l.baseName(files[i]) >= string(base) })
	return i, i < len(files) && l.baseName(files[i]) == string(base)
}

// note remembers where a message is after we moved it; "" if we removed it.
func (s *Store) note(dir string, key mail.Key, path string) {
	s.mu.Lock()
	i := slices.IndexFunc(s.recent, func(l *listing) bool { return l.dir == dir })
	if i < 0 {
		s.mu.Unlock()
		return
	}
	l := s.recent[i]
	s.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.moved == nil || len(l.moved) >= maxMoved {
		l.moved = make(map[mail.Key]string)
	}
	l.moved[key] = path
}

// listing is the last listing of a mailbox, or a new one.
func (s *Store) listing(ctx context.Context, dir string) (*listing, error) {
	s.mu.Lock()
	for _, l := range s.recent {
		if l.dir == dir {
			s.mu.Unlock()
			return l, nil
		}
	}
	s.mu.Unlock()
	return s.rescan(ctx, dir)
}

func (s *Store) rescan(ctx context.Context, dir string) (*listing, error) {
	l, err := s.scan(ctx, dir, nil)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// remember keeps a listing instead of an older one of the same mailbox.
func (s *Store) remember(l *listing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent = slices.DeleteFunc(s.recent, func(old *listing) bool { return old.dir == l.dir })
	s.recent = slices.Insert(s.recent, 0, l)
	s.recent = s.recent[:min(len(s.recent), maxRecent)]
}

// forget drops all listings, since directories have other names now.
func (s *Store) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recent = nil
	clear(s.numbered)
	clear(s.odd)
}

const (
	maxScans = 6                     // of a mailbox that changes all the time
	tick     = 20 * time.Millisecond // two changes within it may leave the same mtime
)

// scan reads cur and new. A file that is renamed while a directory is read may
// be missed or be seen twice; so it reads again until nothing changed
// meanwhile. If that does not happen it keeps what any reading saw: a message
// that is listed and gone is found out by Fetch, one that is not listed would
// be taken for gone. look, if not nil, is called with each reading; it reports
// whether all files were there.
func (s *Store) scan(ctx context.Context, dir string, look func(*listing) (bool, error)) (*listing, error) {
	var before *listing
	var stateBefore state
	for range maxScans {
		began, err := s.dirsOf(dir)
		if err != nil {
			return nil, err
		}
		now := time.Now()
		l, err := s.readMaildir(ctx, dir)
		if err != nil {
			return nil, err
		}
		complete := true
		if look != nil {
			if complete, err = look(l); err != nil {
				return nil, err
			}
		}
		ended, err := s.dirsOf(dir)
		if err != nil {
			return nil, err
		}
		quiet := complete && began.sameDirs(ended)
		if quiet && (began.changed().Before(now.Add(-tick)) || before != nil && stateBefore.sameDirs(began) && sameFiles(before, l)) {
			s.remember(l)
			return l, nil
		}
		if before != nil && !quiet {
			l.keep(before)
		}
		before, stateBefore = l, ended
	}
	if look != nil {
		if _, err := look(before); err != nil {
			return nil, err
		}
	}
	s.remember(before)
	return before, nil
}

func sameFiles(a, b *listing) bool {
	return slices.EqualFunc(a.files, b.files, func(f, g file) bool {
		return f.dir == g.dir && f.twin == g.twin && a.name(f) == b.name(g)
	})
}

// keep adds files of an earlier reading whose base name this one did not see.
func (l *listing) keep(before *listing) {
	n := len(l.files)
	for _, f := range before.files {
		if _, found := l.search(l.files[:n], []byte(before.baseName(f))); !found {
			kept := l.add([]byte(before.name(f)), f.dir)
			kept.twin = f.twin
			l.files = append(l.files, kept)
		}
	}
	l.seal()
	l.sort()
}

func (l *listing) sort() {
	slices.SortFunc(l.files, func(a, b file) int {
		return cmp.Or(strings.Compare(l.baseName(a), l.baseName(b)), int(a.dir)-int(b.dir), strings.Compare(l.name(a), l.name(b)))
	})
}

// readMaildir reads new, then cur, so that a file on its way is seen at least once.
func (s *Store) readMaildir(ctx context.Context, dir string) (*listing, error) {
	l := &listing{dir: dir}
	for _, d := range []subdir{fresh, cur} {
		f, err := s.root.Open(path.Join(dir, d.String()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		err = l.read(ctx, f, d)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path.Join(dir, d.String()), err)
		}
	}
	l.seal()
	l.sort()
	return l, s.findTwins(l)
}

func (l *listing) read(ctx context.Context, d *os.File, in subdir) error {
	return tree.ReadDir(d, func(name []byte, kind fs.FileMode) error {
		if len(l.files)%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if f := l.add(name, in); name[0] != '.' && !kind.IsDir() && f.base > 0 {
			if len(l.files) == cap(l.files) {
				l.files = slices.Grow(l.files, max(1024, len(l.files))) // append copies many a time on the way
			}
			l.files = append(l.files, f)
		}
		return nil
	})
}

// findTwins looks at files with the same base name. If they are the same file
// (a delivery between its link and its unlink), or one is there no more, one is
// dropped; else each has a key of its own, but for the first.
func (s *Store) findTwins(l *listing) error {
	twins := false
	for i := 1; i < len(l.files) && !twins; i++ {
		twins = l.baseName(l.files[i]) == l.baseName(l.files[i-1])
	}
	if !twins {
		return nil
	}
	kept := l.files[:1]
	for _, f := range l.files[1:] {
		first := kept[len(kept)-1]
		for i := len(kept) - 1; i >= 0 && l.baseName(kept[i]) == l.baseName(f); i-- {
			first = kept[i]
		}
		if l.baseName(first) == l.baseName(f) {
			a, errA := s.root.Lstat(path.Join(l.dir, l.path(first)))
			b, errB := s.root.Lstat(path.Join(l.dir, l.path(f)))
			switch {
			case errors.Is(errB, fs.ErrNotExist), errA == nil && errB == nil && os.SameFile(a, b):
				continue
			case errors.Is(errA, fs.ErrNotExist) && kept[len(kept)-1] == first:
				kept[len(kept)-1] = f
				continue
			}
			f.twin = true
		}
		kept = append(kept, f)
	}
	l.files = kept
	return nil
}
