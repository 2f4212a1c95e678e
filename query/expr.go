package query

import (
	"strings"
	"time"

	"roost/mail"
	"roost/message"
)

// Truth is what is known of whether a query means a message.
type Truth uint8

// The truths, in the order in which "and" takes the least and "or" the greatest (Kleene).
const (
	No    Truth = iota
	Maybe       // it depends on what was not read
	Yes
)

// Reach is how much of a message must be known. What a list says costs nothing, the header little.
type Reach uint8

// The reaches, the cheapest first.
const (
	Listed Reach = iota
	Headed
	Whole
)

// Expr is a query: which messages are meant. The zero value means all.
type Expr struct {
	root node // nil: all
	text string
}

// String is the query as it was written.
func (e Expr) String() string { return e.text }

// Judge says whether the query means a message of which no more than s is known. It is Maybe only if
// that depends on what s lacks.
func (e Expr) Judge(s *Sight) Truth {
	if e.root == nil {
		return Yes
	}
	return e.root.judge(s)
}

// Reach is how much of some message must be known, so that Judge is sure of it.
func (e Expr) Reach() (reach Reach) {
	e.each(func(t *term) { reach = max(reach, t.field.reach) })
	return reach
}

// History reports whether the query asks when messages came and went.
func (e Expr) History() (asked bool) {
	e.each(func(t *term) { asked = asked || t.field.history })
	return asked
}

func (e Expr) each(f func(*term)) {
	if e.root != nil {
		e.root.each(f)
	}
}

// Sight is a message as far as it is known.
type Sight struct {
	Mailboxes []mail.Mailbox // the one it stands in, and those around it
	Message   *mail.Message
	SourceKey mail.Key // its key at the source of a backup; "": that is Message.Key, or not known

	Added   time.Time // when the first snapshot that holds it was begun; zero: not known
	Deleted time.Time // when the first snapshot without it was begun; zero: it is there

	Header  message.Header   // nil: not known
	Wording *message.Wording // nil: not known; with it, the Header is known, too

	fields map[string]message.Words // of the header, folded
}

// words are the words of all fields of the header with a name.
func (s *Sight) words(name string) message.Words {
	if w, ok := s.fields[name]; ok {
		return w
	}
	var all strings.Builder
	for field, value := range s.Header.Fields() {
		if strings.EqualFold(string(field), name) {
			all.WriteString(message.DecodeText(value))
			all.WriteByte('\n')
		}
	}
	if s.fields == nil {
		s.fields = make(map[string]message.Words)
	}
	w := message.WordsOf(all.String())
	s.fields[name] = w
	return w
}

// node is a part of a query.
type node interface {
	judge(*Sight) Truth
	each(func(*term))
}

type (
	allOf []node
	anyOf []node
	none  struct{ of node }
)

func (n allOf) judge(s *Sight) Truth {
	least := Yes
	for _, of := range n {
		if least = min(least, of.judge(s)); least == No {
			break
		}
	}
	return least
}

func (n anyOf) judge(s *Sight) Truth {
	most := No
	for _, of := range n {
		if most = max(most, of.judge(s)); most == Yes {
			break
		}
	}
	return most
}

func (n none) judge(s *Sight) Truth { return Yes - n.of.judge(s) }

func (n allOf) each(f func(*term)) {
	for _, of := range n {
		of.each(f)
	}
}

func (n anyOf) each(f func(*term)) { allOf(n).each(f) }
func (n none) each(f func(*term))  { n.of.each(f) }

// term is one thing that is asked of a message.
type term struct {
	field *field
	ask   asking
}

// asking answers for a message of which the field's reach is known; free words answer with less, too.
type asking func(*Sight) Truth

func (t *term) each(f func(*term)) { f(t) }

func (t *term) judge(s *Sight) Truth {
	switch {
	case t.field.reach >= Headed && s.Header == nil,
		t.field.reach == Whole && s.Wording == nil && !t.field.early:
		return Maybe
	}
	return t.ask(s)
}

func truth(yes bool) Truth {
	if yes {
		return Yes
	}
	return No
}
