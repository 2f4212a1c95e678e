package imaptest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// search serves SEARCH and UID SEARCH: ALL, UID, sets, flags, HEADER, MODSEQ, NOT, OR, and RETURN (RFC 4731).
func (s *Session) search(c Command) {
	args := c.Args
	var returns []string
	if strings.EqualFold(args[0].Text, "RETURN") && len(args) > 1 {
		if !s.can("ESEARCH") {
			s.done("BAD no RETURN here")
			return
		}
		returns, args = append(args[1].words(), "ESEARCH"), args[2:]
	}
	if len(args) > 1 && strings.EqualFold(args[0].Text, "CHARSET") {
		args = args[2:]
	}
	s.updateIfUID(c)
	var found []uint32
	messages, sequence, _ := s.chosen(Command{Name: "UID"}, "1:*")
	for i, message := range messages {
		ok, err := s.matchesAll(message, sequence[i], args)
		if err != nil {
			s.done("BAD %v", err)
			return
		}
		switch {
		case ok && strings.HasPrefix(c.Name, "UID "):
			found = append(found, message.UID)
		case ok:
			found = append(found, uint32(sequence[i]))
		}
	}
	if returns == nil {
		var b strings.Builder
		for _, n := range found {
			fmt.Fprintf(&b, " %d", n)
		}
		s.reply("* SEARCH%s", b.String())
	} else {
		s.esearch(c, returns, found)
	}
	s.done("OK done")
}

// esearch answers in the extended form.
func (s *Session) esearch(c Command, returns []string, found []uint32) {
	var b strings.Builder
	fmt.Fprintf(&b, `* ESEARCH (TAG "%s")`, c.Tag)
	if strings.HasPrefix(c.Name, "UID ") {
		b.WriteString(" UID")
	}
	if len(returns) == 1 || slices.Contains(returns, "COUNT") {
		fmt.Fprintf(&b, " COUNT %d", len(found))
	}
	if len(found) > 0 {
		if slices.Contains(returns, "MIN") {
			fmt.Fprintf(&b, " MIN %d", slices.Min(found))
		}
		if slices.Contains(returns, "MAX") {
			fmt.Fprintf(&b, " MAX %d", slices.Max(found))
		}
		if len(returns) == 1 || slices.Contains(returns, "ALL") {
			fmt.Fprintf(&b, " ALL %s", formatNumbers(found))
		}
	}
	s.reply("%s", b.String())
}

// matchesAll tells whether a message matches each of the keys.
func (s *Session) matchesAll(m *Message, sequence int, keys []Arg) (bool, error) {
	all := true
	for len(keys) > 0 {
		ok, rest, err := s.matches(m, sequence, keys)
		if err != nil {
			return false, err
		}
		all, keys = all && ok, rest
	}
	return all, nil
}

// matches reads the first key, and tells whether a message matches it and what keys follow.
func (s *Session) matches(m *Message, sequence int, keys []Arg) (ok bool, rest []Arg, err error) {
	key, rest := keys[0], keys[1:]
	if key.Kind == List {
		ok, err := s.matchesAll(m, sequence, key.List)
		return ok, rest, err
	}
	next := func() string {
		if len(rest) == 0 {
			err = errors.New("search key without its argument")
			return ""
		}
		text := rest[0].Text
		rest = rest[1:]
		return text
	}
	switch name := strings.ToUpper(key.Text); name {
	case "ALL":
		ok = true
	case "ANSWERED", "DELETED", "DRAFT", "FLAGGED", "SEEN":
		ok = m.has(`\` + name)
	case "UNANSWERED", "UNDELETED", "UNDRAFT", "UNFLAGGED", "UNSEEN":
		ok = !m.has(`\` + name[2:])
	case "KEYWORD":
		ok = m.has(next())
	case "UNKEYWORD":
		ok = !m.has(next())
	case "MODSEQ":
		least, _ := strconv.ParseUint(next(), 10, 63)
		ok = m.ModSeq >= least
	case "HEADER":
		name, value := next(), next()
		header, _ := splitMessage(m.Body)
		ok = bytes.Contains(bytes.ToLower(fields(header, []string{name})), bytes.ToLower([]byte(value)))
	case "UID":
		ok, err = inSet(next(), m.UID, s.selected.UIDNext)
	case "NOT":
		if len(rest) == 0 {
			return false, nil, errors.New("NOT without a key")
		}
		ok, rest, err = s.matches(m, sequence, rest)
		ok = !ok
	case "OR":
		if len(rest) < 2 {
			return false, nil, errors.New("OR without two keys")
		}
		var one, other bool
		one, rest, err = s.matches(m, sequence, rest)
		if err == nil && len(rest) > 0 {
			other, rest, err = s.matches(m, sequence, rest)
		}
		ok = one || other
	default:
		ok, err = inSet(key.Text, uint32(sequence), uint32(len(s.view)))
	}
	return ok, rest, err
}

func inSet(text string, n, last uint32) (bool, error) {
	set, err := parseNumbers(text, last)
	return err == nil && set.has(n), err
}
