package tree

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Spelling says how a component of a mailbox's name is spelled as a file or
// directory: as it is, in UTF-8. What no file system takes, or means something
// else there, is written %XX: control characters, bytes that are not UTF-8, "/",
// what Windows forbids (<>:"\|?* and a "." or space at the end), a "." at the
// start, the first letter of a Windows device, and a "%" before two hex digits. An
// empty component is "%-". So each name has one file, and none leads out of the
// tree.
//
// A file that is not spelled so was made by somebody else. Its name is taken by
// its octets.
type Spelling struct {
	// Reserved reports whether a file whose name ends with this, which begins with
	// a ".", is no mailbox; then that "." is written %2E. nil: none is.
	Reserved func(extension string) bool
}

const upperHex = "0123456789ABCDEF"

// Encode is the file of a component.
func (s Spelling) Encode(component string) string {
	if component == "" {
		return "%-"
	}
	var b strings.Builder
	for i := 0; i < len(component); {
		r, n := utf8.DecodeRuneInString(component[i:])
		if s.mustEscape(component, i, r, n) {
			escape(&b, component[i:i+n])
		} else {
			b.WriteString(component[i : i+n])
		}
		i += n
	}
	return b.String()
}

// Decode is the component of a file.
func (s Spelling) Decode(file string) string {
	if file == "%-" {
		return ""
	}
	if component := Unescape(file); s.Encode(component) == file {
		return component
	}
	return file
}

// mustEscape reports whether the rune r of n octets at i cannot stand there.
func (s Spelling) mustEscape(component string, i int, r rune, n int) bool {
	switch {
	case r == utf8.RuneError && n == 1, unicode.IsControl(r), strings.ContainsRune(`/\<>:"|?*`, r):
		return true
	case r == '%':
		return component == "%-" || i+2 < len(component) && unhex(component[i+1]) >= 0 && unhex(component[i+2]) >= 0
	case r == '.' && (i == 0 || s.Reserved != nil && s.Reserved(component[i:])):
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

// Escape writes a column of a sidecar: control characters and "%" are %XX.
func Escape(column string) string {
	special := func(c byte) bool { return c < ' ' || c == 0x7f || c == '%' }
	var b strings.Builder
	from := 0 // what is before it is in b
	for i := range len(column) {
		if special(column[i]) {
			b.WriteString(column[from:i])
			escape(&b, column[i:i+1])
			from = i + 1
		}
	}
	if from == 0 {
		return column
	}
	b.WriteString(column[from:])
	return b.String()
}

// escape writes each octet as %XX.
func escape(b *strings.Builder, octets string) {
	for _, c := range []byte(octets) {
		b.WriteByte('%')
		b.WriteByte(upperHex[c>>4])
		b.WriteByte(upperHex[c&15])
	}
}

// Unescape undoes %XX.
func Unescape(s string) string {
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

// Join is the path of a file in a directory of a root; "" and "." are the root.
func Join(dir, file string) string {
	if dir == "" || dir == "." {
		return file
	}
	return dir + "/" + file
}
