package eml

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"roost/mail"
)

// A component of a mailbox's name is a directory of the same name, in UTF-8.
// What no file system takes, or means something else there, is written %XX:
// control characters, bytes that are not UTF-8, "/", what Windows forbids
// (<>:"\|?* and a "." or space at the end), a "." at the start, the first letter
// of a Windows device, and a "%" before two hex digits. An empty component is
// "%-". So each name has one directory, and none leads out of the tree.
//
// A directory that is not spelled so was made by somebody else. Its name is
// taken by its octets.

const upperHex = "0123456789ABCDEF"

// encode is the directory of a component.
func encode(component string) string {
	if component == "" {
		return "%-"
	}
	var b strings.Builder
	for i := 0; i < len(component); {
		r, n := utf8.DecodeRuneInString(component[i:])
		if mustEscape(component, i, r, n) {
			for _, c := range []byte(component[i : i+n]) {
				b.WriteByte('%')
				b.WriteByte(upperHex[c>>4])
				b.WriteByte(upperHex[c&15])
			}
		} else {
			b.WriteString(component[i : i+n])
		}
		i += n
	}
	return b.String()
}

// mustEscape reports whether the rune r of n octets at i cannot stand there.
func mustEscape(component string, i int, r rune, n int) bool {
	switch {
	case r == utf8.RuneError && n == 1, unicode.IsControl(r), strings.ContainsRune(`/\<>:"|?*`, r):
		return true
	case r == '%':
		return component == "%-" || i+2 < len(component) && unhex(component[i+1]) >= 0 && unhex(component[i+2]) >= 0
	case r == '.' && i == 0:
		return true
	case (r == '.' || r == ' ') && i == len(component)-1:
		return true
	}
	return i == 0 && isDevice(component)
}

// isDevice reports whether Windows takes a file of this name for a device.
func isDevice(component string) bool {
	name, _, _ := strings.Cut(strings.ToLower(component), ".")
	switch name {
	case "aux", "con", "nul", "prn":
		return true
	}
	return len(name) == 4 && (name[:3] == "com" || name[:3] == "lpt") && name[3] >= '0' && name[3] <= '9'
}

// decode is the component of a directory.
func decode(dir string) string {
	if dir == "%-" {
		return ""
	}
	if component := unescape(dir); encode(component) == dir {
		return component
	}
	return dir
}

// unescape undoes %XX.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0 {
			b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

// unhex is the value of a hex digit, -1 for other octets.
func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// find is the directory of a mailbox below the root, and whether it is there.
// If it is not, it is the one to be made.
func (s *Store) find(name mail.Name) (dir string, there bool) {
	if name == "" {
		return "", false
	}
	there = true
	for i, component := range name.Components() {
		if i == 0 && component == string(mail.Inbox) {
			dir, there = s.inbox()
			if !there && name == mail.Inbox && s.holdsMail(".") {
				return ".", true
			}
			continue
		}
		at := join(dir, encode(component))
		if there && !s.isDir(at) {
			// Perhaps somebody else made it, with other escapes.
			odd := component
			if odd == "" || strings.ContainsAny(odd, "/\x00") || odd[0] == '.' || decode(odd) != odd || !s.isDir(join(dir, odd)) {
				there = false
			} else {
				at = join(dir, odd)
			}
		}
		dir = at
	}
	return dir, there
}

// inbox is the directory called INBOX in any case, and whether it is there.
func (s *Store) inbox() (dir string, there bool) {
	if s.isDir(string(mail.Inbox)) {
		return string(mail.Inbox), true
	}
	entries, _ := s.readDir(".") // that it cannot be read is seen when it is listed
	for _, e := range entries {
		if e.IsDir() && strings.EqualFold(e.Name(), string(mail.Inbox)) {
			return e.Name(), true
		}
	}
	return string(mail.Inbox), false
}

func join(dir, file string) string {
	if dir == "" || dir == "." {
		return file
	}
	return dir + "/" + file
}

func (s *Store) isDir(dir string) bool {
	info, err := s.root.Lstat(dir)
	return err == nil && info.IsDir()
}
