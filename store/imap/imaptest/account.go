package imaptest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Account is the model that a server serves: mailboxes with messages. Its methods and those of its mailboxes may be
// called at any time; the exported fields of a Mailbox only before the server starts and inside Do.
type Account struct {
	mu        sync.Mutex // guards what follows, and all mailboxes
	mailboxes []*Mailbox // in the order in which they were created
	created   uint32     // mailboxes so far, for UIDVALIDITY
}

// Mailbox is one mailbox of the model.
type Mailbox struct {
	Name          string   // as on the wire: modified UTF-7, or UTF-8 if the dialect has UTF8=ACCEPT
	Separator     string   // default "/"; "NIL" for none
	Attributes    []string // for LIST, as `\Noselect`, `\Sent`
	Subscribed    bool
	UIDValidity   uint32
	UIDNext       uint32
	HighestModSeq uint64 // of the last change
	NoModSeq      bool   // this mailbox has no mod-sequences (RFC 7162, 3.1.2.2)
	ID            string // MAILBOXID (RFC 8474)

	account  *Account
	messages []*Message // by UID
	gone     []gone     // what was expunged, by mod-sequence
}

// gone is what QRESYNC remembers of an expunged message.
type gone struct {
	uid    uint32
	modSeq uint64
}

// Message is one message of the model.
type Message struct {
	UID          uint32   // 0: the next one
	Flags        []string // system flags and keywords
	InternalDate string   // as FETCH shows it, without quotes; "" is 01-Jan-2020 10:00:00 +0000
	Body         []byte   // never changed
	Size         int64    // RFC822.SIZE; 0 is the length of Body
	ModSeq       uint64   // 0: the next one
	EmailID      string   // EMAILID, X-GM-MSGID and X-GUID; "" is "M" and the UID with its UIDVALIDITY
	ThreadID     string   // THREADID and X-GM-THRID; "" is none
	Labels       string   // X-GM-LABELS as on the wire, without the outer parentheses
}

// NewAccount is an account without any mailbox.
func NewAccount() *Account { return &Account{} }

// Create makes a mailbox, whose UIDs are valid as no other's.
func (a *Account) Create(name string, attributes ...string) *Mailbox {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.create(name, attributes...)
}

func (a *Account) create(name string, attributes ...string) *Mailbox {
	a.created++
	m := &Mailbox{
		Name: name, Separator: "/", Attributes: attributes,
		UIDValidity: 1000 + a.created, UIDNext: 1, HighestModSeq: 1, ID: fmt.Sprintf("F%d", a.created),
		account: a,
	}
	a.mailboxes = append(a.mailboxes, m)
	return m
}

// Delete removes a mailbox and its messages.
func (a *Account) Delete(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.remove(name)
}

func (a *Account) remove(name string) {
	a.mailboxes = slices.DeleteFunc(a.mailboxes, func(m *Mailbox) bool { return sameName(m.Name, name) })
}

// Mailbox is the mailbox of that name, nil if there is none.
func (a *Account) Mailbox(name string) *Mailbox {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.find(name)
}

func (a *Account) find(name string) *Mailbox {
	for _, m := range a.mailboxes {
		if sameName(m.Name, name) {
			return m
		}
	}
	return nil
}

// sameName compares names: INBOX without regard to case (RFC 9051, 5.1), others octet by octet.
func sameName(a, b string) bool {
	return a == b || strings.EqualFold(a, "INBOX") && strings.EqualFold(b, "INBOX")
}

// Do runs change while no command of any client is served.
func (a *Account) Do(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
}

// Append adds a message, and returns its UID.
func (m *Mailbox) Append(message Message) uint32 {
	m.account.mu.Lock()
	defer m.account.mu.Unlock()
	return m.append(message)
}

func (m *Mailbox) append(message Message) uint32 {
	if message.UID == 0 {
		message.UID = m.UIDNext
	}
	if message.InternalDate == "" {
		message.InternalDate = "01-Jan-2020 10:00:00 +0000"
	}
	if message.Size == 0 {
		message.Size = int64(len(message.Body))
	}
	if message.EmailID == "" {
		message.EmailID = fmt.Sprintf("M%d-%d", m.UIDValidity, message.UID)
	}
	if message.ModSeq == 0 {
		m.HighestModSeq++
		message.ModSeq = m.HighestModSeq
	}
	m.HighestModSeq = max(m.HighestModSeq, message.ModSeq)
	m.UIDNext = max(m.UIDNext, message.UID+1)
	m.messages = append(m.messages, &message)
	slices.SortStableFunc(m.messages, func(a, b *Message) int { return cmp.Compare(a.UID, b.UID) })
	return message.UID
}

// Expunge removes messages.
func (m *Mailbox) Expunge(uids ...uint32) {
	m.account.mu.Lock()
	defer m.account.mu.Unlock()
	m.expunge(func(message *Message) bool { return slices.Contains(uids, message.UID) })
}

func (m *Mailbox) expunge(chosen func(*Message) bool) {
	m.messages = slices.DeleteFunc(m.messages, func(message *Message) bool {
		if !chosen(message) {
			return false
		}
		m.HighestModSeq++
		m.gone = append(m.gone, gone{message.UID, m.HighestModSeq})
		return true
	})
}

// SetFlags replaces the flags of a message.
func (m *Mailbox) SetFlags(uid uint32, flags ...string) {
	m.account.mu.Lock()
	defer m.account.mu.Unlock()
	for _, message := range m.messages {
		if message.UID == uid {
			m.setFlags(message, flags)
		}
	}
}

// SetFlagsUntold replaces the flags of a message and moves no mod-sequence, as servers do whose log misses a change.
func (m *Mailbox) SetFlagsUntold(uid uint32, flags ...string) {
	m.account.mu.Lock()
	defer m.account.mu.Unlock()
	for _, message := range m.messages {
		if message.UID == uid {
			message.Flags = slices.Clone(flags)
		}
	}
}

// setFlags leaves the mod-sequence as it is if nothing changes, as servers do.
func (m *Mailbox) setFlags(message *Message, flags []string) {
	if slices.Equal(slices.Sorted(slices.Values(message.Flags)), slices.Sorted(slices.Values(flags))) {
		return
	}
	m.HighestModSeq++
	message.Flags, message.ModSeq = slices.Clone(flags), m.HighestModSeq
}

// Revalidate gives the mailbox a new UIDVALIDITY, its messages new UIDs from first on, and forgets what was expunged.
func (m *Mailbox) Revalidate(uidValidity, first uint32) {
	m.account.mu.Lock()
	defer m.account.mu.Unlock()
	m.UIDValidity, m.gone = uidValidity, nil
	for i, message := range m.messages {
		message.UID = first + uint32(i)
		m.HighestModSeq++
		message.ModSeq = m.HighestModSeq
	}
	m.UIDNext = first + uint32(len(m.messages))
}

// Messages is what the mailbox holds now, by UID.
func (m *Mailbox) Messages() []Message {
	m.account.mu.Lock()
	defer m.account.mu.Unlock()
	list := make([]Message, len(m.messages))
	for i, message := range m.messages {
		list[i] = *message
		list[i].Flags = slices.Clone(message.Flags)
	}
	return list
}

// selectable tells whether the mailbox can hold messages.
func (m *Mailbox) selectable() bool {
	return !slices.ContainsFunc(m.Attributes, func(a string) bool {
		return strings.EqualFold(a, `\Noselect`) || strings.EqualFold(a, `\NonExistent`)
	})
}

// Date is a time as INTERNALDATE shows it (RFC 9051, date-time).
func Date(t time.Time) string { return t.Format("02-Jan-2006 15:04:05 -0700") }
