package memory

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"roost/mail"
)

var (
	_ mail.Store        = (*Store)(nil)
	_ mail.BulkAppender = (*Store)(nil)
	_ mail.Numberer     = (*Store)(nil)
	_ mail.Subscriber   = (*Store)(nil)
	_ mail.RoleCreator  = (*Store)(nil)
	_ mail.Identifier   = (*Store)(nil)
)

// Options say what a Store can and cannot do. The zero value can do all.
type Options struct {
	ID       string           // what Identity returns, after "memory:"; default: random
	Now      func() time.Time // dates messages that come without one; default: time.Now
	FullOnly bool             // Changes always lists everything and gives no tokens
	NoGUID   bool             // messages have no GUIDs
}

// Store is a mail.Store in memory. It is safe for concurrent use; a method
// has its effect at one moment, so that no other sees half of it.
//
// INBOX is there from the start and can be neither renamed nor deleted.
// Mailboxes are selectable, except where one with others below it was deleted.
type Store struct {
	options Options

	mu           sync.Mutex // guards what follows
	boxes        map[mail.Name]*mailbox
	lastValidity uint32 // last UIDVALIDITY given; no two mailboxes get the same
	lastBox      uint64 // last mailbox ID given
	lastGUID     uint64 // last GUID given
}

// New makes a store that holds an empty INBOX.
func New(options Options) *Store {
	if options.ID == "" {
		options.ID = rand.Text()
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	s := &Store{options: options, boxes: make(map[mail.Name]*mailbox)}
	s.boxes[mail.Inbox] = s.newMailbox()
	return s
}

// Identity is "memory:" and the ID of the store.
func (s *Store) Identity() string { return "memory:" + s.options.ID }

// Close does nothing: the store can be used on, as if it were opened again.
func (s *Store) Close() error { return nil }

// Mailboxes lists all mailboxes, sorted by name.
func (s *Store) Mailboxes(ctx context.Context) ([]mail.Mailbox, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]mail.Mailbox, 0, len(s.boxes))
	for name, b := range s.boxes {
		m := mail.Mailbox{Name: name, ID: b.id, Role: b.role, Subscribed: b.subscribed, NoSelect: b.noSelect}
		if !b.noSelect {
			m.UIDValidity, m.UIDNext, m.HighestModSeq = b.uidValidity, b.uidNext, b.modSeq
			m.Count = int64(len(b.messages))
			m.Token = s.token(b)
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b mail.Mailbox) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return list, nil
}

// Create makes a mailbox and its missing parents, all selectable.
func (s *Store) Create(ctx context.Context, name mail.Name) error {
	return s.CreateRole(ctx, name, "")
}

// CreateRole makes a mailbox with a role, and its missing parents without. It
// does not mind another mailbox that has the same role.
func (s *Store) CreateRole(ctx context.Context, name mail.Name, role mail.Role) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	name = mail.NameOf(name.Components()...)
	if name == "" {
		return &mail.Error{Op: "create", Err: errNoName}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.boxes[name]; b != nil && !b.noSelect {
		return &mail.Error{Op: "create", Mailbox: name, Err: mail.ErrExist}
	}
	s.createParents(name)
	b := s.newMailbox()
	b.role = role
	s.boxes[name] = b
	return nil
}

var errNoName = errors.New("a mailbox needs a name")

// createParents makes what is missing above name. The caller holds mu.
func (s *Store) createParents(name mail.Name) {
	for p := name.Parent(); p != "" && s.boxes[p] == nil; p = p.Parent() {
		s.boxes[p] = s.newMailbox()
	}
}

// Rename moves a mailbox and all below it, with their IDs, roles,
// subscriptions and tokens. INBOX cannot be renamed.
func (s *Store) Rename(ctx context.Context, old, new mail.Name) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	new = mail.NameOf(new.Components()...)
	fail := func(err error) error { return &mail.Error{Op: "rename", Mailbox: old, Err: err} }
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.boxes[old] == nil:
		return fail(mail.ErrNoMailbox)
	case old == mail.Inbox:
		return fail(mail.ErrUnsupported)
	case new == "":
		return fail(errNoName)
	case s.boxes[new] != nil:
		return fail(fmt.Errorf("to %s: %w", new, mail.ErrExist))
	case new.Below(old):
		return fail(fmt.Errorf("to %s, which is below it: %w", new, mail.ErrUnsupported))
	}
	s.createParents(new)
	var below []mail.Name
	for name := range s.boxes {
		if name.Below(old) {
			below = append(below, name)
		}
	}
	for _, name := range append(below, old) {
		s.boxes[new+name[len(old):]] = s.boxes[name]
		delete(s.boxes, name)
	}
	return nil
}

// Delete removes a mailbox and its messages. If others are below it, it stays
// listed as one that holds only these. INBOX cannot be deleted.
func (s *Store) Delete(ctx context.Context, name mail.Name) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.selectable("delete", name); err != nil {
		return err
	}
	if name == mail.Inbox {
		return &mail.Error{Op: "delete", Mailbox: name, Err: mail.ErrUnsupported}
	}
	for other := range s.boxes {
		if other.Below(name) {
			s.boxes[name] = &mailbox{id: s.boxes[name].id, noSelect: true}
			return nil
		}
	}
	delete(s.boxes, name)
	return nil
}

// Subscribe changes whether a mailbox is subscribed.
func (s *Store) Subscribe(ctx context.Context, name mail.Name, on bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.boxes[name]
	if b == nil {
		return &mail.Error{Op: "subscribe", Mailbox: name, Err: mail.ErrNoMailbox}
	}
	b.subscribed = on
	return nil
}

// Number gives an empty mailbox the UIDVALIDITY and UIDNEXT of another, and
// makes Append keep UIDs in it.
func (s *Store) Number(ctx context.Context, name mail.Name, uidValidity, uidNext uint32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.selectable("number", name)
	if err != nil {
		return err
	}
	switch {
	case len(b.messages) > 0:
		return &mail.Error{Op: "number", Mailbox: name, Err: mail.ErrExist}
	case uidValidity == 0:
		return &mail.Error{Op: "number", Mailbox: name, Err: errors.New("UIDVALIDITY is 0")}
	}
	b.renumber(uidValidity)
	b.uidNext = max(uidNext, 1)
	b.keepsUIDs = true
	return nil
}

// Renumber gives all messages of a mailbox new UIDs under a new UIDVALIDITY,
// as a server does that lost its index. Messages keep their order.
func (s *Store) Renumber(ctx context.Context, name mail.Name) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.selectable("renumber", name)
	if err != nil {
		return err
	}
	s.lastValidity++
	b.renumber(s.lastValidity)
	return nil
}

// newMailbox makes an empty mailbox with a UIDVALIDITY and an ID of its own.
// The caller holds mu, or is New.
func (s *Store) newMailbox() *mailbox {
	s.lastValidity++
	s.lastBox++
	return &mailbox{id: fmt.Sprintf("M%d", s.lastBox), uidValidity: s.lastValidity, uidNext: 1, modSeq: 1}
}

// selectable is the mailbox called name, if it is one that has messages. The
// caller holds mu.
func (s *Store) selectable(op string, name mail.Name) (*mailbox, error) {
	b := s.boxes[name]
	if b == nil || b.noSelect {
		return nil, &mail.Error{Op: op, Mailbox: name, Err: mail.ErrNoMailbox}
	}
	return b, nil
}

// token names a state of a mailbox: its store, its ID, its UIDVALIDITY and its
// highest mod-sequence. The caller holds mu.
func (s *Store) token(b *mailbox) mail.Token {
	if s.options.FullOnly {
		return ""
	}
	return mail.Token(fmt.Sprintf("%s%d", s.tokenPrefix(b), b.modSeq))
}

func (s *Store) tokenPrefix(b *mailbox) string {
	return fmt.Sprintf("memory %s %s %d ", s.options.ID, b.id, b.uidValidity)
}
