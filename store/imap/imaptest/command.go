package imaptest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Command is what a client sent, and on which connection.
type Command struct {
	Connection int // counted from 0 in the order they were accepted
	Tag        string
	Name       string // in upper case, with UID: "UID FETCH"
	Args       []Arg
	Text       string // as sent, without tag and line end; a literal stands as {n}
	Octets     int    // of the longest line, with tag and line end: what a server's line buffer must hold
}

// Arg is one argument: a string, or a list of them.
type Arg struct {
	Kind ArgKind
	Text string // of an atom, a quoted string or a literal
	List []Arg
}

// ArgKind is how an argument was written.
type ArgKind int

// The ways to write an argument (RFC 9051, 4).
const (
	Atom ArgKind = iota
	Quoted
	Literal
	List
)

// errSyntax is wrapped by what the parser cannot read; the connection goes on.
var errSyntax = errors.New("syntax")

// maxLiteral is the largest literal, in octets, that a client may send.
const maxLiteral = 100 << 20

// parser reads one command. Lines are read as they come, because a literal is asked for in their midst.
type parser struct {
	r      *bufio.Reader
	more   func(size int64, synchronizing bool) error // called before a literal is read
	line   string                                     // the rest of the current line, without its end
	text   strings.Builder
	octets int
	depth  int
}

// readCommand reads one command. An error that is no errSyntax ends the connection.
func readCommand(r *bufio.Reader, more func(int64, bool) error) (Command, error) {
	p := &parser{r: r, more: more}
	if err := p.nextLine(); err != nil {
		return Command{}, err
	}
	var c Command
	var rest string
	c.Tag, rest, _ = strings.Cut(p.line, " ")
	c.Name, _, _ = strings.Cut(rest, " ")
	p.text.Reset()
	p.text.WriteString(rest)
	p.line = rest[len(c.Name):]
	c.Name = strings.ToUpper(c.Name)
	if c.Name == "UID" {
		sub, _, _ := strings.Cut(strings.TrimPrefix(p.line, " "), " ")
		p.line = strings.TrimPrefix(p.line, " ")[len(sub):]
		c.Name += " " + strings.ToUpper(sub)
	}
	args, err := p.args()
	c.Args, c.Text, c.Octets = args, p.text.String(), p.octets
	if err == nil && (c.Tag == "" || c.Name == "") {
		err = fmt.Errorf("no tag or no command: %w", errSyntax)
	}
	return c, err
}

func (p *parser) nextLine() error {
	line, err := p.r.ReadString('\n')
	if err != nil {
		return err
	}
	p.octets = max(p.octets, len(line))
	p.line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	p.text.WriteString(p.line)
	return nil
}

// args reads arguments up to the end of the command, or of the list that is open.
func (p *parser) args() ([]Arg, error) {
	args := []Arg{}
	for {
		p.line = strings.TrimLeft(p.line, " ")
		switch {
		case p.line == "" && p.depth == 0:
			return args, nil
		case p.line == "" || p.depth > 50:
			return args, fmt.Errorf("list without end: %w", errSyntax)
		case p.line[0] == ')' && p.depth > 0:
			p.line = p.line[1:]
			return args, nil
		}
		arg, err := p.arg()
		if err != nil {
			return args, err
		}
		args = append(args, arg)
	}
}

func (p *parser) arg() (Arg, error) {
	switch {
	case p.line[0] == '(':
		p.line = p.line[1:]
		p.depth++
		list, err := p.args()
		p.depth--
		return Arg{Kind: List, List: list}, err
	case p.line[0] == '"':
		return p.quoted()
	case p.line[0] == '{' || strings.HasPrefix(p.line, "~{"):
		return p.literal()
	}
	end := atomEnd(p.line)
	arg := Arg{Kind: Atom, Text: p.line[:end]}
	p.line = p.line[end:]
	return arg, nil
}

// atomEnd is the length of the atom that a line begins with, at least one octet. Spaces and parentheses belong to it
// within the brackets of a section, as in BODY.PEEK[HEADER.FIELDS (DATE)]; a lone bracket is an octet as any other.
func atomEnd(line string) int {
	brackets := 0
	section := strings.HasPrefix(strings.ToUpper(line), "BODY") || strings.HasPrefix(strings.ToUpper(line), "BINARY")
	for i := range len(line) {
		switch c := line[i]; {
		case c == '[' && section:
			brackets++
		case c == ']' && section:
			brackets--
		case i > 0 && brackets <= 0 && (c == ' ' || c == '(' || c == ')'):
			return i
		}
	}
	return len(line)
}

func (p *parser) quoted() (Arg, error) {
	var b strings.Builder
	for i := 1; i < len(p.line); i++ {
		switch c := p.line[i]; {
		case c == '"':
			p.line = p.line[i+1:]
			return Arg{Kind: Quoted, Text: b.String()}, nil
		case c == '\\' && i+1 < len(p.line):
			i++
			b.WriteByte(p.line[i])
		default:
			b.WriteByte(c)
		}
	}
	return Arg{}, fmt.Errorf("quoted string without end: %w", errSyntax)
}

// literal reads {n}, {n+} (RFC 7888) or ~{n} (RFC 3516) and what follows on the next line.
func (p *parser) literal() (Arg, error) {
	spec, ok := strings.CutSuffix(strings.TrimPrefix(p.line, "~")[1:], "}")
	if !ok {
		return Arg{}, fmt.Errorf("literal %q does not end its line: %w", p.line, errSyntax)
	}
	digits, asynchronous := strings.CutSuffix(spec, "+")
	size, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || size < 0 || size > maxLiteral {
		return Arg{}, fmt.Errorf("literal of %q octets: %w", digits, errSyntax)
	}
	if err := p.more(size, !asynchronous); err != nil {
		return Arg{}, err
	}
	content := make([]byte, size)
	if _, err := io.ReadFull(p.r, content); err != nil {
		return Arg{}, err
	}
	if err := p.nextLine(); err != nil {
		return Arg{}, err
	}
	return Arg{Kind: Literal, Text: string(content)}, nil
}

// text is the argument at i, "" if there is none.
func (c Command) text(i int) string {
	if i < len(c.Args) {
		return c.Args[i].Text
	}
	return ""
}

// words are the atoms of a list in upper case, or of the single atom that stands in its place.
func (a Arg) words() []string {
	if a.Kind != List {
		return []string{strings.ToUpper(a.Text)}
	}
	var words []string
	for _, one := range a.List {
		words = append(words, strings.ToUpper(one.Text))
	}
	return words
}
