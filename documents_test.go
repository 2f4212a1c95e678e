package roost_test

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What a newcomer looks for is there.
func TestDocumentsAreThere(t *testing.T) {
	for _, name := range []string{"README.md", "ARCHITECTURE.md", "CHANGES.md", "CONTRIBUTING.md", "LICENSE", "doc/format.md"} {
		if len(strings.TrimSpace(read(t, name))) == 0 {
			t.Errorf("%s is empty", name)
		}
	}
}

// Each module that our code imports has a line in doc/decisions: what for, what else, who keeps it.
func TestDependenciesAreDecided(t *testing.T) {
	var decisions strings.Builder
	names, err := filepath.Glob("doc/decisions/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		decisions.WriteString(read(t, name))
	}
	var imported []string
	for _, files := range readTree(t).dirs {
		for _, s := range files {
			imported = append(imported, s.imports()...)
		}
	}
	for _, m := range requirements(t) {
		used := slices.ContainsFunc(imported, func(p string) bool { return among(p, []string{m}) })
		if used && !strings.Contains(decisions.String(), m) {
			t.Errorf("no document in doc/decisions speaks of %s", m)
		}
	}
}

// requirements are the modules that go.mod requires.
func requirements(t *testing.T) []string {
	var modules []string
	for _, match := range regexp.MustCompile(`(?m)^(?:require )?\s*(\S+\.\S+/\S+) v\d`).FindAllStringSubmatch(read(t, "go.mod"), -1) {
		modules = append(modules, match[1])
	}
	if len(modules) == 0 {
		t.Fatal("go.mod requires nothing")
	}
	return modules
}

var (
	fenced = regexp.MustCompile("(?ms)^```.*?^```")
	code   = regexp.MustCompile("`[^`\n]*`")
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// A link in a document leads to a file that is there, and its fragment to a heading.
func TestLinksResolve(t *testing.T) {
	walk(t, func(name string) {
		if !strings.HasSuffix(name, ".md") {
			return
		}
		text := fenced.ReplaceAllString(read(t, name), "")
		for _, match := range link.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
			target, fragment, _ := strings.Cut(match[1], "#")
			if strings.Contains(target, ":") {
				continue // another site, or mail
			}
			file := name
			if target != "" {
				file = path.Join(path.Dir(name), target)
			}
			if _, err := os.Stat(filepath.FromSlash(file)); err != nil {
				t.Errorf("%s: link to %s: %v", name, match[1], err)
				continue
			}
			if fragment != "" && strings.HasSuffix(file, ".md") && !slices.Contains(headings(read(t, file)), fragment) {
				t.Errorf("%s: link to %s: no such heading", name, match[1])
			}
		}
	})
}

// headings are the anchors that the usual renderers make of a document's headings.
func headings(text string) []string {
	var anchors []string
	for line := range strings.Lines(fenced.ReplaceAllString(text, "")) {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		title := strings.ToLower(strings.TrimSpace(strings.TrimLeft(line, "#")))
		anchors = append(anchors, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r > 0x7f:
				return r
			}
			return -1
		}, title))
	}
	return anchors
}
