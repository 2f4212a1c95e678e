package mail

import (
	"iter"
	"slices"
	"strings"
)

// Flags is a set of IMAP flags and keywords in one canonical string: sorted,
// separated by one space, system flags in RFC 9051's spelling, keywords in the
// spelling first seen. Two equal sets are equal strings, so Flags can be
// compared with == and interned. "" is the empty set.
//
// \Recent is a property of a session and is never a member.
type Flags string

// The system flags (RFC 9051, 2.3.2).
const (
	Answered = `\Answered`
	Deleted  = `\Deleted`
	Draft    = `\Draft`
	Flagged  = `\Flagged`
	Seen     = `\Seen`
)

var systemFlags = []string{Answered, Deleted, Draft, Flagged, Seen}

// FlagsOf makes a set of the flags given, in any order and case, with
// duplicates. Flags are compared without regard to ASCII case. Empty strings
// and \Recent are left out; a space or control character in a keyword, which no
// IMAP server can send but other stores may, becomes "_".
func FlagsOf(flags ...string) Flags {
	set := make([]string, 0, len(flags))
	for _, f := range flags {
		if f = canonicalFlag(f); f != "" && !containsFold(set, f) {
			set = append(set, f)
		}
	}
	slices.Sort(set)
	return Flags(strings.Join(set, " "))
}

// All yields the members in canonical order.
func (f Flags) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := string(f); rest != ""; {
			one, more, _ := strings.Cut(rest, " ")
			if !yield(one) {
				return
			}
			rest = more
		}
	}
}

// List is the members in canonical order; nil for the empty set.
func (f Flags) List() []string { return slices.Collect(f.All()) }

// Len counts the members.
func (f Flags) Len() int {
	if f == "" {
		return 0
	}
	return strings.Count(string(f), " ") + 1
}

// Has reports whether flag is a member, without regard to ASCII case.
func (f Flags) Has(flag string) bool {
	for one := range f.All() {
		if strings.EqualFold(one, flag) {
			return true
		}
	}
	return false
}

// Plus is the union; where both spell a keyword differently, f's spelling stays.
func (f Flags) Plus(g Flags) Flags {
	if g == "" || f == g {
		return f
	}
	if f == "" {
		return g
	}
	return FlagsOf(append(f.List(), g.List()...)...)
}

// Minus is f without the members of g.
func (f Flags) Minus(g Flags) Flags {
	if f == "" || g == "" {
		return f
	}
	return Flags(strings.Join(slices.DeleteFunc(f.List(), g.Has), " "))
}

// Keywords is the subset that does not begin with a backslash.
func (f Flags) Keywords() Flags {
	return Flags(strings.Join(slices.DeleteFunc(f.List(), isSystem), " "))
}

func isSystem(flag string) bool { return strings.HasPrefix(flag, `\`) }

func canonicalFlag(f string) string {
	if isSystem(f) {
		if strings.EqualFold(f, `\Recent`) {
			return ""
		}
		for _, s := range systemFlags {
			if strings.EqualFold(f, s) {
				return s
			}
		}
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, f)
}

func containsFold(set []string, f string) bool {
	return slices.ContainsFunc(set, func(s string) bool { return strings.EqualFold(s, f) })
}
