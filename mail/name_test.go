package mail

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestNames: what servers allow in a component has one unambiguous spelling.
func TestNames(t *testing.T) {
	cases := []struct {
		components []string
		want       Name
	}{
		{[]string{"inbox"}, "INBOX"},
		{[]string{"InBox", "inbox"}, "INBOX/inbox"},
		{[]string{"Work", "Projects"}, "Work/Projects"},
		{[]string{"a/b", "c"}, "a%2Fb/c"},
		{[]string{"100%", "50% off"}, "100%/50% off"},
		{[]string{"%41"}, "%2541"},
		{[]string{"\x00\n", "\xff"}, "%00%0A/%FF"},
		{[]string{"Entwürfe", "旅行 📧"}, "Entwürfe/旅行 📧"},
		{[]string{"..", "."}, "../."},
	}
	for _, c := range cases {
		got := NameOf(c.components...)
		if got != c.want {
			t.Errorf("NameOf(%q) = %q, want %q", c.components, got, c.want)
		}
		back := got.Components()
		if strings.EqualFold(c.components[0], "INBOX") {
			back[0] = c.components[0]
		}
		if !slices.Equal(back, c.components) {
			t.Errorf("%q.Components() = %q, want %q", got, back, c.components)
		}
	}
}

// TestFamilies: parents, children and descendants.
func TestFamilies(t *testing.T) {
	if got := Name("a/b/c").Parent(); got != "a/b" {
		t.Errorf("Parent = %q", got)
	}
	if got := Name("a").Parent(); got != "" {
		t.Errorf("Parent = %q", got)
	}
	if got := Name("a").Child("b/c"); got != "a/b%2Fc" {
		t.Errorf("Child = %q", got)
	}
	if got := Name("").Join("a").Join("").Join("b/c"); got != "a/b/c" {
		t.Errorf("Join = %q", got)
	}
	for name, want := range map[Name]bool{"a/b": true, "a/b/c": true, "a": false, "ab/c": false, "b/a": false} {
		if got := name.Below("a"); got != want {
			t.Errorf("%q.Below(a) = %v, want %v", name, got, want)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add("a/b", "%41")
	f.Add("", "\xff\x00")
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.EqualFold(a, "INBOX") {
			return
		}
		name := NameOf(a, b)
		if got := name.Components(); !slices.Equal(got, []string{a, b}) {
			t.Errorf("NameOf(%q, %q) = %q, whose components are %q", a, b, name, got)
		}
		if !utf8.ValidString(string(name)) {
			t.Errorf("NameOf(%q, %q) = %q is not UTF-8", a, b, name)
		}
	})
}
