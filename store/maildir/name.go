package maildir

import (
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"roost/imap"
	"roost/mail"
)

// Where a mailbox is in the tree:
//
//	Maildir++  INBOX: the root      a/b: .a.b      INBOX/b: .INBOX.b
//	LAYOUT=fs  INBOX: the root      a/b: a/b
//
// A component stands there in modified UTF-7, as Dovecot has it by default, or
// in UTF-8. What cannot stand there is written as in a mail.Name, %XX: "/",
// control characters, bytes that are not UTF-8, "%" before two hex digits; in
// Maildir++ also ".", in LAYOUT=fs a leading "." and the first letter of names
// that mean something else there. An empty component is "%-". So each Name has
// one directory, and none leads out of the root.
//
// A directory whose name is not what encode would write (made by somebody with
// other rules) is listed too, by its octets, and remembered (Store.odd).

const upperHex = "0123456789ABCDEF"

func escapeByte(b *strings.Builder, c byte) {
	b.WriteByte('%')
	b.WriteByte(upperHex[c>>4])
	b.WriteByte(upperHex[c&15])
}

// encode is how a component stands in the tree.
func (o Options) encode(component string) string {
	if component == "" {
		return "%-"
	}
	var b strings.Builder
	for i := 0; i < len(component); {
		r, n := utf8.DecodeRuneInString(component[i:])
		rest := component[i:]
		switch {
		case r == utf8.RuneError && n == 1, r == '/', unicode.IsControl(r),
			r == '%' && (len(rest) > 2 && isHex(rest[1]) && isHex(rest[2]) || component == "%-"),
			r == '.' && (!o.FS || i == 0),
			i == 0 && o.FS && isReserved(component):
			for _, c := range []byte(rest[:n]) {
				escapeByte(&b, c)
			}
		default:
			b.WriteString(rest[:n])
		}
		i += n
	}
	if o.UTF8 {
		return b.String()
	}
	return imap.EncodeMailbox(b.String())
}

// decode is encode's inverse; false if encode would not write that.
func (o Options) decode(text string) (component string, ok bool) {
	plain := text
	if !o.UTF8 {
		if plain, ok = imap.DecodeMailbox(text); !ok {
			return text, false
		}
	}
	if plain == "%-" {
		return "", true
	}
	b := make([]byte, 0, len(plain))
	for i := 0; i < len(plain); i++ {
		if plain[i] == '%' && i+2 < len(plain) && isHex(plain[i+1]) && isHex(plain[i+2]) {
			b = append(b, unhex(plain[i+1])<<4|unhex(plain[i+2]))
			i += 2
			continue
		}
		b = append(b, plain[i])
	}
	component = string(b)
	return component, o.encode(component) == text
}

// isReserved reports whether a directory of this name, in LAYOUT=fs, would be
// taken for something else.
func isReserved(component string) bool {
	switch component {
	case "cur", "new", "tmp", "subscriptions", "maildirfolder", "maildirsize":
		return true
	}
	return strings.HasPrefix(component, "dovecot") || strings.HasPrefix(component, "courierimap")
}

func isHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' || 'a' <= c && c <= 'f' }

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&^0x20 - 'A' + 10
}

// dirOf is the directory of a mailbox, relative to the root. INBOX is "." .
func (o Options) dirOf(name mail.Name) string {
	if name == mail.Inbox {
		return "."
	}
	components := name.Components()
	for i, c := range components {
		components[i] = o.encode(c)
	}
	if o.FS {
		return path.Join(components...)
	}
	return "." + strings.Join(components, ".")
}

// nameOf is the mailbox in a directory; false if dirOf does not lead back there.
func (o Options) nameOf(dir string) (mail.Name, bool) {
	if dir == "." {
		return mail.Inbox, true
	}
	var parts []string
	if o.FS {
		parts = strings.Split(dir, "/")
	} else {
		parts = strings.Split(dir[1:], ".")
	}
	ok := true
	components := make([]string, len(parts))
	for i, p := range parts {
		c, fine := o.decode(p)
		components[i] = c
		ok = ok && fine
	}
	if name := mail.NameOf(components...); ok && o.dirOf(name) == dir {
		return name, true
	}
	return mail.NameOf(parts...), false
}
