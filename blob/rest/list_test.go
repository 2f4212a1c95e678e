package rest

import (
	"strings"
	"testing"
)

// A listing is read, or refused with an error; what is no name of ours is passed over.
func FuzzReadList(f *testing.F) {
	name := strings.Repeat("0a", 32)
	for _, seed := range []string{`[]`, `null`, `[{"name":"` + name + `","size":1}]`, `[{"name":"../x","size":1},{"name":"` + name + `","size":-1}]`, `[`, `{}`, `[{"name":`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := readList(strings.NewReader(text))
		for _, l := range lines {
			if l.size < 0 {
				t.Errorf("readList(%q) has a size of %d, %v", text, l.size, err)
			}
		}
	})
}

func TestReadList(t *testing.T) {
	name := strings.Repeat("0a", 32)
	for _, c := range []struct {
		text string
		n    int
		ok   bool
	}{
		{`null`, 0, true},
		{`[{"name":"` + name + `","size":7},{"name":"config","size":1}]`, 1, true},
		{`[{"name":"` + name + `","size":7}`, 1, false},
		{`{"name":"x"}`, 0, false},
		{`[{"name":"` + strings.Repeat("a", 1<<20) + `"}]`, 0, false},
	} {
		lines, err := readList(strings.NewReader(c.text))
		if len(lines) != c.n || (err == nil) != c.ok {
			t.Errorf("readList(%.40q) = %d lines, %v, want %d, ok %v", c.text, len(lines), err, c.n, c.ok)
		}
	}
}
