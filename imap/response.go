package imap

import (
	"bytes"
	"strings"
)

// Code is a response code: what stands in brackets before the text of a status response.
type Code struct {
	Name string // in upper case; "" for none
	Args string // what follows the name, as sent
}

// StatusResponse is OK, NO, BAD, BYE or PREAUTH with what follows.
type StatusResponse struct {
	Type string // in upper case
	Code Code
	Text string
}

// parseStatusText splits what follows OK, NO, BAD, BYE or PREAUTH. A code without its "]" ends at the end of the line.
func parseStatusText(text []byte) (Code, string) {
	if len(text) == 0 || text[0] != '[' {
		return Code{}, string(text)
	}
	inside, after := text[1:], []byte(nil)
	if end := codeEnd(inside); end >= 0 {
		inside, after = inside[:end], bytes.TrimLeft(inside[end+1:], " ")
	}
	name, args, _ := bytes.Cut(inside, []byte(" "))
	return Code{Name: strings.ToUpper(string(name)), Args: string(bytes.TrimSpace(args))}, string(after)
}

// codeEnd is the index of the "]" that ends a response code, -1 if there is none. QUIRK: keywords in PERMANENTFLAGS may
// hold brackets, so that within parentheses and quotes they count as text as long as the parenthesis is closed.
func codeEnd(b []byte) int {
	depth, quoted := 0, false
	for i, c := range b {
		switch {
		case c == '"' && (i == 0 || b[i-1] != '\\'):
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ']' && depth <= 0:
			return i
		}
	}
	return bytes.IndexByte(b, ']')
}

// list is the words of a response code's arguments, with or without parentheses around them.
func (c Code) list() []string {
	return strings.Fields(strings.Trim(c.Args, "()"))
}

// number is the first number of the arguments, 0 if there is none or it is negative.
func (c Code) number() int64 {
	n, ok := ParseNumber([]byte(strings.TrimLeft(c.Args, "(")))
	if !ok || n < 0 {
		return 0
	}
	return n
}

// uid is the number if it can be a UID or UIDVALIDITY, else 0.
func (c Code) uid() uint32 { return uid(c.number()) }

func uid(n int64) uint32 {
	if n < 0 || n > 1<<32-1 {
		return 0
	}
	return uint32(n)
}

// CopyUID is the COPYUID of a COPY or MOVE (RFC 4315): the UIDs From of the source became To, one by one.
type CopyUID struct {
	UIDValidity uint32
	From, To    Set // in the order sent; of equal length
}

// parseCopyUID reads the arguments of COPYUID and APPENDUID's kin; ok is false if they cannot be what they claim.
func parseCopyUID(c Code) (CopyUID, bool) {
	words := strings.Fields(c.Args)
	if len(words) != 3 {
		return CopyUID{}, false
	}
	validity, ok := ParseNumber([]byte(words[0]))
	from, err1 := ParseSet(words[1])
	to, err2 := ParseSet(words[2])
	if !ok || err1 != nil || err2 != nil || from.Len() != to.Len() {
		return CopyUID{}, false
	}
	return CopyUID{UIDValidity: uid(validity), From: from, To: to}, true
}

// parseAppendUID reads the UIDVALIDITY and the UIDs of APPENDUID, in the order sent; 0, nil if they are not there or are
// not count many. QUIRK: SUN and InterMail send 0.
func parseAppendUID(c Code, count int) (validity uint32, uids []uint32) {
	words := strings.Fields(c.Args)
	if len(words) != 2 {
		return 0, nil
	}
	v, ok := ParseNumber([]byte(words[0]))
	set, err := ParseSet(words[1])
	if !ok || uid(v) == 0 || err != nil || set.Len() != int64(count) {
		return 0, nil
	}
	for u := range set.All() {
		if u == 0 {
			return 0, nil
		}
		uids = append(uids, u)
	}
	return uid(v), uids
}

// Caps are the capabilities of a server, in upper case.
type Caps map[string]bool

func parseCaps(text string) Caps {
	caps := make(Caps)
	for word := range strings.FieldsSeq(text) {
		if len(caps) < maxCaps {
			caps[strings.ToUpper(word)] = true
		}
	}
	return caps
}

const maxCaps = 500

// Has reports whether the server has the capability, given in upper case. IMAP4rev2 (RFC 9051, appendix E) includes
// what it took in.
func (c Caps) Has(name string) bool {
	if c[name] {
		return true
	}
	switch name {
	case "LITERAL-":
		return c["IMAP4REV2"] || c["LITERAL+"]
	case "NAMESPACE", "UNSELECT", "UIDPLUS", "ESEARCH", "ENABLE", "LIST-EXTENDED", "LIST-STATUS", "MOVE", "SASL-IR", "SPECIAL-USE":
		return c["IMAP4REV2"]
	case "CONDSTORE": // RFC 7162, 3.2.3
		return c["QRESYNC"]
	}
	return false
}

// value is what follows "=" in the first capability that begins with prefix, "" if there is none.
func (c Caps) value(prefix string) string {
	for name := range c {
		if v, ok := strings.CutPrefix(name, prefix); ok {
			return v
		}
	}
	return ""
}

// AppendLimit is the largest message the server takes, in octets; 0 if it does not say (RFC 7889).
func (c Caps) AppendLimit() int64 {
	n, _ := ParseNumber([]byte(c.value("APPENDLIMIT=")))
	return max(0, n)
}

// MessageLimit is the most messages that one command may be about; 0 if there is none (RFC 9738).
func (c Caps) MessageLimit() int64 {
	n, _ := ParseNumber([]byte(c.value("MESSAGELIMIT=")))
	return max(0, n)
}
