package mbox

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"roost/mail"
)

// A component of a mailbox's name is a file of the same name, in UTF-8. What no
// file system takes, or means something else there, is written %XX: control
// characters, bytes that are not UTF-8, "/", what Windows forbids (<>:"\|?* and
// a "." or space at the end), a "." at the start or before an extension that is
// ours or Thunderbird's, the first letter of a Windows device, and a "%" before
// two hex digits. An empty component is "%-". So each name has one file, and none
// leads out of the tree.
//
// A file that is not spelled so was made by somebody else. Its name is taken by
// its octets.

const upperHex = "0123456789ABCDEF"

// encode is the file of a component.
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
	case r == '.' && (i == 0 || isReserved(component[i:])):
		return true
	case (r == '.' || r == ' ') && i == len(component)-1:
		return true
	}
	return i == 0 && isDevice(component)
}

// isReserved reports whether a file with this extension is no mailbox.
func isReserved(extension string) bool {
	switch strings.ToLower(extension) {
	case directorySuffix, lockSuffix, ".msf", ".dat":
		return true
	}
	return false
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

// decode is the component of a file.
func decode(file string) string {
	if file == "%-" {
		return ""
	}
	if component := unescape(file); encode(component) == file {
		return component
	}
	return file
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

func join(dir, file string) string {
	if dir == "" || dir == "." {
		return file
	}
	return dir + "/" + file
}

const (
	directorySuffix = ".sbd"
	lockSuffix      = ".lock"

	// maxComponent is how many octets of a file name are left when the name of the
	// sidecar or a temporary file is made of it.
	maxComponent = 255 - len(".") - len(sidecarSuffix)
)

// dirs are the directories in which the file of a mailbox may stand, those of its
// parents first: there is more than one if somebody uses both a.sbd and a. made
// is the one to make if there is none.
func (s *Store) dirs(parents []string) (dirs []string, made string) {
	dirs, made = []string{"."}, "."
	for i, component := range parents {
		spellings := s.spellings(component, i == 0)
		var below []string
		for _, dir := range dirs {
			for _, file := range spellings {
				for _, d := range []string{join(dir, file+directorySuffix), join(dir, file)} {
					if s.isDir(d) {
						below = append(below, d)
					}
				}
			}
		}
		made = join(made, encode(component)+directorySuffix)
		if len(below) > 0 {
			made = below[0]
		}
		dirs = below
	}
	return dirs, made
}

// spellings are the files that a component may be: ours, somebody else's, and
// INBOX in any case.
func (s *Store) spellings(component string, first bool) []string {
	all := []string{encode(component)}
	if component != all[0] && component != "" && component[0] != '.' && !strings.ContainsAny(component, "/\x00") && decode(component) == component {
		all = append(all, component)
	}
	if !first || component != string(mail.Inbox) {
		return all
	}
	entries, _ := s.readDir(".") // that it cannot be read is seen when it is listed
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), directorySuffix); name != all[0] && strings.EqualFold(name, component) {
			all = append(all, name)
		}
	}
	return all
}

// find is the file of a mailbox, and whether it is there. If it is not, it is the
// one to be made.
func (s *Store) find(name mail.Name) (file string, there bool) {
	if s.single != "" {
		return s.single, name == mail.Inbox
	}
	components := name.Components()
	if len(components) == 0 {
		return "", false
	}
	dirs, made := s.dirs(components[:len(components)-1])
	last := components[len(components)-1]
	for _, dir := range dirs {
		for _, spelling := range s.spellings(last, len(components) == 1) {
			if info, err := s.root.Lstat(join(dir, spelling)); err == nil && info.Mode().IsRegular() {
				return join(dir, spelling), true
			}
		}
	}
	return join(made, encode(last)), false
}

// below are the directories that hold what is below a mailbox.
func (s *Store) below(name mail.Name) []string {
	if s.single != "" {
		return nil
	}
	dirs, _ := s.dirs(name.Components())
	return dirs
}

func (s *Store) isDir(dir string) bool {
	info, err := s.root.Lstat(dir)
	return err == nil && info.IsDir()
}
