package eml

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"roost/mail"
	"roost/message"
)

const (
	extension = ".eml"
	uidDigits = 10
)

// isMessageFile reports whether a file of this name is a message.
func isMessageFile(file string) bool {
	return file != "" && file[0] != '.' && !strings.ContainsAny(file, "/\\\x00") && strings.EqualFold(path.Ext(file), extension)
}

// fileOfUID is how we call the file of a UID.
func fileOfUID(uid uint32) string { return fmt.Sprintf("%0*d%s", uidDigits, uid, extension) }

// uidOfFile is the UID that the name of a file says, 0 for none.
func uidOfFile(file string) uint32 {
	uid, err := strconv.ParseUint(strings.TrimSuffix(file, extension), 10, 32)
	if err != nil || uid == math.MaxUint32 || fileOfUID(uint32(uid)) != file {
		return 0
	}
	return uint32(uid)
}

// uidOf is the UID of a file: what the sidecar says, or else its name.
func (side *sidecar) uidOf(file string) uint32 {
	if e, ok := side.entries[file]; ok {
		return e.uid
	}
	return uidOfFile(file)
}

// number is UIDVALIDITY and UIDNEXT of a directory with these entries; 0 if not
// each message has a UID of its own, because somebody else put it there. It gets
// one as soon as its flags are set.
func (side *sidecar) number(entries []fs.DirEntry) (validity, next uint32) {
	if side.validity == 0 {
		return 0, 0
	}
	next = side.next
	seen := make(map[uint32]bool)
	for _, e := range entries {
		if !isMessageFile(e.Name()) || e.IsDir() {
			continue
		}
		uid := side.uidOf(e.Name())
		if uid == 0 || seen[uid] {
			return 0, 0
		}
		seen[uid] = true
		next = max(next, uid+1)
	}
	return side.validity, next
}

// listing is a directory as it was when it was read.
type listing struct {
	side           sidecar
	validity, next uint32 // 0: the messages have no UIDs
	files          []file // by UID or name
	failed         []*mail.Error
}

type file struct {
	name  string
	entry entry
}

// scan reads a directory: first the names, then what the sidecar says of them.
func (s *Store) scan(dir string) (listing, error) {
	entries, err := s.readDir(dir)
	if err != nil {
		return listing{}, err
	}
	var l listing
	if l.side, err = s.readSidecar(dir); err != nil {
		return listing{}, err
	}
	l.validity, l.next = l.side.number(entries)
	for _, e := range entries {
		if !isMessageFile(e.Name()) || e.IsDir() {
			continue
		}
		f, err := s.look(&l.side, dir, e.Name())
		if errors.Is(err, fs.ErrNotExist) {
			continue // expunged while we look
		}
		if err != nil {
			l.failed = append(l.failed, &mail.Error{Op: "list", Key: l.key(e.Name()), Err: translate(err)})
			continue
		}
		l.files = append(l.files, f)
	}
	if l.validity != 0 {
		slices.SortFunc(l.files, func(a, b file) int { return cmp.Compare(a.entry.uid, b.entry.uid) })
	}
	return l, nil
}

// look finds out about a file. What the sidecar says of it holds, but the GUID
// only for the bytes that it is of.
func (s *Store) look(side *sidecar, dir, name string) (file, error) {
	info, err := s.root.Lstat(join(dir, name))
	if err != nil {
		return file{}, err
	}
	if !info.Mode().IsRegular() {
		return file{}, fmt.Errorf("%s is no regular file", join(dir, name))
	}
	modified := info.ModTime().UTC().Truncate(time.Second)
	e, known := side.entries[name]
	if !known {
		return file{name, entry{uid: uidOfFile(name), size: info.Size(), date: modified}}, nil
	}
	if e.size != info.Size() || !e.date.Equal(modified) {
		e.size, e.guid = info.Size(), ""
	}
	return file{name, e}, nil
}

// key is the key of a file: its UID, or its name if the mailbox has no UIDs.
func (l *listing) key(name string) mail.Key {
	if l.validity == 0 {
		return mail.Key(name)
	}
	return keyOf(l.side.uidOf(name))
}

func keyOf(uid uint32) mail.Key { return mail.Key(strconv.FormatUint(uint64(uid), 10)) }

// Changes lists the mailbox. It gives no tokens: to read the names again is all
// that a directory allows.
func (s *Store) Changes(ctx context.Context, name mail.Name, _ mail.Token) (mail.Changes, error) {
	if err := ctx.Err(); err != nil {
		return mail.Changes{}, err
	}
	dir, err := s.mailbox(name)
	if err != nil {
		return mail.Changes{}, s.fail("list", name, err)
	}
	l, err := s.scan(dir)
	if err != nil {
		return mail.Changes{}, s.fail("list", name, err)
	}
	ch := mail.Changes{
		Full:        true,
		Messages:    make([]mail.Message, 0, len(l.files)),
		Failed:      l.failed,
		UIDValidity: l.validity,
		UIDNext:     l.next,
		Count:       -1,
		Method:      "scan",
	}
	for _, e := range ch.Failed {
		e.Mailbox = name
	}
	for _, f := range l.files {
		m := mail.Message{Key: l.key(f.name), GUID: f.entry.guid, Flags: f.entry.flags, InternalDate: f.entry.date, Size: f.entry.size}
		if l.validity != 0 {
			m.UID = f.entry.uid
		}
		ch.Messages = append(ch.Messages, m)
	}
	return ch, nil
}

// Fetch opens one file after the other.
func (s *Store) Fetch(ctx context.Context, name mail.Name, keys []mail.Key, part mail.Part) iter.Seq2[mail.Fetched, error] {
	return func(yield func(mail.Fetched, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(mail.Fetched{}, s.fail("fetch", name, err))
			return
		}
		dir, err := s.mailbox(name)
		if err != nil {
			yield(mail.Fetched{}, s.fail("fetch", name, err))
			return
		}
		r := resolver{store: s, dir: dir}
		for _, k := range keys {
			if err := ctx.Err(); err != nil {
				yield(mail.Fetched{}, s.fail("fetch", name, err))
				return
			}
			if !s.fetch(&r, name, k, part, yield) {
				return
			}
		}
	}
}

// fetch answers one key.
func (s *Store) fetch(r *resolver, name mail.Name, key mail.Key, part mail.Part, yield func(mail.Fetched, error) bool) bool {
	fail := func(err error) bool {
		return yield(mail.Fetched{Key: key}, &mail.Error{Op: "fetch", Mailbox: name, Key: key, Err: translate(err)})
	}
	file, err := r.file(key)
	if err != nil {
		return fail(err)
	}
	f, err := s.root.Open(join(r.dir, file))
	if errors.Is(err, fs.ErrNotExist) {
		return fail(mail.ErrGone)
	}
	if err != nil {
		return fail(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fail(err)
	}
	if !info.Mode().IsRegular() {
		return fail(fmt.Errorf("%s is no regular file", join(r.dir, file)))
	}
	if part == mail.Header {
		return yield(mail.Fetched{Key: key, Body: message.HeaderOf(f), Size: -1}, nil)
	}
	return yield(mail.Fetched{Key: key, Body: &exactly{f, info.Size()}, Size: info.Size()}, nil)
}

// exactly reads a file to the length it had, and fails if it has become shorter.
type exactly struct {
	r    io.Reader
	left int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	if err == io.EOF && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// resolver finds the files of keys in one directory.
type resolver struct {
	store *Store
	dir   string
	side  *sidecar // read when it is first needed
	byUID map[uint32]string
}

// file is the file of a key, ErrGone if there is none.
func (r *resolver) file(key mail.Key) (string, error) {
	name := string(key)
	uid, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		if isMessageFile(name) && r.there(name) {
			return name, nil
		}
		return "", mail.ErrGone
	}
	if uid == 0 || keyOf(uint32(uid)) != key {
		return "", mail.ErrGone
	}
	if err := r.read(); err != nil {
		return "", err
	}
	if file, ok := r.byUID[uint32(uid)]; ok && r.there(file) {
		return file, nil
	}
	file := fileOfUID(uint32(uid))
	if _, other := r.side.entries[file]; !other && r.side.validity != 0 && r.there(file) {
		return file, nil
	}
	return "", mail.ErrGone
}

func (r *resolver) there(file string) bool {
	_, err := r.store.root.Lstat(join(r.dir, file))
	return err == nil
}

func (r *resolver) read() error {
	if r.side != nil {
		return nil
	}
	side, err := r.store.readSidecar(r.dir)
	if err != nil {
		return err
	}
	r.side, r.byUID = &side, make(map[uint32]string, len(side.entries))
	for file, e := range side.entries {
		r.byUID[e.uid] = file
	}
	return nil
}
