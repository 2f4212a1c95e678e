package imaptest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// CheckReading reports each command that somebody who only reads must not send: what changes the account or could, and
// what servers are known to answer wrongly.
func (s *Server) CheckReading(t testing.TB) {
	t.Helper()
	for _, c := range s.Commands() {
		if why := forbidden(c); why != "" {
			t.Errorf("connection %d sent %q: %s", c.Connection, c.Text, why)
		}
	}
}

// forbidden is why a reader may not send the command, "" if it may.
func forbidden(c Command) string {
	switch c.Name {
	case "SELECT":
		return "SELECT takes the \\Recent flags away; EXAMINE does not"
	case "STORE", "UID STORE", "COPY", "UID COPY", "MOVE", "UID MOVE", "EXPUNGE", "UID EXPUNGE", "APPEND", "REPLACE",
		"CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "SETACL", "SETMETADATA", "SETQUOTA":
		return "it changes the account"
	case "CLOSE":
		return "CLOSE expunges where the mailbox was selected"
	case "FETCH", "UID FETCH":
		if len(c.Args) < 2 {
			return "it has no items"
		}
		return forbiddenItem(c.Args[1].words())
	}
	return ""
}

// forbiddenItem is why a reader may not fetch one of the items.
func forbiddenItem(items []string) string {
	for _, item := range items {
		switch {
		case strings.HasPrefix(item, "BODY[") || item == "RFC822" || item == "RFC822.TEXT":
			return item + " sets \\Seen"
		case item == "BODYSTRUCTURE" || item == "BODY" || item == "ENVELOPE":
			return "servers answer " + item + " wrongly"
		case strings.HasPrefix(item, "BINARY"):
			return "servers decode BINARY wrongly"
		case slices.Contains([]string{"ALL", "FULL", "FAST"}, item):
			return "servers know no macros"
		}
	}
	return ""
}

// CheckLines reports command lines longer than so many octets, and sets whose ranges descend.
func (s *Server) CheckLines(t testing.TB, octets int) {
	t.Helper()
	for _, c := range s.Commands() {
		if c.Octets > octets {
			t.Errorf("connection %d sent a line of %d octets, more than %d: %.60q...", c.Connection, c.Octets, octets, c.Text)
		}
		if strings.HasPrefix(c.Name, "UID ") && descends(c.text(0)) {
			t.Errorf("connection %d sent a descending set: %q", c.Connection, c.Text)
		}
	}
}

// Count is how many commands of a name were sent so far.
func (s *Server) Count(name string) int {
	n := 0
	for _, c := range s.Commands() {
		if c.Name == name {
			n++
		}
	}
	return n
}

// Fetched are the UIDs whose whole bytes were asked for so far, by mailbox, in the order asked; twice means twice. Only
// UID FETCH counts.
func (s *Server) Fetched() map[string][]uint32 {
	selected := map[int]string{}
	fetched := map[string][]uint32{}
	for _, c := range s.Commands() {
		switch {
		case c.Name == "SELECT" || c.Name == "EXAMINE":
			selected[c.Connection] = c.text(0)
		case c.Name == "UID FETCH" && len(c.Args) > 1 && slices.Contains(c.Args[1].words(), "BODY.PEEK[]"):
			box := selected[c.Connection]
			fetched[box] = append(fetched[box], s.uidsOf(box, c.text(0))...)
		}
	}
	return fetched
}

// uidsOf are the UIDs of a set, as far as the mailbox has ever had them.
func (s *Server) uidsOf(box, text string) []uint32 {
	m := s.account.Mailbox(box)
	if m == nil {
		return nil
	}
	set, err := parseNumbers(text, m.UIDNext-1)
	if err != nil {
		return nil
	}
	var uids []uint32
	for uid := uint32(1); uid < m.UIDNext && len(uids) < 1<<20; uid++ {
		if set.has(uid) {
			uids = append(uids, uid)
		}
	}
	return uids
}

// String is the command as a server's log would show it.
func (c Command) String() string { return fmt.Sprintf("%d %s %s", c.Connection, c.Tag, c.Text) }
