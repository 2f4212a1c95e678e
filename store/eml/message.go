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
	"roost/store/tree"
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

// number is UIDVALIDITY and UIDNEXT of a directory with these entries; 0 if it has
// no sidecar that tells them.
func (side *sidecar) number(entries []fs.DirEntry) (validity, next uint32) {
	if side.Validity == 0 {
		return 0, 0
	}
	next = side.Next
	for _, e := range entries {
		if isMessageFile(e.Name()) && !e.IsDir() {
			next = max(next, side.uidOf(e.Name())+1)
		}
	}
	return side.Validity, next
}

// listing is a directory as it was when it was read.
type listing struct {
	side           sidecar
	validity, next uint32 // 0: the messages have no UIDs
	files          []file // by UID, then by name those that have none
	failed         []*mail.Error
	token          mail.Token
}

type file struct {
	name  string
	entry entry
}

// scan reads a directory: first the names, then what the sidecar says of them. A
// file that somebody else put there has no UID until its flags are set; nor has one
// whose UID another file has.
func (s *Store) scan(dir string) (listing, error) {
	began := s.now()
	entries, err := s.readDir(dir)
	if err != nil {
		return listing{}, err
	}
	mark := newFingerprint(began)
	mark.addFile(s.root, tree.Join(dir, sidecarFile))
	var l listing
	if l.side, err = s.readSidecar(dir); err != nil {
		return listing{}, err
	}
	l.validity, l.next = l.side.number(entries)
	seen := make(map[uint32]bool)
	for _, e := range entries {
		if !isMessageFile(e.Name()) || e.IsDir() {
			continue
		}
		f, info, err := s.look(&l.side, dir, e.Name())
		mark.add(e.Name(), info)
		if errors.Is(err, fs.ErrNotExist) {
			continue // expunged while we look
		}
		if l.validity == 0 || seen[f.entry.uid] {
			f.entry.uid = 0
		}
		seen[f.entry.uid] = true
		if err != nil {
			l.failed = append(l.failed, &mail.Error{Op: "list", Key: f.key(), Err: translate(err)})
			continue
		}
		l.files = append(l.files, f)
	}
	slices.SortStableFunc(l.files, func(a, b file) int { return cmp.Compare(a.entry.uid-1, b.entry.uid-1) }) // 0-1 comes last
	l.token = mark.token()
	return l, nil
}

// look finds out about a file. What the sidecar says of it holds, but the GUID
// only for the bytes that it is of.
func (s *Store) look(side *sidecar, dir, name string) (file, fs.FileInfo, error) {
	e, known := side.entries[name]
	if !known {
		e.uid = uidOfFile(name)
	}
	info, err := s.root.Lstat(tree.Join(dir, name))
	if err != nil {
		return file{name, e}, nil, err
	}
	if !info.Mode().IsRegular() {
		return file{name, e}, info, fmt.Errorf("%s is no regular file", tree.Join(dir, name))
	}
	modified := info.ModTime().UTC().Truncate(time.Second)
	switch {
	case !known:
		e.size, e.date = info.Size(), modified
	case e.size != info.Size() || !e.date.Equal(modified):
		e.size, e.guid = info.Size(), ""
	}
	return file{name, e}, info, nil
}

// key is the key of a file: its UID, or its name if it has none.
func (f file) key() mail.Key {
	if f.entry.uid == 0 {
		return mail.Key(f.name)
	}
	return keyOf(f.entry.uid)
}

func keyOf(uid uint32) mail.Key { return mail.Key(strconv.FormatUint(uint64(uid), 10)) }

// Changes lists the mailbox, unless nothing changed since: a directory does not
// tell what did.
func (s *Store) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
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
	ch := mail.Changes{UIDValidity: l.validity, UIDNext: l.next, Token: l.token, Count: -1, Method: "unchanged"}
	if since == l.token && len(l.failed) == 0 {
		return ch, nil
	}
	ch.Full, ch.Method, ch.Failed = true, "scan", l.failed
	ch.Messages = make([]mail.Message, 0, len(l.files))
	for _, e := range ch.Failed {
		e.Mailbox = name
	}
	for _, f := range l.files {
		ch.Messages = append(ch.Messages, mail.Message{Key: f.key(), UID: f.entry.uid,
			GUID: f.entry.guid, Flags: f.entry.flags, InternalDate: f.entry.date, Size: f.entry.size})
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
	f, err := tree.Open(s.root, tree.Join(r.dir, file))
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
		return fail(fmt.Errorf("%s is no regular file", tree.Join(r.dir, file)))
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
	byUID map[uint32][]string
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
	// Of several, it is the first by name that is there, as in scan.
	files := r.byUID[uint32(uid)]
	if named := fileOfUID(uint32(uid)); r.side.Validity != 0 && r.side.uidOf(named) == uint32(uid) && !slices.Contains(files, named) {
		files = append(slices.Clone(files), named)
	}
	slices.Sort(files)
	for _, file := range files {
		if r.there(file) {
			return file, nil
		}
	}
	return "", mail.ErrGone
}

func (r *resolver) there(file string) bool {
	_, err := r.store.root.Lstat(tree.Join(r.dir, file))
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
	r.side, r.byUID = &side, make(map[uint32][]string, len(side.entries))
	for file, e := range side.entries {
		r.byUID[e.uid] = append(r.byUID[e.uid], file)
	}
	return nil
}
