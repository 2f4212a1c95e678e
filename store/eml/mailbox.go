package eml

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"roost/mail"
	"roost/store/tree"
)

// Create makes a mailbox: its directory and a sidecar. Its parents become
// directories.
func (s *Store) Create(ctx context.Context, name mail.Name) error {
	return s.CreateRole(ctx, name, "")
}

// CreateRole is Create with a role, which stands in the sidecar.
func (s *Store) CreateRole(ctx context.Context, name mail.Name, role mail.Role) error {
	name = mail.NameOf(name.Components()...)
	if name == "" {
		return &mail.Error{Op: "create", Err: errors.New("a mailbox needs a name")}
	}
	release, err := s.lock(ctx)
	if err != nil {
		return s.fail("create", name, err)
	}
	defer release()
	dir, there := s.find(name)
	if there && s.holdsMail(dir) {
		return s.fail("create", name, mail.ErrExist)
	}
	if err := s.root.MkdirAll(dir, 0o700); err != nil {
		return s.fail("create", name, err)
	}
	return s.fail("create", name, s.found(dir, role))
}

// found writes the first sidecar of a directory. Messages that are there get
// UIDs. The caller holds the lock.
func (s *Store) found(dir string, role mail.Role) error {
	listed, err := s.scan(dir)
	if err != nil {
		return err
	}
	validity, err := s.newValidity()
	if err != nil {
		return err
	}
	side := sidecar{Header: tree.Header{Validity: validity, Next: 1, ID: rand.Text(), Role: string(role)}, entries: make(map[string]entry)}
	for _, f := range listed.files {
		if uid := uidOfFile(f.name); uid != 0 {
			f.entry.uid = uid
			side.Next = max(side.Next, uid+1)
			side.entries[f.name] = f.entry
		}
	}
	for _, f := range listed.files {
		if uidOfFile(f.name) == 0 {
			f.entry.uid = side.Next
			side.Next++
			side.entries[f.name] = f.entry
		}
	}
	return s.rewrite(dir, &side)
}

// newValidity is a UIDVALIDITY that no mailbox of the tree had. The caller holds
// the lock.
func (s *Store) newValidity() (uint32, error) {
	return tree.NextValidity(s.root, validityFile, time.Now().Unix())
}

// Subscribe notes it in the sidecar.
func (s *Store) Subscribe(ctx context.Context, name mail.Name, on bool) error {
	release, err := s.lock(ctx)
	if err != nil {
		return s.fail("subscribe", name, err)
	}
	defer release()
	dir, err := s.mailbox(name)
	if err != nil {
		return s.fail("subscribe", name, err)
	}
	if _, err := s.tail(dir); err != nil { // makes a sidecar, or mends it
		return s.fail("subscribe", name, err)
	}
	side, err := s.readSidecar(dir)
	if err != nil || side.Subscribed == on {
		return s.fail("subscribe", name, err)
	}
	side.Subscribed = on
	return s.fail("subscribe", name, s.rewrite(dir, &side))
}

// Rename renames the directory of a mailbox.
func (s *Store) Rename(ctx context.Context, old, new mail.Name) error {
	new = mail.NameOf(new.Components()...)
	release, err := s.lock(ctx)
	if err != nil {
		return s.fail("rename", old, err)
	}
	defer release()
	from, there := s.find(old)
	to, taken := s.find(new)
	switch {
	case !there:
		return s.fail("rename", old, mail.ErrNoMailbox)
	case old == mail.Inbox, new.Below(old):
		return s.fail("rename", old, fmt.Errorf("to %s: %w", new, mail.ErrUnsupported))
	case new == "":
		return s.fail("rename", old, errors.New("a mailbox needs a name"))
	case taken:
		return s.fail("rename", old, fmt.Errorf("to %s: %w", new, mail.ErrExist))
	}
	if parent := path.Dir(to); parent != "." {
		if err := s.root.MkdirAll(parent, 0o700); err != nil {
			return s.fail("rename", old, err)
		}
	}
	clear(s.tails)
	if err := s.root.Rename(from, to); err != nil {
		return s.fail("rename", old, err)
	}
	return s.fail("rename", old, errors.Join(tree.SyncDir(s.root, path.Dir(from)), tree.SyncDir(s.root, path.Dir(to))))
}

// Delete removes the messages and the sidecar of a mailbox, and the directory if
// then nothing is left in it.
func (s *Store) Delete(ctx context.Context, name mail.Name) error {
	release, err := s.lock(ctx)
	if err != nil {
		return s.fail("delete", name, err)
	}
	defer release()
	dir, err := s.mailbox(name)
	if err != nil {
		return s.fail("delete", name, err)
	}
	if name == mail.Inbox {
		return s.fail("delete", name, mail.ErrUnsupported)
	}
	entries, err := s.readDir(dir)
	if err != nil {
		return s.fail("delete", name, err)
	}
	delete(s.tails, dir)
	for _, e := range entries {
		if !isMessageFile(e.Name()) && !tree.IsTemporary(e.Name()) {
			continue
		}
		if err := s.root.Remove(tree.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s.fail("delete", name, err)
		}
	}
	if err := s.root.Remove(tree.Join(dir, sidecarFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.fail("delete", name, err)
	}
	if err := tree.SyncDir(s.root, dir); err != nil {
		return s.fail("delete", name, err)
	}
	// It stays if something is left: mailboxes below it, files of others.
	if left, err := s.readDir(dir); err == nil && len(left) == 0 {
		if err := s.root.Remove(dir); err != nil {
			return s.fail("delete", name, err)
		}
		return s.fail("delete", name, tree.SyncDir(s.root, path.Dir(dir)))
	}
	return nil
}
