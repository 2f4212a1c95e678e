package query

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"roost/mail"
	"roost/message"
)

// value is what stands behind the colon of a field.
type value struct {
	text   string
	prefix bool // it ends with a bare "*"
}

// field is a thing that can be asked of messages.
type field struct {
	name    string
	reach   Reach
	early   bool // it may answer Yes before all of its reach is known
	history bool
	read    func(v value, now time.Time) (asking, error)
}

// anywhere is the field of free words.
var anywhere = &field{name: "", reach: Whole, early: true, read: func(v value, _ time.Time) (asking, error) {
	return wordsIn(v, func(s *Sight, in func(message.Words) bool) Truth {
		for _, name := range []string{"Subject", "From", "To", "Cc", "Bcc"} {
			if in(s.words(name)) {
				return Yes
			}
		}
		if s.Wording == nil {
			return Maybe
		}
		return truth(in(s.Wording.Body) || in(s.Wording.Filenames))
	})
}}

// FieldNames are the names that may stand before a colon.
func FieldNames() []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

// fieldOf finds a field by its name.
func fieldOf(name string) (*field, bool) {
	i := slices.IndexFunc(fields, func(f *field) bool { return strings.EqualFold(f.name, name) })
	if i < 0 {
		return nil, false
	}
	return fields[i], true
}

// fields are the fields that can be named, as doc/query.md lists them.
var fields = []*field{
	{name: "from", reach: Headed, read: headed("From")},
	{name: "to", reach: Headed, read: headed("To")},
	{name: "cc", reach: Headed, read: headed("Cc")},
	{name: "bcc", reach: Headed, read: headed("Bcc")},
	{name: "subject", reach: Headed, read: headed("Subject")},
	{name: "body", reach: Whole, read: worded(func(w *message.Wording) message.Words { return w.Body })},
	{name: "filename", reach: Whole, read: worded(func(w *message.Wording) message.Words { return w.Filenames })},
	{name: "has", reach: Whole, read: readHas},
	{name: "folder", read: readFolder},
	{name: "role", read: readRole},
	{name: "flag", read: readFlag},
	{name: "keyword", read: readKeyword},
	{name: "label", read: readLabel},
	{name: "date", reach: Headed, read: period(func(s *Sight) time.Time { t, _ := s.Header.Date(); return t })},
	{name: "received", read: period(func(s *Sight) time.Time { return s.Message.InternalDate })},
	{name: "larger", read: sized(func(size, than int64) bool { return size > than })},
	{name: "smaller", read: sized(func(size, than int64) bool { return size >= 0 && size < than })},
	{name: "message-id", reach: Headed, read: readMessageID},
	{name: "guid", read: exactly(func(s *Sight) []string { return []string{s.Message.GUID} })},
	{name: "key", read: exactly(func(s *Sight) []string { return []string{string(s.Message.Key), string(s.SourceKey)} })},
	{name: "uid", read: readUID},
	{name: "added", history: true, read: period(func(s *Sight) time.Time { return s.Added })},
	{name: "deleted", history: true, read: period(func(s *Sight) time.Time { return s.Deleted })},
}

type reader = func(value, time.Time) (asking, error)

// wordsIn asks for words; look is given the test whether they stand in a text.
func wordsIn(v value, look func(*Sight, func(message.Words) bool) Truth) (asking, error) {
	phrase := message.WordsOf(v.text)
	if phrase == "" {
		return nil, fmt.Errorf("%q has no word in it", v.text)
	}
	in := func(w message.Words) bool { return w.Contain(phrase, v.prefix) }
	return func(s *Sight) Truth { return look(s, in) }, nil
}

func headed(name string) reader {
	return func(v value, _ time.Time) (asking, error) {
		return wordsIn(v, func(s *Sight, in func(message.Words) bool) Truth { return truth(in(s.words(name))) })
	}
}

func worded(of func(*message.Wording) message.Words) reader {
	return func(v value, _ time.Time) (asking, error) {
		return wordsIn(v, func(s *Sight, in func(message.Words) bool) Truth { return truth(in(of(s.Wording))) })
	}
}

func period(of func(*Sight) time.Time) reader {
	return func(v value, now time.Time) (asking, error) {
		since, before, err := ParsePeriod(v.text, now)
		if err == nil && !since.IsZero() && since.Equal(before) { // a moment, as "36 hours ago": since then
			before = time.Time{}
		}
		return func(s *Sight) Truth {
			t := of(s)
			return truth(!t.IsZero() && (since.IsZero() || !t.Before(since)) && (before.IsZero() || t.Before(before)))
		}, err
	}
}

func sized(is func(size, than int64) bool) reader {
	return func(v value, _ time.Time) (asking, error) {
		than, err := ParseSize(v.text)
		return func(s *Sight) Truth { return truth(is(s.Message.Size, than)) }, err
	}
}

func exactly(of func(*Sight) []string) reader {
	return func(v value, _ time.Time) (asking, error) {
		if v.text == "" {
			return nil, fmt.Errorf("nothing stands behind the colon")
		}
		return func(s *Sight) Truth { return truth(slices.Contains(of(s), v.text)) }, nil
	}
}

func readHas(v value, _ time.Time) (asking, error) {
	if !strings.EqualFold(v.text, "attachment") {
		return nil, fmt.Errorf("%q is nothing that a message has; there is has:attachment", v.text)
	}
	return func(s *Sight) Truth { return truth(s.Wording.Attachment) }, nil
}

func readFolder(v value, _ time.Time) (asking, error) {
	if v.prefix {
		v.text += "*"
	}
	mask, err := ParseMask(v.text)
	return func(s *Sight) Truth { return truth(slices.ContainsFunc(s.Mailboxes, mask.Match)) }, err
}

func readRole(v value, now time.Time) (asking, error) {
	name := `\` + strings.TrimPrefix(v.text, `\`)
	if v.prefix || !isRole(name) {
		return nil, fmt.Errorf("%q is no role; write sent, trash, drafts, junk or archive", v.text)
	}
	return readFolder(value{text: name}, now)
}

func readFlag(v value, _ time.Time) (asking, error) {
	name := `\` + strings.TrimPrefix(v.text, `\`)
	if !isRole(name) { // a flag is spelled as a role is
		return nil, fmt.Errorf("%q is no flag; write seen, flagged, answered, draft or deleted, or keyword:%s", v.text, v.text)
	}
	return func(s *Sight) Truth { return truth(s.Message.Flags.Has(name)) }, nil
}

func readKeyword(v value, _ time.Time) (asking, error) {
	if v.text == "" || strings.HasPrefix(v.text, `\`) {
		return nil, fmt.Errorf("%q is no keyword", v.text)
	}
	return func(s *Sight) Truth { return truth(s.Message.Flags.Has(v.text)) }, nil
}

func readLabel(v value, _ time.Time) (asking, error) {
	want := message.WordsOf(v.text)
	if want == "" {
		return nil, fmt.Errorf("%q has no word in it", v.text)
	}
	return func(s *Sight) Truth {
		return truth(s.Message.Extra != nil && slices.ContainsFunc(s.Message.Extra.Labels, func(l string) bool {
			return v.prefix && message.WordsOf(l).Contain(want, true) || message.WordsOf(l) == want
		}))
	}, nil
}

func readMessageID(v value, _ time.Time) (asking, error) {
	id, err := ParseMessageID(v.text)
	return func(s *Sight) Truth { return truth(s.Header.MessageID() == id) }, err
}

func readUID(v value, _ time.Time) (asking, error) {
	from, to, two := strings.Cut(v.text, "..")
	if !two {
		to = from
	}
	first, err := strconv.ParseUint(from, 10, 32)
	last, err2 := strconv.ParseUint(to, 10, 32)
	if err != nil || err2 != nil || first == 0 || last < first {
		return nil, fmt.Errorf("%q is no UID; write one, or two ends as in 100..199", v.text)
	}
	return func(s *Sight) Truth {
		return truth(s.Message.UID != 0 && first <= uint64(s.Message.UID) && uint64(s.Message.UID) <= last)
	}, nil
}

// Around are the mailbox called name and those that it lies in, as folder: and role: want them.
func Around(all []mail.Mailbox, name mail.Name) []mail.Mailbox {
	var around []mail.Mailbox
	for ; name != ""; name = name.Parent() {
		i := slices.IndexFunc(all, func(b mail.Mailbox) bool { return b.Name == name })
		if i < 0 {
			around = append(around, mail.Mailbox{Name: name})
			continue
		}
		around = append(around, all[i])
	}
	return around
}
