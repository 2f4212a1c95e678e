package query

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The grammar of queries; doc/query.md is for people.
//
//	query  = or
//	or     = and *("or" and)
//	and    = not *(["and"] not)
//	not    = ("not" / "-") not / "(" or ")" / term
//	term   = [field ":"] value
//	value  = 1*(quoted / bare) ["*"]     ; a bare piece ends at a blank, bracket or quote
//
// "and", "or" and "not" are known in any case; in quotes they are words. Within quotes, \" and \\
// stand for the character itself.

const (
	maxQuery = 64 << 10 // octets
	maxDepth = 100      // brackets and nots within each other
	maxTerms = 1000
)

// ParseError is a mistake in a query.
type ParseError struct {
	Query  string
	At     int // where, in octets from the beginning
	Reason string
	Hint   string // what to write instead; may be ""
}

func (e *ParseError) Error() string {
	column := utf8.RuneCountInString(e.Query[:e.At]) + 1
	return fmt.Sprintf("query, column %d: %s", column, e.Reason)
}

// Mark is the line of the query in which the mistake is, with the characters before it and behind,
// so that it can be pointed at.
func (e *ParseError) Mark() (before, behind string) {
	const most = 60 // octets on each side
	before, behind = e.Query[:e.At], e.Query[e.At:]
	if len(before) > most {
		before = strings.ToValidUTF8(before[len(before)-most:], "")
	}
	if len(behind) > most {
		behind = strings.ToValidUTF8(behind[:most], "")
	}
	return before, behind
}

// Parse reads a query; an empty one means all. The error is a *ParseError.
func Parse(text string, now time.Time) (Expr, error) {
	p := parser{text: text, now: now}
	switch {
	case len(text) > maxQuery:
		return Expr{}, &ParseError{Reason: fmt.Sprintf("it is longer than %d octets", maxQuery)}
	case !utf8.ValidString(text):
		return Expr{}, &ParseError{Reason: "it is not UTF-8"}
	case strings.TrimSpace(text) == "":
		return Expr{}, nil
	}
	p.next()
	root := p.or(0)
	if p.err == nil && p.token.kind != end {
		p.fail(p.token.at, "a closing bracket without an opening one", "")
	}
	if p.err != nil {
		return Expr{}, p.err
	}
	return Expr{root: root, text: strings.TrimSpace(text)}, nil
}

type kind uint8

const (
	end kind = iota
	open
	closing
	minus
	word // and, or, not, too: token.bare
)

type token struct {
	kind  kind
	at    int
	field string // "": none
	colon int    // where the value begins
	value value
	bare  string // the whole token in lower case if it is one bare word without field; else ""
}

type parser struct {
	text  string
	now   time.Time
	pos   int
	token token
	terms int
	err   *ParseError // the first
}

func (p *parser) fail(at int, reason, hint string) {
	if p.err == nil {
		p.err = &ParseError{Query: p.text, At: at, Reason: reason, Hint: hint}
	}
	p.token = token{kind: end}
	p.pos = len(p.text)
}

func (p *parser) or(depth int) node {
	all := anyOf{p.and(depth)}
	for p.token.kind == word && p.token.bare == "or" {
		p.next()
		all = append(all, p.and(depth))
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

func (p *parser) and(depth int) node {
	all := allOf{p.not(depth)}
	for p.err == nil && (p.token.kind == word || p.token.kind == open || p.token.kind == minus) && p.token.bare != "or" {
		if p.token.bare == "and" {
			p.next()
		}
		all = append(all, p.not(depth))
	}
	if len(all) == 1 {
		return all[0]
	}
	return all
}

func (p *parser) not(depth int) node {
	t := p.token
	if depth >= maxDepth {
		p.fail(t.at, fmt.Sprintf("more than %d brackets and nots within each other", maxDepth), "")
		return allOf{}
	}
	switch {
	case p.err != nil:
		return allOf{}
	case t.kind == minus, t.bare == "not":
		p.next()
		return none{p.not(depth + 1)}
	case t.kind == open:
		p.next()
		inner := p.or(depth + 1)
		if p.err == nil && p.token.kind != closing {
			p.fail(t.at, "an opening bracket without a closing one", "")
		}
		p.next()
		return inner
	case t.kind == word && t.bare != "or" && t.bare != "and":
		p.next()
		return p.term(t)
	case t.kind == word:
		p.fail(t.at, fmt.Sprintf("%q stands where a word should", t.bare), fmt.Sprintf("to search for the word, write %q", t.bare))
	case t.kind == closing:
		p.fail(t.at, "nothing stands before the closing bracket", "")
	default:
		p.fail(len(p.text), "something is missing at the end", "")
	}
	return allOf{}
}

func (p *parser) term(t token) node {
	if p.terms++; p.terms > maxTerms {
		p.fail(t.at, fmt.Sprintf("more than %d words", maxTerms), "")
		return allOf{}
	}
	f, ok := anywhere, true
	if t.field != "" {
		f, ok = fieldOf(t.field)
	}
	if !ok {
		p.fail(t.at, fmt.Sprintf("there is no field %q", t.field), "in quotes, a word may have colons; the fields are "+fieldNames())
		return allOf{}
	}
	ask, err := f.read(t.value, p.now)
	if err != nil {
		p.fail(t.colon, err.Error(), "")
		return allOf{}
	}
	return &term{field: f, ask: ask}
}

func fieldNames() string {
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	return strings.Join(names, ", ")
}

// next reads the next token.
func (p *parser) next() {
	if p.err != nil {
		return
	}
	rest := strings.TrimLeftFunc(p.text[p.pos:], unicode.IsSpace)
	p.pos = len(p.text) - len(rest)
	p.token = token{at: p.pos}
	if rest == "" {
		return
	}
	switch rest[0] {
	case '(':
		p.token.kind = open
	case ')':
		p.token.kind = closing
	case '-':
		p.token.kind = minus
	default:
		p.word()
		return
	}
	p.pos++
}

// word reads a term.
func (p *parser) word() {
	t := token{kind: word, at: p.pos, colon: p.pos}
	if name, _, ok := strings.Cut(p.text[p.pos:], ":"); ok && isFieldName(name) {
		t.field = name
		p.pos += len(name) + 1
		t.colon = p.pos
	}
	var text strings.Builder
	bare := true
	for p.pos < len(p.text) {
		r, n := utf8.DecodeRuneInString(p.text[p.pos:])
		if r == '(' || r == ')' || unicode.IsSpace(r) {
			break
		}
		t.value.prefix = r == '*'
		if r != '"' {
			text.WriteRune(r)
			p.pos += n
			continue
		}
		bare = false
		if !p.quoted(&text) {
			return
		}
	}
	t.value.text = text.String()
	if t.value.prefix {
		t.value.text = strings.TrimSuffix(t.value.text, "*")
	}
	if bare && t.field == "" && !t.value.prefix {
		t.bare = strings.ToLower(t.value.text)
	}
	p.token = t
}

// quoted reads a piece in quotes.
func (p *parser) quoted(text *strings.Builder) bool {
	from := p.pos
	for p.pos++; p.pos < len(p.text); p.pos++ {
		switch c := p.text[p.pos]; {
		case c == '"':
			p.pos++
			return true
		case c == '\\' && p.pos+1 < len(p.text) && (p.text[p.pos+1] == '"' || p.text[p.pos+1] == '\\'):
			p.pos++
			text.WriteByte(p.text[p.pos])
		default:
			text.WriteByte(c)
		}
	}
	p.fail(from, "the quotes are not closed", "")
	return false
}

// isFieldName tells a field, known or not, from what merely has a colon in it.
func isFieldName(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 20
}
