package query

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"roost/mail"
)

// DateField says which date of a message a period is held against.
type DateField string

const (
	// ByInternal is the time at which the store received the message.
	ByInternal DateField = "internal"
	// ByHeader is the Date field of the message's own header.
	ByHeader DateField = "header"
)

// Selection is a choice of mailboxes and messages. The zero value is
// everything. It is recorded in each snapshot that was taken with it.
type Selection struct {
	// Folders are the mailboxes wanted, as masks ("Work/*") or roles
	// ("\Sent"); none: all. See Mask.
	Folders []string `json:"folders,omitempty"`
	// Exclude are the mailboxes not wanted; they win over Folders.
	Exclude []string `json:"exclude,omitempty"`
	// NoChildren: a mask or role means just the mailboxes that it matches.
	// Without it, it means what is below them too.
	NoChildren bool `json:"no_children,omitempty"`

	Since  time.Time `json:"since,omitzero"`  // messages of this time and later; zero: all
	Before time.Time `json:"before,omitzero"` // messages earlier than this; zero: all
	Date   DateField `json:"date,omitempty"`  // which date the two mean; "": ByInternal

	MaxSize         int64 `json:"max_size,omitempty"`         // octets; larger messages are left out; 0: no limit
	SkipAttachments bool  `json:"skip_attachments,omitempty"` // store placeholders in place of attachments
}

// IsZero reports whether s is everything, unaltered.
func (s Selection) IsZero() bool {
	return len(s.Folders) == 0 && len(s.Exclude) == 0 && s.Since.IsZero() && s.Before.IsZero() &&
		s.MaxSize == 0 && !s.SkipAttachments
}

// Clean checks s and returns it in canonical form: masks sorted, each once,
// times in UTC, what has no effect left out. Two selections that mean the same
// mostly have the same canonical form; the same form always means the same.
func (s Selection) Clean() (Selection, error) {
	var err error
	if s.Folders, err = cleanMasks(s.Folders); err != nil {
		return s, err
	}
	if s.Exclude, err = cleanMasks(s.Exclude); err != nil {
		return s, err
	}
	if len(s.Folders) == 0 && len(s.Exclude) == 0 {
		s.NoChildren = false
	}
	s.Since, s.Before = utc(s.Since), utc(s.Before)
	if !s.Since.IsZero() && !s.Before.IsZero() && !s.Since.Before(s.Before) {
		return s, fmt.Errorf("empty period: since %s is not before %s", stamp(s.Since), stamp(s.Before))
	}
	switch s.Date {
	case "", ByInternal, ByHeader:
	default:
		return s, fmt.Errorf("unknown date field %q: it is %q or %q", s.Date, ByInternal, ByHeader)
	}
	if s.Since.IsZero() && s.Before.IsZero() || s.Date == ByInternal {
		s.Date = ""
	}
	if s.MaxSize < 0 {
		return s, fmt.Errorf("largest size %d is negative", s.MaxSize)
	}
	return s, nil
}

// Canonical is the text in which s is recorded and compared: the JSON of its
// canonical form, "" for everything.
func (s Selection) Canonical() (string, error) {
	c, err := s.Clean()
	if err != nil || c.IsZero() {
		return "", err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode selection: %w", err)
	}
	return string(text), nil
}

// String is s in the words of the command line, for people; "everything" if it
// leaves out nothing.
func (s Selection) String() string {
	var words []string
	for _, f := range s.Folders {
		words = append(words, fmt.Sprintf("folder %q", f))
	}
	for _, f := range s.Exclude {
		words = append(words, fmt.Sprintf("exclude %q", f))
	}
	if s.NoChildren {
		words = append(words, "without children")
	}
	by := ""
	if s.Date == ByHeader {
		by = " by header date"
	}
	if !s.Since.IsZero() {
		words = append(words, "since "+stamp(s.Since)+by)
	}
	if !s.Before.IsZero() {
		words = append(words, "before "+stamp(s.Before)+by)
	}
	if s.MaxSize > 0 {
		words = append(words, "at most "+FormatSize(s.MaxSize))
	}
	if s.SkipAttachments {
		words = append(words, "without attachments")
	}
	if len(words) == 0 {
		return "everything"
	}
	return strings.Join(words, ", ")
}

// Mailboxes splits all mailboxes of a store into those that are meant and those
// that are not, both in the order of all. It wants the whole list because a
// mailbox below one with a role is known by its ancestor only. An ancestor that
// the store does not list, as "Work" in a Maildir++ that has only ".Work.a", is
// meant by its name all the same. A mask that cannot be read, which Clean would
// have refused, matches nothing.
func (s Selection) Mailboxes(all []mail.Mailbox) (meant, left []mail.Mailbox) {
	whole := withAncestors(all)
	wanted, unwanted := matched(parseMasks(s.Folders), whole), matched(parseMasks(s.Exclude), whole)
	for _, box := range all {
		in := len(s.Folders) == 0 || s.reaches(wanted, box.Name)
		if in && !s.reaches(unwanted, box.Name) {
			meant = append(meant, box)
		} else {
			left = append(left, box)
		}
	}
	return meant, left
}

// Unmatched are the masks and roles of Folders that mean none of all the
// mailboxes of a store. Most likely they are mistakes.
func (s Selection) Unmatched(all []mail.Mailbox) []string {
	var unmatched []string
	whole := withAncestors(all)
	for _, m := range parseMasks(s.Folders) {
		one := Selection{NoChildren: s.NoChildren}
		set := matched([]Mask{m}, whole)
		if !slices.ContainsFunc(all, func(box mail.Mailbox) bool { return one.reaches(set, box.Name) }) {
			unmatched = append(unmatched, m.String())
		}
	}
	return unmatched
}

// withAncestors is all with the ancestors that are not listed, by name only.
func withAncestors(all []mail.Mailbox) []mail.Mailbox {
	listed := make(map[mail.Name]bool, len(all))
	for _, box := range all {
		listed[box.Name] = true
	}
	whole := slices.Clone(all)
	for _, box := range all {
		for name := box.Name.Parent(); name != "" && !listed[name]; name = name.Parent() {
			listed[name] = true
			whole = append(whole, mail.Mailbox{Name: name})
		}
	}
	return whole
}

// matched are the names of the mailboxes that one of masks matches.
func matched(masks []Mask, all []mail.Mailbox) map[mail.Name]bool {
	set := make(map[mail.Name]bool)
	for _, box := range all {
		if matchAny(masks, box) {
			set[box.Name] = true
		}
	}
	return set
}

// reaches reports whether name, or unless NoChildren an ancestor of it, is in set.
func (s Selection) reaches(set map[mail.Name]bool, name mail.Name) bool {
	for len(set) > 0 && name != "" {
		if set[name] {
			return true
		}
		if s.NoChildren {
			return false
		}
		name = name.Parent()
	}
	return false
}

// NeedsHeader reports whether Message wants the header's date.
func (s Selection) NeedsHeader() bool {
	return s.Date == ByHeader && (!s.Since.IsZero() || !s.Before.IsZero())
}

// Message reports whether m is left out, and by which rule. header is the date
// of its Date field; it is looked at only if NeedsHeader, and zero if the field
// is missing or unreadable. What is not known (a date, a size of -1) excludes
// nothing; a caller that learns the size later may ask again.
func (s Selection) Message(m *mail.Message, header time.Time) (rule string, excluded bool) {
	when := m.InternalDate
	if s.Date == ByHeader {
		when = header
	}
	switch {
	case when.IsZero():
	case !s.Since.IsZero() && when.Before(s.Since):
		return "since " + stamp(s.Since), true
	case !s.Before.IsZero() && !when.Before(s.Before):
		return "before " + stamp(s.Before), true
	}
	if s.MaxSize > 0 && m.Size > s.MaxSize {
		return "at most " + FormatSize(s.MaxSize), true
	}
	return "", false
}

func cleanMasks(texts []string) ([]string, error) {
	var out []string
	for _, text := range texts {
		m, err := ParseMask(text)
		if err != nil {
			return nil, err
		}
		out = append(out, m.String())
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

func parseMasks(texts []string) []Mask {
	var out []Mask
	for _, text := range texts {
		if m, err := ParseMask(text); err == nil {
			out = append(out, m)
		}
	}
	return out
}

func matchAny(masks []Mask, box mail.Mailbox) bool {
	return slices.ContainsFunc(masks, func(m Mask) bool { return m.Match(box) })
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
