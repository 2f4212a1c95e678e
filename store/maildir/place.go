package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"roost/mail"
	"roost/store/tree"
)

// place is a directory that is, or leads to, a mailbox.
type place struct {
	name     mail.Name
	dir      string
	noSelect bool // LAYOUT=fs: a level without messages
	err      error

	state   *state  // what was seen on the way; nil: nothing
	numbers numbers // if state is not nil
}

// places finds all mailboxes, parents first, and remembers the odd ones.
func (s *Store) places() ([]place, error) {
	var found []place
	add := func(p place) { found = append(found, p) }
	if s.options.FS {
		if _, err := s.walk(".", 0, add); err != nil {
			return nil, err
		}
	} else if err := s.flat(add); err != nil {
		return nil, err
	}
	s.name(found)
	found = slices.DeleteFunc(found, func(p place) bool { return p.name == "" })
	slices.SortFunc(found, func(a, b place) int { return strings.Compare(string(a.name), string(b.name)) })
	return found, nil
}

// flat finds the mailboxes of Maildir++, which stand beside each other.
func (s *Store) flat(add func(place)) error {
	entries, err := s.readDir(".")
	if err != nil {
		return err
	}
	for _, e := range entries {
		dir := e.Name
		if dir == "cur" || dir == "new" && !slices.ContainsFunc(entries, func(e tree.Entry) bool { return e.Name == "cur" }) {
			add(place{dir: "."})
		}
		if dir[0] != '.' || strings.HasPrefix(dir, "..") || !e.IsDir() && e.Type&fs.ModeSymlink == 0 {
			continue
		}
		switch st, n, err := s.stateOf(dir); {
		case err == nil:
			add(place{dir: dir, state: &st, numbers: n})
		case e.IsDir() && !errors.Is(err, mail.ErrNoMailbox):
			add(place{dir: dir, err: s.fail("list", "", err)})
		case !e.IsDir():
			s.astray(dir, add)
		}
	}
	return nil
}

// astray tells of a symbolic link that would be a mailbox if it did not lead out of the store, or may have been one.
func (s *Store) astray(dir string, add func(place)) {
	if err := tree.Astray(s.root, dir, fs.FileInfo.IsDir); err != nil {
		add(place{dir: dir, err: s.fail("list", "", fmt.Errorf("%s %w", dir, err))})
	}
}

// maxDepth is how many levels of directories are looked into.
const maxDepth = 100

// walk finds the mailboxes in dir and below. It reports whether there are any.
func (s *Store) walk(dir string, depth int, add func(place)) (any bool, err error) {
	entries, err := s.readDir(dir)
	if err != nil {
		if dir == "." {
			return false, err
		}
		add(place{dir: dir, err: s.fail("list", "", err)})
		return true, nil
	}
	selectable := false
	for _, e := range entries {
		sub := e.Name
		if sub == "tmp" || sub[0] == '.' {
			continue
		}
		if e.Type&fs.ModeSymlink != 0 && sub != "cur" && sub != "new" {
			s.astray(path.Join(dir, sub), func(p place) { add(p); any = true })
		}
		if !e.IsDir() {
			continue
		}
		if sub == "cur" || sub == "new" {
			selectable = true
			continue
		}
		if depth == maxDepth {
			return true, fmt.Errorf("%s: more than %d levels of directories", dir, maxDepth)
		}
		below, err := s.walk(path.Join(dir, sub), depth+1, add)
		if err != nil {
			return true, err
		}
		any = any || below
	}
	if selectable || any && dir != "." {
		add(place{dir: dir, noSelect: !selectable})
	}
	return any || selectable, nil
}

// name gives each place a name of its own, "" to those that are not to be listed. Those whose directory is what dirOf
// says come first; an odd one whose name is taken gets another.
func (s *Store) name(found []place) {
	taken := make(map[mail.Name]bool, len(found))
	var odd []*place
	for i := range found {
		p := &found[i]
		name, regular := s.options.nameOf(p.dir)
		if p.noSelect && !regular {
			continue // a level that says nothing, as the directory INBOX above INBOX/a
		}
		p.name = name
		if regular {
			taken[name] = true
		} else {
			odd = append(odd, p)
		}
	}
	slices.SortFunc(odd, func(a, b *place) int { return strings.Compare(a.dir, b.dir) })
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.odd)
	for _, p := range odd {
		for name, i := p.name, 2; taken[p.name]; i++ {
			p.name = mail.Name(fmt.Sprintf("%s (%d)", name, i))
		}
		taken[p.name] = true
		s.odd[p.name] = p.dir
	}
	for i := range found {
		if e, ok := found[i].err.(*mail.Error); ok {
			e.Mailbox = found[i].name
		}
	}
}
