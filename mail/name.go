package mail

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is the name of a mailbox: its components from the root down, joined by
// "/", in UTF-8, whatever separator and charset the store itself uses.
//
// A component may hold anything a server allows. What would be ambiguous or
// unprintable inside a Name is written "%XX" (two upper-case hex digits a
// byte): a "/" that is no separator, control characters, bytes that are not
// UTF-8, and a "%" that is followed by two hex digits. So "100%" and "50% off"
// stay as they are, and NameOf and Components are inverse to each other.
//
// INBOX is always spelled in capitals (RFC 9051, 5.1); other names are
// compared byte by byte.
type Name string

// Inbox is the one mailbox that every account has.
const Inbox Name = "INBOX"

// NameOf joins components, as the store spells them in UTF-8, to a Name. An
// empty component is kept. The first component is folded to "INBOX" where it
// equals that in any case.
func NameOf(components ...string) Name {
	var b strings.Builder
	for i, c := range components {
		if i > 0 {
			b.WriteByte('/')
		} else if strings.EqualFold(c, string(Inbox)) {
			c = string(Inbox)
		}
		escapeComponent(&b, c)
	}
	return Name(b.String())
}

// Components splits the name and undoes the escapes. The empty Name has none.
func (n Name) Components() []string {
	if n == "" {
		return nil
	}
	parts := strings.Split(string(n), "/")
	for i, p := range parts {
		parts[i] = unescapeComponent(p)
	}
	return parts
}

// Parent is the name one level up, "" for a name at the root.
func (n Name) Parent() Name {
	i := strings.LastIndexByte(string(n), '/')
	if i < 0 {
		return ""
	}
	return n[:i]
}

// Child is the name of the mailbox component below n; below "" it is the
// component itself.
func (n Name) Child(component string) Name {
	if n == "" {
		return NameOf(component)
	}
	var b strings.Builder
	b.WriteString(string(n))
	b.WriteByte('/')
	escapeComponent(&b, component)
	return Name(b.String())
}

// Join puts below under n as a whole: "a".Join("b/c") is "a/b/c".
func (n Name) Join(below Name) Name {
	switch {
	case n == "":
		return below
	case below == "":
		return n
	}
	return n + "/" + below
}

// Below reports whether n is a descendant of ancestor, at any depth.
func (n Name) Below(ancestor Name) bool {
	return len(n) > len(ancestor) && n[len(ancestor)] == '/' && n[:len(ancestor)] == ancestor
}

const upperHex = "0123456789ABCDEF"

func escapeComponent(b *strings.Builder, c string) {
	for i := 0; i < len(c); {
		r, n := utf8.DecodeRuneInString(c[i:])
		switch {
		case r == utf8.RuneError && n == 1, r == '/', unicode.IsControl(r),
			r == '%' && i+2 < len(c) && isHex(c[i+1]) && isHex(c[i+2]):
			for _, x := range []byte(c[i : i+n]) {
				b.WriteByte('%')
				b.WriteByte(upperHex[x>>4])
				b.WriteByte(upperHex[x&15])
			}
		default:
			b.WriteString(c[i : i+n])
		}
		i += n
	}
}

func unescapeComponent(p string) string {
	if !strings.Contains(p, "%") {
		return p
	}
	b := make([]byte, 0, len(p))
	for i := 0; i < len(p); i++ {
		if p[i] == '%' && i+2 < len(p) && isHex(p[i+1]) && isHex(p[i+2]) {
			b = append(b, unhex(p[i+1])<<4|unhex(p[i+2]))
			i += 2
			continue
		}
		b = append(b, p[i])
	}
	return string(b)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
