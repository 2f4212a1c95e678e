package snapshot

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"roost/mail"
)

// Layout is the newest version of the layout that this package writes and reads. Version 1 has no erased.tsv, and is written
// where there is none: a program that knows only it would store erased messages again.
const Layout = 2

const layoutNothingErased = 1

// Names of the files beside mail/ and meta/.
const (
	accountFile   = "account.json"
	ledgerFile    = "ledger.json"
	problemsFile  = "problems.jsonl"
	mailboxesFile = "mailboxes.jsonl"
	mailDir       = "mail"
	metaDir       = "meta"
)

// maxLine bounds one line of a .jsonl file; a mailbox name or token beyond it is an attack.
const maxLine = 4 << 20

// Account is the file account.json: what was backed up, and when.
type Account struct {
	Layout    int             `json:"layout"`
	Name      string          `json:"account"`
	Identity  string          `json:"identity,omitempty"`  // mail.Identifier of the source
	Selection json.RawMessage `json:"selection,omitempty"` // query.Selection; absent: everything
	Began     time.Time       `json:"began"`
	Ended     time.Time       `json:"ended"`
	Program   string          `json:"program,omitempty"`
}

// Box is one line of mailboxes.jsonl.
type Box struct {
	Name          mail.Name  `json:"name"`
	Raw           []byte     `json:"raw,omitempty"`
	ID            string     `json:"id,omitempty"`
	Role          mail.Role  `json:"role,omitempty"`
	Subscribed    bool       `json:"subscribed,omitempty"`
	NoSelect      bool       `json:"noselect,omitempty"`
	UIDValidity   uint32     `json:"uidvalidity,omitempty"`
	UIDNext       uint32     `json:"uidnext,omitempty"`
	HighestModSeq uint64     `json:"highestmodseq,omitempty"`
	Token         mail.Token `json:"token,omitempty"`
	Next          Slot       `json:"next,omitempty"`
	Messages      int64      `json:"messages,omitempty"`
	Bytes         int64      `json:"bytes,omitempty"`
	Erased        int64      `json:"erased,omitempty"` // messages that the store holds and that were erased here: the marks in erased.tsv
	Selection     string     `json:"selection,omitempty"`
	Kept          time.Time  `json:"kept,omitzero"`
	Identity      string     `json:"identity,omitempty"` // the store it was read from, if that is not the account's
	Full          time.Time  `json:"full,omitzero"`      // when it was last listed in full, give or take a day; zero: not known
}

// Mailbox is b in the words of package mail. Its Token is not set: a token of
// the original store means nothing for the snapshot.
func (b *Box) Mailbox() mail.Mailbox {
	return mail.Mailbox{
		Name: b.Name, Raw: string(b.Raw), ID: b.ID, Role: b.Role, Subscribed: b.Subscribed, NoSelect: b.NoSelect,
		UIDValidity: b.UIDValidity, UIDNext: b.UIDNext, HighestModSeq: b.HighestModSeq, Count: b.Messages,
	}
}

// Problem is one line of problems.jsonl: a mail.Problem, and of a message all
// that is needed to try it again.
type Problem struct {
	Mailbox      mail.Name  `json:"mailbox"`
	Key          mail.Key   `json:"key,omitempty"`
	Reason       string     `json:"reason"`
	Since        time.Time  `json:"since"`
	Tries        int        `json:"tries"`
	UID          uint32     `json:"uid,omitempty"`
	ModSeq       uint64     `json:"modseq,omitempty"`
	GUID         string     `json:"guid,omitempty"`
	Flags        mail.Flags `json:"flags,omitempty"`
	InternalDate time.Time  `json:"internaldate,omitzero"`
	Size         int64      `json:"size"` // octets as the store said; -1: unknown
}

// Message is what the problem knows of its message.
func (p *Problem) Message() mail.Message {
	return mail.Message{Key: p.Key, UID: p.UID, ModSeq: p.ModSeq, GUID: p.GUID, Flags: p.Flags,
		InternalDate: p.InternalDate, Size: p.Size}
}

// Listed reports whether the store has told of the message; else no more than its key is known.
func (p *Problem) Listed() bool { return p.UID != 0 || !p.InternalDate.IsZero() || p.Size >= 0 }

// ProblemOf is the problem that m could not be stored.
func ProblemOf(box mail.Name, m *mail.Message, reason string, since time.Time, tries int) Problem {
	return Problem{Mailbox: box, Key: m.Key, Reason: reason, Since: since, Tries: tries, UID: m.UID, ModSeq: m.ModSeq,
		GUID: m.GUID, Flags: m.Flags, InternalDate: m.InternalDate, Size: m.Size}
}

// Mail is the problem in the words of the ledger.
func (p *Problem) Mail() mail.Problem {
	return mail.Problem{Mailbox: p.Mailbox, Key: p.Key, Reason: p.Reason, Since: p.Since, Tries: p.Tries}
}

// encodeLines writes items as JSON, one a line.
func encodeLines[T any](items []T) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	for i := range items {
		if err := enc.Encode(&items[i]); err != nil {
			return nil, fmt.Errorf("encode line %d: %w", i+1, err)
		}
	}
	return b.Bytes(), nil
}

// decodeLines reads what encodeLines wrote.
func decodeLines[T any](r io.Reader) ([]T, error) {
	var items []T
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var item T
		if err := json.Unmarshal(lines.Bytes(), &item); err != nil {
			return nil, fmt.Errorf("decode line %d: %w", len(items)+1, err)
		}
		items = append(items, item)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read line %d: %w", len(items)+1, err)
	}
	return items, nil
}

// ErrNotMail is returned for a snapshot that holds no account of roost's layout.
var ErrNotMail = errors.New("snapshot holds no mail account")

// ErrLayout is the ErrNotMail of a snapshot whose layout a newer roost made.
var ErrLayout = fmt.Errorf("%w that this roost can read", ErrNotMail)

func decodeAccount(text []byte) (Account, error) {
	var a Account
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("decode %s: %w", accountFile, err)
	}
	if a.Layout < layoutNothingErased || a.Layout > Layout {
		return a, fmt.Errorf("%w: its layout is version %d, this program knows %d to %d; use a newer roost",
			ErrLayout, a.Layout, layoutNothingErased, Layout)
	}
	return a, nil
}
