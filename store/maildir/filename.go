package maildir

import (
	"slices"
	"strconv"
	"strings"

	"roost/mail"
)

// A file name is BASE:2,FLAGS in cur, and BASE in new:
//
//	1323785716.M20046P12Q3.host,S=1204,W=1230:2,FSab
//
// BASE is unique for ever, if the program that chose it keeps the rules: a time, something
// of the process, and the host. It ends with ",KEY=VALUE" fields: S is the size, W
// the size with CRLF line ends, U mbsync's UID. FLAGS are letters in ASCII order:
// D draft, F flagged, P passed, R replied, S seen, T trashed, and a to z for
// keywords 0 to 25 of dovecot-keywords. What follows a further "," is kept.

// baseLen is how much of a file name is its base name. Where a file system
// forbids colons, tools write "!" or ";" before the "2,".
func baseLen(name string) int {
	if i := strings.IndexByte(name, ':'); i >= 0 {
		return i
	}
	for _, separator := range []string{";2,", "!2,"} {
		if i := strings.LastIndex(name, separator); i > 0 {
			return i
		}
	}
	return len(name)
}

// isUnique reports whether a base name looks as the rules of Maildir want it:
// TIME.PROCESS.HOST, or TIME_... of offlineimap. Who calls files "1" or "mail.txt" may
// call another one so.
func isUnique(base string) bool {
	digits := 0
	for digits < len(base) && base[digits] >= '0' && base[digits] <= '9' {
		digits++
	}
	if digits < 9 || digits == len(base) || base[digits] != '.' && base[digits] != '_' { // 9: until 2001
		return false
	}
	process, host, ok := strings.Cut(base[digits+1:], ".")
	return ok && process != "" && host != ""
}

// splitInfo divides a file name into what stands before its flags, the flags,
// and what stands behind. before ends with ":2," or is the whole name with that
// appended.
func splitInfo(name string) (before, letters, behind string) {
	base := baseLen(name)
	info := name[base:]
	if len(info) < 3 || info[1:3] != "2," {
		return name[:base] + ":2,", "", ""
	}
	letters, behind, found := strings.Cut(info[3:], ",")
	if found {
		behind = "," + behind
	}
	return name[:base+3], letters, behind
}

// field is the number after ",key=" in a base name; false if there is none.
func field(base string, key byte) (int64, bool) {
	for rest := base; ; {
		_, after, found := strings.Cut(rest, ",")
		if !found {
			return 0, false
		}
		rest = after
		if len(after) > 2 && after[0] == key && after[1] == '=' {
			digits, _, _ := strings.Cut(after[2:], ",")
			n, err := strconv.ParseUint(digits, 10, 63)
			return int64(n), err == nil
		}
	}
}

// systemLetters are the letters of the system flags, in ASCII order. P is
// "passed", which other stores know as the keyword $Forwarded.
var systemLetters = []struct {
	letter byte
	flag   string
}{
	{'D', mail.Draft},
	{'F', mail.Flagged},
	{'P', forwarded},
	{'R', mail.Answered},
	{'S', mail.Seen},
	{'T', mail.Deleted},
}

const forwarded = "$Forwarded"

// flagsOf is what letters mean.
func flagsOf(letters string, k *keywords) mail.Flags {
	if letters == "" {
		return ""
	}
	flags := make([]string, 0, len(letters))
	for i := range len(letters) {
		c := letters[i]
		for _, s := range systemLetters {
			if s.letter == c {
				flags = append(flags, s.flag)
			}
		}
		if keyword := k.name(c); keyword != "" {
			flags = append(flags, keyword)
		}
	}
	return mail.FlagsOf(flags...)
}

// changeLetters adds and removes flags. Letters that mean nothing to us stay.
// lost are those flags of add that no letter stands for.
func changeLetters(letters string, add, remove mail.Flags, k *keywords) (changed string, lost mail.Flags) {
	set := []byte(letters)
	drop := func(c byte) { set = slices.DeleteFunc(set, func(b byte) bool { return b == c }) }
	for f := range remove.Minus(add).All() {
		if c := k.letter(f); c != 0 {
			drop(c)
		}
		for _, s := range systemLetters {
			if strings.EqualFold(s.flag, f) {
				drop(s.letter)
			}
		}
	}
	for f := range add.All() {
		c := k.letter(f)
		for _, s := range systemLetters {
			if strings.EqualFold(s.flag, f) && (f[0] == '\\' || c == 0) {
				c = s.letter
			}
		}
		if c == 0 {
			lost = lost.Plus(mail.FlagsOf(f))
			continue
		}
		set = append(set, c)
	}
	slices.Sort(set)
	return string(slices.Compact(set)), lost
}
