package roost_test

import (
	"go/ast"
	"regexp"
	"strings"
	"testing"
)

// Each line of the threat model names the tests that hold it, and they are there.
func TestThreatModelIsHeld(t *testing.T) {
	tests := map[string]bool{}
	for dir, files := range readTree(t).dirs {
		for _, s := range files {
			for _, d := range s.file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && s.test && f.Recv == nil {
					tests[dir+"."+f.Name.Name] = true
				}
			}
		}
	}
	named := regexp.MustCompile("`([a-z/]+\\.(?:Test|Fuzz)\\w+)`")
	lines := 0
	for n, line := range strings.Split(read(t, "doc/security.md"), "\n") {
		if !strings.HasPrefix(line, "| can") { // "can" and "cannot"
			if strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "| |") && !strings.HasPrefix(line, "|---") {
				t.Errorf("doc/security.md:%d: neither what somebody can nor what he cannot do", n+1)
			}
			continue
		}
		lines++
		found := named.FindAllStringSubmatch(line, -1)
		if len(found) == 0 {
			t.Errorf("doc/security.md:%d names no test", n+1)
		}
		for _, f := range found {
			if !tests[f[1]] {
				t.Errorf("doc/security.md:%d: there is no %s", n+1, f[1])
			}
		}
	}
	if lines < 30 {
		t.Errorf("the threat model has %d lines", lines)
	}
}
