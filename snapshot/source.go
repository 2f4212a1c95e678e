package snapshot

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"roost/mail"
	"roost/repo"
)

// maxText bounds the files beside the messages (account.json and so on), in octets.
const maxText = 1 << 30

// Source reads the mail in one snapshot. It is a mail.Source whose keys are
// slots in decimal; nothing in it ever changes.
type Source struct {
	repo     *repo.Repo
	id       repo.ID
	account  Account
	boxes    []Box // sorted by name
	problems []Problem
	root     repo.Tree // the account's directory
	beside   []string  // what stands beside it
	buffers  sync.Pool // of *[]byte, for messages on their way out
}

// Open opens the snapshot that sn describes. It is ErrNotMail if that was not
// written by a roost.
func Open(ctx context.Context, r *repo.Repo, sn *repo.Snapshot) (*Source, error) {
	s := &Source{repo: r, id: sn.ID}
	if err := s.open(ctx, sn); err != nil {
		return nil, fmt.Errorf("open snapshot %s: %w", sn.ID.Short(), err)
	}
	return s, nil
}

func (s *Source) open(ctx context.Context, sn *repo.Snapshot) error {
	top, err := s.repo.LoadTree(ctx, *sn.Tree)
	if err != nil {
		return err
	}
	for i := range top.Nodes {
		n := &top.Nodes[i]
		if n.Type != repo.DirNode || n.Subtree == nil {
			continue
		}
		dir, err := s.repo.LoadTree(ctx, *n.Subtree)
		if err != nil {
			return err
		}
		if dir.Find(accountFile) == nil || dir.Find(mailboxesFile) == nil {
			continue
		}
		for j := range top.Nodes {
			if j != i {
				s.beside = append(s.beside, top.Nodes[j].Name)
			}
		}
		return s.openAccount(ctx, dir)
	}
	return ErrNotMail
}

func (s *Source) openAccount(ctx context.Context, dir *repo.Tree) error {
	s.root = *dir
	text, err := s.file(ctx, accountFile)
	if err != nil {
		return err
	}
	if s.account, err = decodeAccount(text); err != nil {
		return err
	}
	if text, err = s.file(ctx, mailboxesFile); err != nil {
		return err
	}
	if s.boxes, err = decodeLines[Box](bytes.NewReader(text)); err != nil {
		return fmt.Errorf("%s: %w", mailboxesFile, err)
	}
	slices.SortFunc(s.boxes, func(a, b Box) int { return strings.Compare(string(a.Name), string(b.Name)) })
	if err := checkBoxes(s.boxes); err != nil {
		return fmt.Errorf("%s: %w", mailboxesFile, err)
	}
	if text, err = s.file(ctx, problemsFile); err == nil {
		if s.problems, err = decodeLines[Problem](bytes.NewReader(text)); err != nil {
			return fmt.Errorf("%s: %w", problemsFile, err)
		}
	} else if !errors.Is(err, errNoFile) {
		return err
	}
	return nil
}

// checkBoxes refuses lines that no run writes. They are sorted by name.
func checkBoxes(boxes []Box) error {
	for i := range boxes {
		b := &boxes[i]
		switch {
		case b.Name == "":
			return errors.New("a mailbox without a name: the snapshot is damaged")
		case i > 0 && boxes[i-1].Name == b.Name:
			return fmt.Errorf("mailbox %.100q stands twice: the snapshot is damaged", b.Name)
		case b.Messages < 0 || b.Bytes < 0 || b.Erased < 0:
			return fmt.Errorf("mailbox %.100q: less than nothing in it: the snapshot is damaged", b.Name)
		}
	}
	return nil
}

var errNoFile = errors.New("no such file in the snapshot")

// file is the content of a file beside mail/ and meta/.
func (s *Source) file(ctx context.Context, name string) ([]byte, error) {
	n := s.root.Find(name)
	if n == nil || n.Type != repo.FileNode {
		return nil, fmt.Errorf("read %s: %w", name, errNoFile)
	}
	return s.content(ctx, n)
}

func (s *Source) content(ctx context.Context, n *repo.Node) ([]byte, error) {
	if n.Size > maxText {
		return nil, fmt.Errorf("read %s: %d octets are too many", n.Name, n.Size)
	}
	out := make([]byte, 0, n.Size)
	for _, id := range n.Content {
		p, err := s.repo.LoadBlob(ctx, repo.DataBlob, id, nil)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", n.Name, err)
		}
		if len(out)+len(p) > maxText {
			return nil, fmt.Errorf("read %s: too long", n.Name)
		}
		out = append(out, p...)
	}
	return out, nil
}

// ID is the snapshot's.
func (s *Source) ID() repo.ID { return s.id }

// Account is what was backed up.
func (s *Source) Account() Account { return s.account }

// Time is when the snapshot was begun.
func (s *Source) Time() time.Time { return s.account.Began }

// Identity is that of the store which the snapshot was taken from: GUIDs of the
// one hold for the other (mail.Identifier). "" if unknown.
func (s *Source) Identity() string { return s.account.Identity }

// StoreOf is the identity of the store that a mailbox was read from: mostly Identity, but a run keeps what it does not
// look at, also when the account has moved to another store since.
func (s *Source) StoreOf(box *Box) string { return cmp.Or(box.Identity, s.account.Identity) }

// Boxes are all mailboxes, sorted by name, with what the store said of its state.
func (s *Source) Boxes() []Box { return s.boxes }

// Box finds a mailbox by name.
func (s *Source) Box(name mail.Name) (*Box, bool) {
	i, ok := slices.BinarySearchFunc(s.boxes, name, func(b Box, n mail.Name) int {
		return strings.Compare(string(b.Name), string(n))
	})
	if !ok {
		return nil, false
	}
	return &s.boxes[i], true
}

// Problems are what this snapshot lacks.
func (s *Source) Problems() []Problem { return s.problems }

// Ledger is the books of the run that wrote the snapshot.
func (s *Source) Ledger(ctx context.Context) (mail.Ledger, error) {
	var l mail.Ledger
	text, err := s.file(ctx, ledgerFile)
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil {
		return l, fmt.Errorf("read the ledger of snapshot %s: %w", s.id.Short(), err)
	}
	return l, nil
}

// Mailboxes lists the mailboxes (mail.Source). Their tokens are "": a snapshot
// is read whole.
func (s *Source) Mailboxes(context.Context) ([]mail.Mailbox, error) {
	all := make([]mail.Mailbox, len(s.boxes))
	for i := range s.boxes {
		all[i] = s.boxes[i].Mailbox()
	}
	return all, nil
}

// Changes lists a mailbox (mail.Source), always in full.
func (s *Source) Changes(ctx context.Context, name mail.Name, _ mail.Token) (mail.Changes, error) {
	box, ok := s.Box(name)
	if !ok {
		return mail.Changes{}, &mail.Error{Op: "list", Mailbox: name, Err: mail.ErrNoMailbox}
	}
	ch := mail.Changes{
		Full: true, UIDValidity: box.UIDValidity, UIDNext: box.UIDNext,
		HighestModSeq: box.HighestModSeq, Count: box.Messages, Method: "snapshot",
	}
	buckets, err := s.Buckets(ctx, name)
	if err != nil {
		return mail.Changes{}, &mail.Error{Op: "list", Mailbox: name, Err: err}
	}
	ch.Messages = make([]mail.Message, 0, min(box.Messages, int64(len(buckets))*BucketSize))
	var in Interner
	for _, b := range buckets {
		if err := s.list(ctx, &ch, b, box, &in); err != nil {
			return mail.Changes{}, &mail.Error{Op: "list", Mailbox: name, Err: err}
		}
	}
	return ch, nil
}

func (s *Source) list(ctx context.Context, ch *mail.Changes, b Bucket, box *Box, in *Interner) error {
	entries, err := s.Entries(ctx, b, nil, in)
	if err != nil {
		return err
	}
	var shard Shard
	foreign := s.StoreOf(box) != s.Identity()
	for i := range entries {
		e := &entries[i]
		if foreign {
			e.GUID = "" // it holds in another store than that of the snapshot
		}
		m := mail.Message{Key: e.Slot.Key(), UID: e.Slot.UID(box.UIDValidity), ModSeq: e.ModSeq, GUID: e.GUID, Flags: e.Flags, Size: -1}
		if e.Extra != nil {
			m.Extra = &e.Extra.Extra
		}
		if !shard.Holds(b, e.Slot) {
			if shard, err = s.Shard(ctx, b, e.Slot); err != nil {
				return err
			}
		}
		stored, ok := shard.Find(e.Slot)
		if !ok {
			return fmt.Errorf("message %s has flags but no bytes: the snapshot is damaged", e.Slot)
		}
		m.InternalDate, m.Size = stored.Date, stored.Size
		ch.Messages = append(ch.Messages, m)
	}
	return nil
}

// Close does nothing; the repository stays open.
func (s *Source) Close() error { return nil }
