package mail

import "time"

// Key is a driver's handle of a message in a mailbox. It means something only
// together with the mailbox and, where the mailbox has one, its UIDVALIDITY. A
// driver says what its keys are: IMAP's are UIDs in decimal, a Maildir's the base
// names of files.
type Key string

// Message is what a store says of one message, without its bytes.
type Message struct {
	Key          Key
	UID          uint32    // 0: the store has none
	ModSeq       uint64    // mod-sequence (RFC 7162); 0: unknown
	GUID         string    // equal GUIDs in one store = equal bytes, where sizes and FileDates do not gainsay it; "" unknown
	Flags        Flags     // all flags and keywords
	InternalDate time.Time // when the store received it, whole seconds; zero: unknown
	Size         int64     // octets that Fetch yields, as the store says; -1: unknown. Never relied on
	Extra        *Extra    // what only few stores know; mostly nil
}

// Extra is what only some servers say of a message.
type Extra struct {
	ThreadID string   `json:"thread_id,omitempty"` // THREADID (RFC 8474) or X-GM-THRID
	Labels   []string `json:"labels,omitempty"`    // X-GM-LABELS, decoded, sorted
}

// Part says how much of a message is wanted.
type Part int

const (
	// Whole is the raw message.
	Whole Part = iota
	// Header is the header with the empty line that ends it.
	Header
)

// Role is the special use of a mailbox (RFC 6154), "" for none.
type Role string

// The roles, named by their IMAP attribute.
const (
	RoleAll       Role = `\All`
	RoleArchive   Role = `\Archive`
	RoleDrafts    Role = `\Drafts`
	RoleFlagged   Role = `\Flagged`
	RoleImportant Role = `\Important`
	RoleJunk      Role = `\Junk`
	RoleSent      Role = `\Sent`
	RoleTrash     Role = `\Trash`
)

// Token is what a driver remembers of a mailbox between two runs: opaque to
// everybody else. "" asks for, or says, nothing.
type Token string

// Mailbox is what a store says of one mailbox, without its messages.
type Mailbox struct {
	Name          Name
	Raw           string // the store's own spelling of the name, for drivers; "" if it needs none
	ID            string // survives a rename (MAILBOXID, Dovecot's mailbox GUID); "" unknown
	Role          Role
	Subscribed    bool
	NoSelect      bool   // holds only other mailboxes; has no messages
	UIDValidity   uint32 // 0: the store has no UIDs, or UIDs that mean nothing
	UIDNext       uint32 // 0: unknown
	HighestModSeq uint64 // 0: unknown
	Count         int64  // messages, as the store says without listing them; -1: unknown

	// Token equals the Token of the last Changes if, and only if, nothing
	// changed since; so Changes need not be asked. "" if the store cannot tell.
	Token Token

	// Err is set if the mailbox is listed but cannot be read (RFC 5530
	// NOPERM). The ledger says so; its messages are failed, not gone.
	Err error
}
