package imaptest

import (
	"slices"
	"strconv"
	"strings"
)

// selectMailbox serves SELECT and EXAMINE, with the parameters of RFC 7162.
func (s *Session) selectMailbox(c Command) {
	wasOpen := s.selected != nil
	s.selected = nil
	var parameters []Arg
	if len(c.Args) > 1 {
		parameters = c.Args[1].List
	}
	for _, p := range parameters {
		if p.Kind == Atom && !s.can(p.Text) {
			s.done("BAD no parameter %s here", p.Text)
			return
		}
	}
	m := s.named(c.text(0))
	if m == nil {
		return
	}
	s.selected, s.readOnly, s.seen = m, c.Name == "EXAMINE", m.HighestModSeq
	s.view = s.view[:0]
	for _, message := range m.messages {
		s.view = append(s.view, message.UID)
	}
	if wasOpen && s.has("QRESYNC") {
		s.reply("* OK [CLOSED] the other mailbox") // RFC 7162, 3.2.11
	}
	s.describe(m)
	if at := slices.IndexFunc(parameters, func(p Arg) bool { return strings.EqualFold(p.Text, "QRESYNC") }); at >= 0 {
		if !s.has("QRESYNC") || at+1 >= len(parameters) || len(parameters[at+1].List) < 2 {
			s.done("BAD QRESYNC is not enabled, or has no parameters")
			return
		}
		s.resync(m, parameters[at+1].List)
	}
	if s.readOnly {
		s.done("OK [READ-ONLY] examined")
	} else {
		s.done("OK [READ-WRITE] selected")
	}
}

// describe sends what SELECT says of a mailbox.
func (s *Session) describe(m *Mailbox) {
	flags := `\Answered \Flagged \Deleted \Seen \Draft`
	for _, message := range m.messages {
		for _, f := range message.Flags {
			if !slices.Contains(strings.Fields(flags), f) {
				flags += " " + f
			}
		}
	}
	s.reply("* FLAGS (%s)", flags)
	switch permanent := s.server.dialect.PermanentFlags; {
	case permanent == "-":
	case s.readOnly:
		s.reply("* OK [PERMANENTFLAGS ()] read-only")
	case permanent != "":
		s.reply("* OK [PERMANENTFLAGS (%s)] kept", permanent)
	default:
		s.reply(`* OK [PERMANENTFLAGS (%s \*)] kept`, flags)
	}
	s.reply("* %d EXISTS", len(m.messages))
	s.reply("* 0 RECENT")
	s.reply("* OK [UIDVALIDITY %d] valid", m.UIDValidity)
	s.reply("* OK [UIDNEXT %d] next", m.UIDNext)
	if s.can("CONDSTORE") {
		if m.NoModSeq {
			s.reply("* OK [NOMODSEQ] none here")
		} else {
			s.reply("* OK [HIGHESTMODSEQ %d] highest", m.HighestModSeq)
		}
	}
	if s.can("OBJECTID") {
		s.reply("* OK [MAILBOXID (%s)] id", m.ID)
	}
}

// resync tells what changed since the client was here (RFC 7162, 3.2.5), unless its UIDVALIDITY is of another life.
func (s *Session) resync(m *Mailbox, parameters []Arg) {
	validity, errV := strconv.ParseUint(parameters[0].Text, 10, 32)
	since, errS := strconv.ParseUint(parameters[1].Text, 10, 64)
	if errV != nil || errS != nil || uint32(validity) != m.UIDValidity || m.NoModSeq {
		return
	}
	s.vanishedEarlier(m, since, nil)
	for i, message := range m.messages {
		if message.ModSeq > since {
			s.reply("* %d FETCH (UID %d FLAGS (%s) MODSEQ (%d))", i+1, message.UID, strings.Join(message.Flags, " "), message.ModSeq)
		}
	}
}

// vanishedEarlier tells which of the UIDs asked for (nil is all) were expunged since a mod-sequence.
func (s *Session) vanishedEarlier(m *Mailbox, since uint64, asked numbers) {
	var uids []uint32
	for _, g := range m.gone {
		if g.modSeq > since && (asked == nil || asked.has(g.uid)) {
			uids = append(uids, g.uid)
		}
	}
	if len(uids) > 0 {
		slices.Sort(uids)
		s.reply("* VANISHED (EARLIER) %s", formatNumbers(uids))
	}
}

// update tells the client what came and went in the selected mailbox. It is only called where sequence numbers may
// change (RFC 9051, 7.5.1).
func (s *Session) update() {
	if s.selected == nil {
		return
	}
	there := map[uint32]bool{}
	for _, message := range s.selected.messages {
		there[message.UID] = true
	}
	var vanished []uint32
	for i := len(s.view) - 1; i >= 0; i-- {
		uid := s.view[i]
		if there[uid] {
			continue
		}
		s.view = slices.Delete(s.view, i, i+1)
		if s.has("QRESYNC") {
			vanished = append(vanished, uid)
		} else {
			s.reply("* %d EXPUNGE", i+1)
		}
	}
	if len(vanished) > 0 {
		slices.Sort(vanished)
		s.reply("* VANISHED %s", formatNumbers(vanished))
	}
	if len(s.view) == len(s.selected.messages) {
		return
	}
	s.view = s.view[:0]
	for _, message := range s.selected.messages {
		s.view = append(s.view, message.UID)
	}
	s.reply("* %d EXISTS", len(s.view))
}

// chosen are the messages of a set, of UIDs or of sequence numbers as the client knows them, with those numbers.
func (s *Session) chosen(c Command, set string) (messages []*Message, sequence []int, err error) {
	uids := strings.HasPrefix(c.Name, "UID ")
	last := uint32(len(s.view))
	if uids && len(s.view) > 0 {
		last = s.view[len(s.view)-1]
	}
	wanted, err := parseNumbers(set, last)
	if err != nil {
		return nil, nil, err
	}
	byUID := map[uint32]*Message{}
	for _, message := range s.selected.messages {
		byUID[message.UID] = message
	}
	for i, uid := range s.view {
		if n := uint32(i + 1); uids && wanted.has(uid) || !uids && wanted.has(n) {
			if message := byUID[uid]; message != nil {
				messages, sequence = append(messages, message), append(sequence, i+1)
			}
		}
	}
	return messages, sequence, nil
}

func (s *Session) close(Command) {
	if !s.readOnly {
		s.selected.expunge(func(m *Message) bool { return m.has(`\Deleted`) })
	}
	s.selected = nil
	s.done("OK closed")
}
