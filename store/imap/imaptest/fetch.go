package imaptest

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// fetch serves FETCH and UID FETCH. BODYSTRUCTURE, ENVELOPE and BODY without brackets are refused: no client of ours may
// ask for them.
func (s *Session) fetch(c Command) {
	var items []string
	for _, w := range c.Args[1].words() {
		if !s.knows(w) {
			s.done("BAD no item %s here", w)
			return
		}
		items = append(items, w)
	}
	since, vanished, ok := s.modifiers(c)
	if !ok {
		s.done("BAD cannot read these modifiers")
		return
	}
	if since > 0 && !slices.Contains(items, "MODSEQ") {
		items = append(items, "MODSEQ") // RFC 7162, 3.1.4.1
	}
	if strings.HasPrefix(c.Name, "UID ") && !slices.Contains(items, "UID") {
		items = append([]string{"UID"}, items...)
	}
	s.updateIfUID(c)
	messages, sequence, err := s.chosen(c, c.text(0))
	if err != nil {
		s.done("BAD %v", err)
		return
	}
	if vanished {
		set, _ := parseNumbers(c.text(0), 1<<32-1)
		s.vanishedEarlier(s.selected, since, set)
	}
	broken := s.server.dialect.Broken
	for i, message := range messages {
		if message.ModSeq <= since && since > 0 {
			continue
		}
		if broken != nil && slices.ContainsFunc(items, bytesItem) {
			if line := broken(s.selected, message.UID); line != "" {
				s.done("%s", line)
				return
			}
		}
		s.reply("* %d FETCH (%s)", sequence[i], s.values(message, items))
	}
	s.done("OK done")
}

// updateIfUID tells of changes before a UID command is served; commands with sequence numbers may not be disturbed.
func (s *Session) updateIfUID(c Command) {
	if strings.HasPrefix(c.Name, "UID ") {
		s.update()
	}
}

// bytesItem tells whether an item is bytes of the message.
func bytesItem(item string) bool {
	return strings.HasPrefix(item, "BODY") || strings.HasPrefix(item, "RFC822") && item != "RFC822.SIZE"
}

// modifiers reads (CHANGEDSINCE n VANISHED) (RFC 7162, 3.1.4.1 and 3.2.6).
func (s *Session) modifiers(c Command) (since uint64, vanished, ok bool) {
	if len(c.Args) < 3 {
		return 0, false, true
	}
	if !s.can("CONDSTORE") || c.Args[2].Kind != List {
		return 0, false, false
	}
	words := c.Args[2].words()
	for i, w := range words {
		switch {
		case w == "CHANGEDSINCE" && i+1 < len(words):
			n, err := strconv.ParseUint(words[i+1], 10, 63)
			if err != nil {
				return 0, false, false
			}
			since = n
		case w == "VANISHED":
			vanished = s.has("QRESYNC") && strings.HasPrefix(c.Name, "UID ")
			if !vanished {
				return 0, false, false
			}
		}
	}
	return since, vanished, true
}

// knows tells whether the dialect has an item.
func (s *Session) knows(item string) bool {
	switch item {
	case "UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "RFC822", "RFC822.HEADER", "RFC822.TEXT":
		return true
	case "MODSEQ":
		return s.can("CONDSTORE")
	case "EMAILID", "THREADID":
		return s.can("OBJECTID")
	case "X-GM-MSGID", "X-GM-THRID", "X-GM-LABELS":
		return s.can("X-GM-EXT-1")
	case "X-GUID":
		return s.can("X-GUID")
	}
	section, partial, ok := cutSection(item)
	if !ok {
		return false
	}
	if _, _, err := parsePartial(partial); err != nil {
		return false
	}
	return section == "" || section == "HEADER" || section == "TEXT" || strings.HasPrefix(section, "HEADER.FIELDS (")
}

// cutSection takes BODY[section]<partial> or BODY.PEEK[section]<partial> apart.
func cutSection(item string) (section, partial string, ok bool) {
	rest, ok := strings.CutPrefix(strings.Replace(item, "BODY.PEEK[", "BODY[", 1), "BODY[")
	if !ok {
		return "", "", false
	}
	return strings.Cut(rest, "]")
}

// parsePartial reads <first.count>; without it everything is meant.
func parsePartial(text string) (first, count int, err error) {
	if text == "" {
		return 0, 1 << 30, nil
	}
	_, err = fmt.Sscanf(text, "<%d.%d>", &first, &count)
	return first, count, err
}

// values are the items of a message with their values.
func (s *Session) values(m *Message, items []string) string {
	var b strings.Builder
	for i, item := range items {
		if i > 0 {
			b.WriteByte(' ')
		}
		switch item {
		case "UID":
			fmt.Fprintf(&b, "UID %d", m.UID)
		case "FLAGS":
			fmt.Fprintf(&b, "FLAGS (%s)", strings.Join(m.Flags, " "))
		case "INTERNALDATE":
			fmt.Fprintf(&b, `INTERNALDATE "%s"`, m.InternalDate)
		case "RFC822.SIZE":
			fmt.Fprintf(&b, "RFC822.SIZE %d", m.Size)
		case "MODSEQ":
			fmt.Fprintf(&b, "MODSEQ (%d)", m.ModSeq)
		case "EMAILID":
			fmt.Fprintf(&b, "EMAILID (%s)", m.EmailID)
		case "THREADID":
			fmt.Fprintf(&b, "THREADID %s", cmpNil("("+m.ThreadID+")", m.ThreadID))
		case "X-GM-MSGID", "X-GUID":
			fmt.Fprintf(&b, "%s %s", item, m.EmailID)
		case "X-GM-THRID":
			fmt.Fprintf(&b, "X-GM-THRID %s", cmpNil(m.ThreadID, m.ThreadID))
		case "X-GM-LABELS":
			fmt.Fprintf(&b, "X-GM-LABELS (%s)", m.Labels)
		default:
			s.bytes(&b, m, item)
		}
	}
	return b.String()
}

// cmpNil is text, or NIL if there is no value.
func cmpNil(text, value string) string {
	if value == "" {
		return "NIL"
	}
	return text
}

// bytes writes an item that is bytes of the message. Asked for without PEEK it sets \Seen.
func (s *Session) bytes(b *strings.Builder, m *Message, item string) {
	header, text := splitMessage(m.Body)
	name, content := item, m.Body
	section, partial, isBody := cutSection(item)
	switch {
	case item == "RFC822.HEADER" || section == "HEADER":
		content = header
	case item == "RFC822.TEXT" || section == "TEXT":
		content = text
	case strings.HasPrefix(section, "HEADER.FIELDS ("):
		content = fields(header, strings.Fields(strings.Trim(section[len("HEADER.FIELDS "):], "()")))
	}
	if isBody {
		name = "BODY[" + section + "]"
		if partial != "" {
			first, count, _ := parsePartial(partial) // knows has read it
			first = min(first, len(content))
			content = content[first:min(first+count, len(content))]
			name += fmt.Sprintf("<%d>", first)
		}
	}
	peek := strings.HasPrefix(item, "BODY.PEEK[") || item == "RFC822.HEADER"
	if !peek && !s.readOnly && !m.has(`\Seen`) {
		s.selected.setFlags(m, append(m.Flags, `\Seen`))
	}
	fmt.Fprintf(b, "%s {%d}\r\n", name, len(content))
	b.Write(content)
}

// splitMessage is the header with the empty line that ends it, and what follows.
func splitMessage(body []byte) (header, text []byte) {
	if bytes.HasPrefix(body, []byte("\r\n")) {
		return body[:2], body[2:]
	}
	if i := bytes.Index(body, []byte("\r\n\r\n")); i >= 0 {
		return body[:i+4], body[i+4:]
	}
	return body, nil
}

// fields are the fields of a header with one of the names, with their continuations and an empty line.
func fields(header []byte, names []string) []byte {
	var out []byte
	wanted := false
	for line := range bytes.Lines(header) {
		if len(line) > 0 && line[0] != ' ' && line[0] != '\t' {
			name, _, _ := bytes.Cut(line, []byte(":"))
			wanted = slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, string(name)) })
		}
		if wanted {
			out = append(out, line...)
		}
	}
	return append(out, "\r\n"...)
}
