package imaptest

import (
	"fmt"
	"slices"
	"strings"
)

// list serves LIST and LSUB, with the options of RFC 5258, 5819 and 6154 where the dialect has them.
func (s *Session) list(c Command) {
	args := c.Args
	var choose, returns Arg
	if s.can("LIST-EXTENDED") && args[0].Kind == List {
		choose, args = args[0], args[1:]
	}
	if n := len(args); n > 3 && strings.EqualFold(args[n-2].Text, "RETURN") {
		returns, args = args[n-1], args[:n-2]
		if !s.can("LIST-EXTENDED") && !s.can("LIST-STATUS") && !s.can("SPECIAL-USE") {
			s.done("BAD no RETURN here")
			return
		}
	}
	if len(args) != 2 || args[1].Kind == List && !s.can("LIST-EXTENDED") {
		s.done("BAD cannot read this list")
		return
	}
	patterns := []Arg{args[1]}
	if args[1].Kind == List {
		patterns = args[1].List
	}
	if len(patterns) == 1 && patterns[0].Text == "" { // the separator is asked for
		s.reply(`* %s (\Noselect) "/" ""`, c.Name)
		s.done("OK done")
		return
	}
	for _, m := range s.server.account.mailboxes {
		matches := func(p Arg) bool { return match(args[0].Text+p.Text, m.Name, m.Separator) }
		if !slices.ContainsFunc(patterns, matches) {
			continue
		}
		if subscribed := c.Name == "LSUB" || slices.Contains(choose.words(), "SUBSCRIBED"); subscribed && !m.Subscribed {
			continue
		}
		s.listOne(c.Name, m, returns)
	}
	s.done("OK done")
}

// listOne answers with one mailbox, and with its status if that is asked for.
func (s *Session) listOne(name string, m *Mailbox, returns Arg) {
	attributes := slices.Clone(m.Attributes)
	if !s.can("SPECIAL-USE") && !s.can("XLIST") {
		attributes = slices.DeleteFunc(attributes, specialUse)
	}
	if m.Subscribed && slices.Contains(returns.words(), "SUBSCRIBED") {
		attributes = append(attributes, `\Subscribed`)
	}
	separator := `"` + m.Separator + `"`
	if m.Separator == "NIL" {
		separator = "NIL"
	}
	s.reply(`* %s (%s) %s %s`, name, strings.Join(attributes, " "), separator, quote(m.Name))
	for i, option := range returns.List {
		if strings.EqualFold(option.Text, "STATUS") && i+1 < len(returns.List) && s.can("LIST-STATUS") && m.selectable() {
			if items, bad := s.statusItems(m, returns.List[i+1].words()); bad == "" {
				s.reply("* STATUS %s (%s)", quote(m.Name), items)
			}
		}
	}
}

// specialUse tells whether an attribute is one of RFC 6154.
func specialUse(attribute string) bool {
	uses := []string{`\All`, `\Archive`, `\Drafts`, `\Flagged`, `\Important`, `\Junk`, `\Sent`, `\Trash`}
	return slices.ContainsFunc(uses, func(u string) bool { return strings.EqualFold(u, attribute) })
}

// quote writes a mailbox name as a quoted string, or as a literal if it holds what none may hold.
func quote(name string) string {
	if strings.ContainsAny(name, "\r\n\x00") {
		return fmt.Sprintf("{%d}\r\n%s", len(name), name)
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `"`
}

// match compares a name with a pattern, whose "*" matches everything and "%" everything but the separator.
func match(pattern, name, separator string) bool {
	if pattern == "" {
		return name == ""
	}
	switch first := pattern[0]; {
	case first == '*' || first == '%':
		for i := 0; i <= len(name); i++ {
			if match(pattern[1:], name[i:], separator) {
				return true
			}
			if i < len(name) && first == '%' && strings.HasPrefix(name[i:], separator) {
				return false
			}
		}
		return false
	case name == "" || first != name[0]:
		return strings.EqualFold(pattern, "INBOX") && strings.EqualFold(name, "INBOX")
	}
	return match(pattern[1:], name[1:], separator)
}

// named is the mailbox of that name; if it cannot be read, the command is answered and nil returned.
func (s *Session) named(name string) *Mailbox {
	m := s.server.account.find(name)
	if m == nil || !m.selectable() {
		s.done("NO [NONEXISTENT] no mailbox %s", quote(name))
		return nil
	}
	return m
}

func (s *Session) status(c Command) {
	m := s.named(c.text(0))
	if m == nil {
		return
	}
	items, bad := s.statusItems(m, c.Args[1].words())
	if bad != "" {
		s.done("BAD status has no %s", bad)
		return
	}
	s.reply("* STATUS %s (%s)", quote(m.Name), items)
	s.done("OK done")
}

// statusItems are the items and values that are asked for, or the item that the dialect does not know.
func (s *Session) statusItems(m *Mailbox, words []string) (items, bad string) {
	var list []string
	for _, item := range words {
		var value any
		known := true
		switch item {
		case "MESSAGES":
			value = len(m.messages)
		case "RECENT":
			value = 0
		case "UIDNEXT":
			value = m.UIDNext
		case "UIDVALIDITY":
			value = m.UIDValidity
		case "UNSEEN":
			value = len(m.messages) - m.count(`\Seen`)
		case "HIGHESTMODSEQ":
			value, known = m.HighestModSeq, s.can("CONDSTORE")
			if m.NoModSeq {
				value = 0
			}
		case "MAILBOXID":
			value, known = "("+m.ID+")", s.can("OBJECTID")
		case "SIZE":
			value, known = m.size(), s.can("STATUS=SIZE") || s.can("IMAP4rev2")
		default:
			known = false
		}
		if !known {
			return "", item
		}
		list = append(list, fmt.Sprintf("%s %v", item, value))
	}
	return strings.Join(list, " "), ""
}

// count is the number of messages with a flag.
func (m *Mailbox) count(flag string) int {
	n := 0
	for _, message := range m.messages {
		if message.has(flag) {
			n++
		}
	}
	return n
}

func (m *Mailbox) size() (octets int64) {
	for _, message := range m.messages {
		octets += message.Size
	}
	return octets
}

// has tells whether a message has a flag.
func (m *Message) has(flag string) bool {
	return slices.ContainsFunc(m.Flags, func(f string) bool { return strings.EqualFold(f, flag) })
}

func (s *Session) create(c Command) {
	name := c.text(0)
	if s.server.account.find(name) != nil {
		s.done("NO [ALREADYEXISTS] %s is there", quote(name))
		return
	}
	var uses []string
	if len(c.Args) > 1 && c.Args[1].Kind == List && len(c.Args[1].List) == 2 { // CREATE x (USE (\Sent)), RFC 6154
		if !s.can("CREATE-SPECIAL-USE") {
			s.done("BAD no special use here")
			return
		}
		for _, use := range c.Args[1].List[1].List {
			uses = append(uses, use.Text)
		}
	}
	m := s.server.account.create(strings.TrimSuffix(name, "/"), uses...)
	if s.can("OBJECTID") {
		s.done("OK [MAILBOXID (%s)] created", m.ID)
		return
	}
	s.done("OK created")
}

func (s *Session) delete(c Command) {
	if m := s.named(c.text(0)); m != nil {
		s.server.account.remove(m.Name)
		s.done("OK deleted")
	}
}

func (s *Session) rename(c Command) {
	old, to := c.text(0), c.text(1)
	if s.server.account.find(to) != nil {
		s.done("NO [ALREADYEXISTS] %s is there", quote(to))
		return
	}
	if s.named(old) == nil {
		return
	}
	for _, m := range s.server.account.mailboxes {
		if below, ok := strings.CutPrefix(m.Name, old); ok && (below == "" || strings.HasPrefix(below, m.Separator)) {
			m.Name = to + below
		}
	}
	s.done("OK renamed")
}

func (s *Session) subscribe(c Command) {
	if m := s.server.account.find(c.text(0)); m != nil {
		m.Subscribed = c.Name == "SUBSCRIBE"
	}
	s.done("OK done")
}
