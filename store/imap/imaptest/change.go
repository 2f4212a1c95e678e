package imaptest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// append serves APPEND, of several messages where the dialect has MULTIAPPEND (RFC 3502).
func (s *Session) append(c Command) {
	m := s.server.account.find(c.text(0))
	if m == nil || !m.selectable() {
		s.done("NO [TRYCREATE] no mailbox %s", quote(c.text(0)))
		return
	}
	var messages []Message
	var next Message
	for _, arg := range c.Args[1:] {
		switch arg.Kind {
		case List:
			for _, f := range arg.List {
				next.Flags = append(next.Flags, f.Text)
			}
		case Quoted:
			next.InternalDate = arg.Text
		case Literal:
			next.Body = []byte(arg.Text)
			if next.InternalDate == "" {
				next.InternalDate = Date(time.Now())
			}
			messages = append(messages, next)
			next = Message{}
		default:
			s.done("BAD %q is no part of a message", arg.Text)
			return
		}
	}
	if len(messages) == 0 || len(messages) > 1 && !s.can("MULTIAPPEND") {
		s.done("BAD %d messages to append", len(messages))
		return
	}
	var uids []uint32
	for _, message := range messages {
		uids = append(uids, m.append(message))
	}
	if m == s.selected {
		s.update()
	}
	if s.can("UIDPLUS") {
		s.done("OK [APPENDUID %d %s] appended", m.UIDValidity, formatNumbers(uids))
		return
	}
	s.done("OK appended")
}

// store serves STORE and UID STORE, with UNCHANGEDSINCE (RFC 7162, 3.1.3).
func (s *Session) store(c Command) {
	messages, sequence, err := s.chosen(c, c.text(0))
	if err != nil {
		s.done("BAD %v", err)
		return
	}
	args := c.Args[1:]
	unchangedSince := uint64(1<<63 - 1)
	if args[0].Kind == List && s.can("CONDSTORE") && len(args) == 3 {
		if w := args[0].words(); len(w) == 2 && w[0] == "UNCHANGEDSINCE" {
			unchangedSince, _ = strconv.ParseUint(w[1], 10, 63)
		}
		args = args[1:]
	}
	item, silent := strings.CutSuffix(strings.ToUpper(args[0].Text), ".SILENT")
	var flags []string
	for _, arg := range args[1:] {
		flags = append(flags, arg.Text)
		for _, one := range arg.List {
			flags = append(flags, one.Text)
		}
	}
	flags = slices.DeleteFunc(flags, func(f string) bool { return f == "" || !s.permits(f) })
	var modified []uint32
	for i, message := range messages {
		if message.ModSeq > unchangedSince {
			modified = append(modified, message.UID)
			continue
		}
		s.selected.setFlags(message, storeFlags(message.Flags, item, flags))
		switch {
		case silent && s.can("CONDSTORE"):
			s.reply("* %d FETCH (UID %d MODSEQ (%d))", sequence[i], message.UID, message.ModSeq)
		case !silent:
			s.reply("* %d FETCH (UID %d FLAGS (%s))", sequence[i], message.UID, strings.Join(message.Flags, " "))
		}
	}
	if len(modified) > 0 {
		s.done("OK [MODIFIED %s] some had changed", formatNumbers(modified))
		return
	}
	s.done("OK done")
}

// storeFlags is what STORE makes of the flags of a message.
func storeFlags(old []string, item string, flags []string) []string {
	among := func(f string) bool {
		return slices.ContainsFunc(flags, func(g string) bool { return strings.EqualFold(f, g) })
	}
	switch item {
	case "FLAGS":
		return flags
	case "-FLAGS":
		return slices.DeleteFunc(slices.Clone(old), among)
	}
	return append(slices.DeleteFunc(slices.Clone(old), among), flags...)
}

// permits tells whether the dialect keeps a flag.
func (s *Session) permits(flag string) bool {
	permanent := s.server.dialect.PermanentFlags
	if permanent == "" || permanent == "-" {
		return true
	}
	words := strings.Fields(permanent)
	return slices.Contains(words, `\*`) && !strings.HasPrefix(flag, `\`) || slices.ContainsFunc(words, func(f string) bool { return strings.EqualFold(f, flag) })
}

// copyOrMove serves COPY, MOVE (RFC 6851) and their UID forms.
func (s *Session) copyOrMove(c Command) {
	to := s.server.account.find(c.text(1))
	if to == nil || !to.selectable() {
		s.done("NO [TRYCREATE] no mailbox %s", quote(c.text(1)))
		return
	}
	messages, _, err := s.chosen(c, c.text(0))
	if err != nil {
		s.done("BAD %v", err)
		return
	}
	var from, made []uint32
	for _, message := range messages {
		copied := *message
		copied.UID, copied.ModSeq, copied.Flags = 0, 0, slices.Clone(message.Flags)
		from, made = append(from, message.UID), append(made, to.append(copied))
	}
	code := ""
	if s.can("UIDPLUS") && len(made) > 0 {
		code = fmt.Sprintf("[COPYUID %d %s %s] ", to.UIDValidity, formatNumbers(from), formatNumbers(made))
	}
	if strings.HasSuffix(c.Name, "MOVE") {
		if code != "" {
			s.reply("* OK %smoved", code)
		}
		s.selected.expunge(func(m *Message) bool { return slices.Contains(from, m.UID) })
		s.update()
		s.done("OK moved")
		return
	}
	s.update()
	s.done("OK %scopied", code)
}

// expunge serves EXPUNGE and UID EXPUNGE (RFC 4315).
func (s *Session) expunge(c Command) {
	chosen := func(m *Message) bool { return m.has(`\Deleted`) }
	if c.Name == "UID EXPUNGE" {
		set, err := parseNumbers(c.text(0), s.selected.UIDNext)
		if err != nil {
			s.done("BAD %v", err)
			return
		}
		chosen = func(m *Message) bool { return m.has(`\Deleted`) && set.has(m.UID) }
	}
	s.selected.expunge(chosen)
	s.update()
	s.done("OK done")
}
