package roost_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// source is one Go file of the tree, parsed with its comments. The tests of the house read the files themselves, for
// every operating system, because go test remembers a result by the files that the test has opened.
type source struct {
	path string // from the root, with slashes
	test bool   // a _test.go file
	file *ast.File
}

// at is a position in the file for a message.
func (s source) at(fset *token.FileSet, n ast.Node) string {
	return s.path + ":" + strconv.Itoa(fset.Position(n.Pos()).Line)
}

// imports are the paths that the file imports.
func (s source) imports() []string {
	var paths []string
	for _, spec := range s.file.Imports {
		p, _ := strconv.Unquote(spec.Path.Value) // the parser has seen to it
		paths = append(paths, p)
	}
	return paths
}

// tree is the Go files of the checkout by the directory they stand in; "." is the root.
type tree struct {
	fset *token.FileSet
	dirs map[string][]source
}

// packages are the directories that hold code and not only tests, in order.
func (t tree) packages() []string {
	var dirs []string
	for dir, files := range t.dirs {
		if slices.ContainsFunc(files, func(s source) bool { return !s.test }) {
			dirs = append(dirs, dir)
		}
	}
	slices.Sort(dirs)
	return dirs
}

// code calls visit for each file that is no test.
func (t tree) code(visit func(dir string, s source)) {
	for _, dir := range t.packages() {
		for _, s := range t.dirs[dir] {
			if !s.test {
				visit(dir, s)
			}
		}
	}
}

// readTree parses each Go file below the working directory.
func readTree(t *testing.T) tree {
	t.Helper()
	all := tree{fset: token.NewFileSet(), dirs: map[string][]source{}}
	walk(t, func(name string) {
		if !strings.HasSuffix(name, ".go") {
			return
		}
		file, err := parser.ParseFile(all.fset, filepath.FromSlash(name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("parse: %v", err)
		}
		dir := path.Dir(name)
		all.dirs[dir] = append(all.dirs[dir], source{path: name, test: strings.HasSuffix(name, "_test.go"), file: file})
	})
	return all
}

// walk calls visit for each file of the checkout that is neither made by the Makefile nor test data.
func walk(t *testing.T, visit func(name string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); base == ".git" || base == "testdata" || name == "build" {
				return filepath.SkipDir
			}
			return nil
		}
		visit(filepath.ToSlash(name))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// read is a file as text.
func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
