package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"time"

	"roost/mail"
)

// state is all that changes when a mailbox does: cur and new when a file comes,
// goes or gets other flags; dovecot-uidlist when a file gets a UID;
// dovecot-keywords when a letter gets a meaning.
type state struct {
	files [4]stamp
}

// stamp is what a directory or file looks like from outside; zero if it is not there.
type stamp struct {
	mtime    time.Time
	size     int64 // of a file only
	ino, dev uint64
}

// racy is how old a change must be for a token: two changes within one tick of
// the file server's clock, or of one that is not quite ours, look as one.
const racy = 2 * time.Second

// stateOf costs four calls to the system, of which two are for Dovecot's files.
func (s *Store) stateOf(dir string) (state, error) {
	var st state
	for i, name := range []string{"cur", "new", uidlistFile, keywordsFile} {
		info, err := s.root.Stat(path.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return state{}, err
		}
		f := stamp{mtime: info.ModTime()}
		f.ino, f.dev = inode(info)
		if !info.IsDir() {
			f.size = info.Size()
		}
		st.files[i] = f
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
