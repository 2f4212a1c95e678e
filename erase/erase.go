package erase

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"roost/mail"
	"roost/message"
	"roost/query"
	"roost/repo"
	"roost/snapshot"
)

// A Chooser says which messages are to be erased; query.Choice is one.
type Chooser interface {
	// Mailboxes splits the mailboxes of a snapshot into those that are meant and others.
	Mailboxes(all []mail.Mailbox) (meant, left []mail.Mailbox)
	// Lists judges a message by its line in a list. A verdict from query.AskBytes on is a question for Reads.
	Lists(box mail.Name, m *mail.Message) query.Verdict
	// Needs is how much of a message Reads wants: its header, or with mail.Whole its print, too.
	Needs() mail.Part
	// Reads answers a question. Its answer is the same for equal bytes.
	Reads(question query.Verdict, h message.Header, print message.Print) bool
}

// Options say what is erased. Choose is needed.
type Options struct {
	Accounts []string // names; nil: all that the repository has
	Choose   Chooser

	// Guard returns why a snapshot must not be written anew; such ones stop the whole. nil: none.
	Guard func(*repo.Snapshot) error

	Progress func(Progress) // may be nil; one call at a time
}

// Progress is how far Look or Carry is.
type Progress struct {
	Doing string // "choose", "look for what is left", "look who else uses it", "rewrite", "replace"
	Done  int    // of Total, in snapshots
	Total int
}

// A Plan is what Look found and Carry does.
type Plan struct {
	Accounts []*Account // of which something is erased, by name
	Doubts   []Doubt    // what could not be looked at: whether it holds what was chosen is not known
	Refused  []Refusal  // snapshots that must not be written anew; Carry does nothing while there are any

	repo      *repo.Repo
	o         Options
	snapshots []*repo.Snapshot // all that there were
}

// Messages counts what is erased: messages in mailboxes of accounts, each once however many snapshots hold it.
func (p *Plan) Messages() (n int) {
	for _, a := range p.Accounts {
		n += len(a.Messages)
	}
	return n
}

// Snapshots counts the snapshots that messages are erased from.
func (p *Plan) Snapshots() (n int) {
	for _, a := range p.Accounts {
		for _, sn := range a.Snapshots {
			if sn.Messages > 0 {
				n++
			}
		}
	}
	return n
}

// An Account is what is erased of one.
type Account struct {
	Name      string
	Messages  []*Message  // by mailbox, UIDVALIDITY and slot
	Snapshots []*Snapshot // to be written anew, oldest first

	memory *recall
}

// A Message is one that is erased.
type Message struct {
	Mailbox   mail.Name
	Key       mail.Key // in the snapshots
	GUID      string   // of the store; "": it has none
	Size      int64    // octets
	MessageID string   // of the header field; "": none, or Unread
	Subject   string   // decoded, for people
	Snapshots int      // that hold it
	Blobs     []repo.ID
	Print     message.Print
	Unread    error // why Print is not known: then it is recognised by its place only
	Used      []Use // those of Blobs that stay, because others use them
	// Kept: the account has the same bytes elsewhere, where they were not chosen. Then the message is known again only in its place.
	Kept bool

	traits traits
}

// A Use is a blob that someone uses.
type Use struct {
	Blob repo.ID
	Size int64  // octets
	By   string // one of its users, as "SNAPSHOT:/path"
}

// A Snapshot is one that is written anew.
type Snapshot struct {
	*repo.Snapshot
	Messages int64   // erased from it. 0: it remembers what was erased from others, or knew something of it
	New      repo.ID // what stands in its place; null before Carry, or if that failed

	boxes    []boxWork
	problems int // that were of erased messages
	tree     repo.ID
}

// A Doubt is something that could not be read.
type Doubt struct {
	Where string // for people: "snapshot 4f2a91c3 of alice, INBOX message 412"
	Err   error
}

func (d *Doubt) Error() string { return d.Where + ": " + d.Err.Error() }
func (d *Doubt) Unwrap() error { return d.Err }

// A Refusal is a snapshot that holds what is chosen, and that must not be written anew.
type Refusal struct {
	Account  string
	Snapshot *repo.Snapshot
	Err      error
}

// ErrNoAccount says that the repository has no snapshot of an account.
var ErrNoAccount = errors.New("no snapshot of the account")

// tag marks the snapshots that roost writes.
const tag = "roost"

// Look finds what is to be erased, and changes nothing. It reads each distinct part of all snapshots of the accounts once, each
// chosen message once, and every directory of the repository, for those who use the same bytes. What cannot be read is a
// Doubt; an error means that nothing is known.
func Look(ctx context.Context, r *repo.Repo, o Options) (*Plan, error) {
	p := &Plan{repo: r, o: o}
	if err := p.look(ctx); err != nil {
		return nil, fmt.Errorf("look for what is to be erased: %w", err)
	}
	return p, nil
}

func (p *Plan) look(ctx context.Context) error {
	var err error
	if p.snapshots, err = p.repo.Snapshots(ctx); err != nil {
		if len(p.snapshots) == 0 {
			return err
		}
		p.Doubts = append(p.Doubts, Doubt{Where: "snapshots", Err: err})
	}
	if err := p.repo.LoadIndex(ctx); err != nil {
		return err
	}
	byPath := make(map[string][]*repo.Snapshot)
	for _, sn := range p.snapshots {
		if slices.Contains(sn.Tags, tag) && len(sn.Paths) == 1 {
			byPath[sn.Paths[0]] = append(byPath[sn.Paths[0]], sn)
		}
	}
	var groups [][]*repo.Snapshot
	if p.o.Accounts == nil {
		for _, group := range byPath {
			groups = append(groups, group)
		}
	}
	for _, name := range p.o.Accounts {
		group := byPath["/"+snapshot.FileName(name)]
		if len(group) == 0 {
			return fmt.Errorf("%s: %w", name, ErrNoAccount)
		}
		groups = append(groups, group)
	}
	for _, group := range groups {
		if err := p.lookAt(ctx, group); err != nil {
			return err
		}
	}
	slices.SortFunc(p.Accounts, func(a, b *Account) int { return strings.Compare(a.Name, b.Name) })
	return p.lookForUsers(ctx)
}

// progress tells how far it is.
func (p *Plan) progress(doing string, done, total int) {
	if p.o.Progress != nil {
		p.o.Progress(Progress{Doing: doing, Done: done, Total: total})
	}
}
