package query

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"roost/mail"
	"roost/message"
)

// Choice is a Selection that can name single messages, too. A message is chosen if the Selection means it and, where
// messages are named, one of the names is its own. Unlike the Selection, which leaves out only what it is sure of, it takes only
// that: of a message without a date it is not known to be of a period, so it is not chosen.
type Choice struct {
	Selection

	MessageIDs []string        // of the header field, with angle brackets
	GUIDs      []string        // of the store
	Places     []Place         // where messages stand
	Prints     []message.Print // of messages
}

// Place is where a message stands in a store or snapshot.
type Place struct {
	Mailbox mail.Name
	Key     mail.Key
}

// ParsePlace reads "MAILBOX:KEY". The mailbox may have colons in its name, the key of a snapshot has none.
func ParsePlace(text string) (Place, error) {
	i := strings.LastIndexByte(text, ':')
	if i <= 0 || i == len(text)-1 {
		return Place{}, fmt.Errorf("%q is no MAILBOX:KEY, as in INBOX:412", text)
	}
	return Place{Mailbox: mail.NameOf(mail.Name(text[:i]).Components()...), Key: mail.Key(text[i+1:])}, nil
}

// ParseMessageID reads a Message-ID, with or without its angle brackets.
func ParseMessageID(text string) (string, error) {
	id := strings.TrimSpace(text)
	if id == "" || strings.ContainsAny(id, "\r\n") {
		return "", fmt.Errorf("%q is no Message-ID", text)
	}
	if !strings.HasPrefix(id, "<") {
		id = "<" + id + ">"
	}
	return id, nil
}

// Clean checks the choice and returns it in canonical form.
func (c Choice) Clean() (Choice, error) {
	var err error
	if c.Selection, err = c.Selection.Clean(); err != nil {
		return c, err
	}
	if c.SkipAttachments {
		return c, errors.New("attachments cannot be left out of a choice of messages")
	}
	for i, id := range c.MessageIDs {
		if c.MessageIDs[i], err = ParseMessageID(id); err != nil {
			return c, err
		}
	}
	return c, nil
}

// IsZero reports whether everything is chosen.
func (c *Choice) IsZero() bool { return c.Selection.IsZero() && !c.named() }

func (c *Choice) named() bool {
	return len(c.MessageIDs)+len(c.GUIDs)+len(c.Places)+len(c.Prints) > 0
}

// A Verdict is what a message's line in a list says of whether it is chosen: Out, In, or a question that its bytes must answer.
type Verdict uint8

// The verdicts. Those from AskBytes on are questions; each means the same of equal bytes, whatever the list said.
const (
	Out Verdict = iota
	In
	AskBytes // for Choice: do the bytes name the message, and is its date within the period?
	AskDate  // is its date within the period?
)

// Needs is how much of a message Reads wants: its header, or with Whole its print, too.
func (c *Choice) Needs() mail.Part {
	if len(c.Prints) > 0 {
		return mail.Whole
	}
	return mail.Header
}

// Lists judges a message by what a list says of it.
func (c *Choice) Lists(box mail.Name, m *mail.Message) Verdict {
	sel := c.Selection
	yes := In
	if sel.NeedsHeader() {
		sel.Since, sel.Before, yes = time.Time{}, time.Time{}, AskDate
	}
	_, out := sel.Message(m, time.Time{})
	switch {
	case out, m.InternalDate.IsZero() && (!sel.Since.IsZero() || !sel.Before.IsZero()):
		return Out
	case !c.named() || m.GUID != "" && slices.Contains(c.GUIDs, m.GUID) || slices.Contains(c.Places, Place{box, m.Key}):
		return yes
	case len(c.MessageIDs)+len(c.Prints) > 0:
		return AskBytes
	}
	return Out
}

// Reads answers a question by the bytes of a message: its header, and if Needs says so its print.
func (c *Choice) Reads(question Verdict, h message.Header, print message.Print) bool {
	if c.NeedsHeader() {
		date, ok := h.Date()
		within := c.Selection
		within.MaxSize = 0
		if _, out := within.Message(new(mail.Message), date); out || !ok {
			return false
		}
	}
	return question == AskDate || slices.Contains(c.MessageIDs, h.MessageID()) || slices.Contains(c.Prints, print)
}
