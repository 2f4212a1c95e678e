package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The guide's table of JSON has every message_type that the code can print.
func TestGuideNamesEveryMessageType(t *testing.T) {
	guide, err := os.ReadFile("../../doc/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(guide), "\n## JSON\n")
	section, _, _ = strings.Cut(section, "\n## ")
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	printed := regexp.MustCompile(`\bjson(?:To)?\((?:[a-z.]+, )?"([a-z_]+)"`)
	seen := 0
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range printed.FindAllStringSubmatch(string(text), -1) {
			seen++
			if !strings.Contains(section, "`"+m[1]+"`") {
				t.Errorf("%s prints message_type %q, of which the guide says nothing", file, m[1])
			}
		}
	}
	if seen < 20 {
		t.Errorf("%d places that print JSON were found; is the test blind?", seen)
	}
}
