package query

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"roost/mail"
)

// Mask matches mailboxes by name or by role.
//
// A role is a backslash and letters, in any case: "\Junk". Anything else is a
// name in decoded UTF-8 with "/" between its components, spelled as mail.Name
// spells it, in which "*" stands for any run of characters, "/" too, as in IMAP
// LIST, "?" for one character other than "/", and "\*", "\?", "\\" for the
// character itself. Names are compared letter by letter, as servers do; only
// INBOX, as first component, matches in any case.
type Mask struct {
	role  mail.Role // "" for a mask by name
	parts []rune    // the characters to match; anyRun and anyRune are wildcards
	text  string    // canonical
}

const (
	anyRun  = rune(-1)
	anyRune = rune(-2)
)

// maxMask bounds a mask; no server has names this long.
const maxMask = 4096

// ParseMask reads a mask. It refuses the empty one, one that is no UTF-8, a
// trailing backslash, and "/" at either end, which no mailbox has.
func ParseMask(text string) (Mask, error) {
	switch {
	case text == "":
		return Mask{}, fmt.Errorf("empty folder mask")
	case len(text) > maxMask:
		return Mask{}, fmt.Errorf("folder mask %.40q... is longer than %d bytes", text, maxMask)
	case !utf8.ValidString(text):
		return Mask{}, fmt.Errorf("folder mask %q is not UTF-8", text)
	}
	if isRole(text) {
		role := mail.Role(`\` + strings.ToUpper(text[1:2]) + strings.ToLower(text[2:]))
		return Mask{role: role, text: string(role)}, nil
	}
	if strings.HasPrefix(text, "/") || strings.HasSuffix(text, "/") {
		return Mask{}, fmt.Errorf("folder mask %q begins or ends with \"/\"", text)
	}
	text = foldInbox(text)
	m := Mask{text: text}
	escaped := false
	for _, r := range text {
		switch {
		case escaped:
			m.parts = append(m.parts, r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == '?':
			m.parts = append(m.parts, anyRune)
		case r == '*':
			if n := len(m.parts); n == 0 || m.parts[n-1] != anyRun {
				m.parts = append(m.parts, anyRun)
			}
		default:
			m.parts = append(m.parts, r)
		}
	}
	if escaped {
		return Mask{}, fmt.Errorf("folder mask %q ends with a single backslash", text)
	}
	return m, nil
}

// String is the mask in canonical spelling.
func (m Mask) String() string { return m.text }

// Match reports whether the mailbox itself, not an ancestor, is meant.
func (m Mask) Match(box mail.Mailbox) bool {
	if m.role != "" {
		return strings.EqualFold(string(m.role), string(box.Role))
	}
	return matchRunes(m.parts, []rune(string(box.Name)))
}

// matchRunes compares in len(mask)*len(name) steps at worst: after a mismatch
// only the last run is made longer, for an earlier one need not be.
func matchRunes(mask, name []rune) bool {
	var i, j int
	run, from := -1, 0 // the last anyRun seen, and where in name it ends
	for j < len(name) {
		switch {
		case i < len(mask) && mask[i] == anyRun:
			run, from = i, j
			i++
		case i < len(mask) && (mask[i] == name[j] || mask[i] == anyRune && name[j] != '/'):
			i++
			j++
		case run >= 0:
			from++
			i, j = run+1, from
		default:
			return false
		}
	}
	for i < len(mask) && mask[i] == anyRun {
		i++
	}
	return i == len(mask)
}

func isRole(text string) bool {
	if len(text) < 2 || text[0] != '\\' {
		return false
	}
	for _, c := range text[1:] {
		if c > unicode.MaxASCII || !unicode.IsLetter(c) {
			return false
		}
	}
	return true
}

func foldInbox(text string) string {
	first, rest, below := strings.Cut(text, "/")
	if !strings.EqualFold(first, string(mail.Inbox)) {
		return text
	}
	if below {
		return string(mail.Inbox) + "/" + rest
	}
	return string(mail.Inbox)
}
