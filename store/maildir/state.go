package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"syscall"
	"time"

	"roost/mail"
	"roost/store/tree"
)

// state is all that changes when a mailbox does: cur and new when a file comes,
// goes or gets other flags, the list of UIDs, and dovecot-keywords.
//
// A change of cur or new does not come with every change of the other two, so none
// of the four can be left out: Dovecot gives UIDs to files that another program put
// into cur long before, and writes its keywords after it has renamed the files that
// have them. But the list of UIDs is opened anyway, for UIDVALIDITY, and tells by
// its descriptor how it looks. So three names are looked up for the question
// whether anything changed, of which one is no directory.
type state struct {
	files [4]stamp // cur, new, the list of UIDs, dovecot-keywords or, of Courier, its directory of them
}

// stamp is what a directory or file looks like from outside; zero if it is not there.
type stamp struct {
	mtime    time.Time
	size     int64 // of a file only
	ino, dev uint64
}

func stampOf(l tree.Look) stamp {
	f := stamp{mtime: l.Modified, ino: l.Inode, dev: l.Device}
	if !l.Dir {
		f.size = l.Size
	}
	return f
}

// racy is how old a change must be for a token: two changes within one tick of
// the file server's clock, or of one that is not quite ours, look as one.
const racy = 2 * time.Second

// stateOf is the state of a mailbox, and what its list of UIDs says.
func (s *Store) stateOf(dir string) (state, numbers, error) {
	names := []string{"cur", "new", keywordsFile}
	if s.hasControl() {
		names = names[:2]
	}
	st, err := s.look(dir, names...)
	if err != nil {
		return state{}, numbers{}, err
	}
	st.files[2], st.files[3] = stamp{}, st.files[2]
	if s.hasControl() {
		if st.files[3], err = stampIn(s.control, s.controlPath(dir, keywordsFile)); err != nil {
			return state{}, numbers{}, err
		}
	}
	n, list, err := s.numbersAndLook(dir)
	if err == nil && list != nil {
		st.files[2] = stampOf(*list)
	}
	if err == nil && n.courier && st.files[3] == (stamp{}) {
		st.files[3], err = stampIn(s.root, path.Join(dir, courierKeywords))
	}
	return st, n, err
}

// stampIn is the stamp of a file that may not be there.
func stampIn(root *os.Root, file string) (stamp, error) {
	info, err := root.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return stamp{}, nil
	}
	if err != nil {
		return stamp{}, err
	}
	return stampOf(tree.LookOf(info)), nil
}

// dirsOf is the state of cur and new alone.
func (s *Store) dirsOf(dir string) (state, error) { return s.look(dir, "cur", "new") }

// look looks at files of a mailbox, of which the first two are cur and new.
func (s *Store) look(dir string, names ...string) (st state, err error) {
	d, err := s.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, mail.ErrNoMailbox
	}
	lookAt := func(name string) (tree.Look, error) { return tree.LookAt(d, name) }
	switch {
	case errors.Is(err, fs.ErrPermission): // perhaps it may be searched, if not read
		lookAt = func(string) (tree.Look, error) { return tree.Look{Symlink: true}, nil }
	case err != nil:
		return state{}, err
	default:
		defer d.Close()
	}
	for i, name := range names {
		seen, err := lookAt(name)
		if err == nil && seen.Symlink { // followed, but not out of the root
			var info fs.FileInfo
			if info, err = s.root.Stat(path.Join(dir, name)); err == nil {
				seen = tree.LookOf(info)
			}
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || err == nil && i < 2 && !seen.Dir {
			continue
		}
		if err != nil {
			return state{}, err
		}
		st.files[i] = stampOf(seen)
	}
	if st.files[0].mtime.IsZero() && st.files[1].mtime.IsZero() {
		return state{}, mail.ErrNoMailbox
	}
	return st, nil
}

func (st state) sameDirs(other state) bool {
	return st.files[0] == other.files[0] && st.files[1] == other.files[1]
}

// changed is when cur or new changed last.
func (st state) changed() time.Time {
	if st.files[0].mtime.After(st.files[1].mtime) {
		return st.files[0].mtime
	}
	return st.files[1].mtime
}

// token names the state. One that is too young to be told from the next never
// equals another.
func (st state) token() mail.Token {
	now := time.Now()
	text := []byte("maildir1")
	for _, f := range st.files {
		if f.mtime.IsZero() {
			text = append(text, " -"...)
			continue
		}
		if f.mtime.After(now.Add(-racy)) {
			return mail.Token(fmt.Sprintf("maildir1 young %d", now.UnixNano()))
		}
		text = append(text, ' ')
		text = strconv.AppendInt(text, f.mtime.UnixNano(), 36)
		text = append(text, '.')
		text = strconv.AppendUint(text, f.ino, 36)
		text = append(text, '.')
		text = strconv.AppendUint(text, f.dev, 36)
		text = append(text, '.')
		text = strconv.AppendInt(text, f.size, 36)
	}
	return mail.Token(text)
}
