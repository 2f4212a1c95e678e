package mail

import (
	"context"
	"io"
	"iter"
)

// Source is anything mail can be read from: an account on a server, a file
// tree, a snapshot. Reading never changes it. All methods are safe for
// concurrent use; when ctx is done they return its error soon.
type Source interface {
	// Mailboxes lists all mailboxes, parents before their children, each
	// once. A mailbox that cannot be read is listed with Err set. An error
	// means that the list is not known, never that it is empty.
	Mailboxes(ctx context.Context) ([]Mailbox, error)

	// Changes tells what is new in a mailbox since the state that an
	// earlier Changes returned as its Token. With since "" or void (another
	// UIDVALIDITY, expired, foreign), it sets Full and lists everything.
	// A mailbox that is not there is an *Error with ErrNoMailbox.
	Changes(ctx context.Context, name Name, since Token) (Changes, error)

	// Fetch yields the bytes of the messages named by keys. Each key is
	// answered exactly once, in any order: with bytes, or with an *Error
	// that carries the key (ErrGone if the store says that the message is
	// no longer there). An error without a key ends the stream; then the
	// keys not yet answered are unknown, not gone. Fetched.Body must be
	// read before the next iteration; if reading it fails, the message did
	// not arrive and may be asked for again.
	Fetch(ctx context.Context, name Name, keys []Key, part Part) iter.Seq2[Fetched, error]

	Close() error
}

// Changes is the answer to the one question: what happened to a mailbox?
type Changes struct {
	// Full: Messages is the whole mailbox, and what it does not list is
	// gone. Otherwise Messages holds the new messages and those whose flags
	// changed, each in full, and Vanished or Present tell what is gone.
	Full bool

	Messages []Message // ascending by UID where there are UIDs; no key twice
	Vanished UIDSet    // not Full: gone since (may name UIDs never seen)
	Present  *UIDSet   // not Full: if set, all UIDs there are now; others are gone

	// FileDates: InternalDate is when the file of the message was last written.
	// Another date than before means that its bytes may be others, too.
	FileDates bool

	// Failed are messages that are listed but of which nothing more is
	// known (each an *Error with its key). They are not in Messages.
	Failed []*Error

	// Partial are those of Messages of which not all could be read: their flags
	// and what else is known (each an *Error with its key).
	Partial []*Error

	UIDValidity   uint32 // 0: Messages have no UIDs that last
	UIDNext       uint32
	HighestModSeq uint64
	Token         Token  // pass it to Changes next time; "" if the store can only ever list fully
	Count         int64  // messages now, as the store says by other means than this list; -1: it does not say
	Method        string // how it was listed, for the ledger: "qresync", "condstore", "fetch", "scan", ...
}

// Fetched is one answer of Fetch.
type Fetched struct {
	Key  Key
	Body io.Reader // nil if the error beside it is not
	Size int64     // octets of Body; -1: known only at its end
}

// Store is a Source that can be written to. A method that returns without
// error has made its effect durable, as far as the store can.
type Store interface {
	Source

	// Create makes a mailbox and its missing parents; ErrExist if it is there.
	Create(ctx context.Context, name Name) error
	// Rename takes the mailbox and all below it to a new name; ErrExist,
	// ErrNoMailbox.
	Rename(ctx context.Context, old, new Name) error
	// Delete removes the mailbox and its messages, not those below it.
	Delete(ctx context.Context, name Name) error

	// Append stores a message: body to its end, m.Flags and m.InternalDate
	// (zero: now). m.Size is body's length in octets, -1 if unknown. A store
	// that wants CRLF or LF line ends converts them. It returns the key of
	// the new message, "" if the store does not tell. Flags that it cannot
	// keep are left out and reported by a *Loss error beside a good key.
	Append(ctx context.Context, name Name, m Message, body io.Reader) (Key, error)

	// SetFlags adds and removes flags on exactly these messages. Keys that
	// are gone are passed over.
	SetFlags(ctx context.Context, name Name, keys []Key, add, remove Flags) error

	// Move takes messages to another mailbox without sending their bytes
	// again, and returns their new keys in the order of keys ("" where not
	// known or gone).
	Move(ctx context.Context, from Name, keys []Key, to Name) ([]Key, error)

	// Expunge removes exactly these messages, never others that happen to
	// be marked \Deleted; ErrUnsupported if the store cannot do just that,
	// also for no keys at all, so that a caller can ask beforehand.
	Expunge(ctx context.Context, name Name, keys []Key) error
}

// Outgoing is a message on its way into a store.
type Outgoing struct {
	Message
	Open func(ctx context.Context) (io.ReadCloser, error) // its bytes; called at most twice, by one goroutine at a time
}

// Appended answers one Outgoing.
type Appended struct {
	Key Key   // "" if the store does not tell
	Err error // as of Append; nil or *Loss: the message is stored
}

// BulkAppender is a Store that takes many messages faster than one by one,
// because it pipelines them or makes them durable together.
type BulkAppender interface {
	// AppendAll stores messages in their order and yields one answer for
	// each, in the same order, once it is durable. It may read ahead. An
	// error ends the stream; messages without an answer then are unknown.
	AppendAll(ctx context.Context, name Name, messages iter.Seq[Outgoing]) iter.Seq2[Appended, error]
}

// Numberer is a Store that can keep the UIDs its messages had elsewhere.
type Numberer interface {
	// Number gives an empty mailbox the UIDVALIDITY and UIDNEXT of another.
	// From then on Append keeps m.UID where it is not 0 and greater than all
	// before it. ErrExist if the mailbox holds messages; then nothing changes.
	Number(ctx context.Context, name Name, uidValidity, uidNext uint32) error
}

// Subscriber is a Store that knows subscriptions.
type Subscriber interface {
	Subscribe(ctx context.Context, name Name, on bool) error
}

// RoleCreator is a Store that can give a new mailbox a special use.
type RoleCreator interface {
	// CreateRole is Create with a role; ErrUnsupported if the server cannot.
	CreateRole(ctx context.Context, name Name, role Role) error
}

// Alteration is a way in which a store changes some of the messages that it is
// given. The zero value is none.
type Alteration int

const (
	// MaskedHeader makes an X of each octet above 127 in the header (Cyrus).
	MaskedHeader Alteration = iota + 1
	// DroppedCR drops a CR before a CRLF, and one at the very end (Dovecot).
	DroppedCR
)

func (a Alteration) String() string {
	switch a {
	case MaskedHeader:
		return "octets above 127 in the header, for which the store puts X"
	case DroppedCR:
		return "a stray CR at a line end, which the store drops"
	}
	return "nothing"
}

// Alterer is a Store that is known to change some messages when it stores
// them, so that the copy is known again though it is not equal.
type Alterer interface {
	// Alters says how; zero if nothing is known of this store.
	Alters(ctx context.Context) (Alteration, error)
}

// Identifier is a Source that can say which store it is.
type Identifier interface {
	// Identity is equal for two Sources exactly if GUIDs and tokens of the
	// one hold for the other: "imap://alice@mail.example.com". It never
	// holds a secret.
	Identity() string
}
