package roost_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "roost"

// room is one line of the table in ARCHITECTURE.md.
type room struct {
	floor      int
	mayImport  []string // packages of ours
	thirdParty []string // modules, or packages of golang.org/x
}

// testLibraries are the modules that only tests use, and any test may.
var testLibraries = []string{"github.com/google/go-cmp", "github.com/rogpeppe/go-internal"}

// readRooms reads the table of packages in ARCHITECTURE.md.
func readRooms(t *testing.T) map[string]room {
	t.Helper()
	rooms := map[string]room{}
	inTable := false
	for line := range strings.Lines(read(t, "ARCHITECTURE.md")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		switch {
		case len(cells) != 5:
			inTable = false
		case cells[0] == "package":
			inTable = true
		case inTable && !strings.HasPrefix(cells[0], "--"):
			floor, err := strconv.Atoi(cells[1])
			if err != nil {
				t.Fatalf("ARCHITECTURE.md: floor of %s: %v", cells[0], err)
			}
			if _, twice := rooms[cells[0]]; twice {
				t.Errorf("ARCHITECTURE.md lists %s twice", cells[0])
			}
			rooms[cells[0]] = room{floor: floor, mayImport: list(cells[3]), thirdParty: list(cells[4])}
		}
	}
	if len(rooms) == 0 {
		t.Fatal("ARCHITECTURE.md has no table whose columns are package, floor, what it is, may import, third party")
	}
	return rooms
}

// list reads a cell of names between commas; "-" is none.
func list(cell string) []string {
	var names []string
	for name := range strings.SplitSeq(cell, ",") {
		if name = strings.Trim(strings.TrimSpace(name), "`"); name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// Each package stands in the table, and each line of the table is a package.
func TestTableListsEachPackage(t *testing.T) {
	rooms, packages := readRooms(t), readTree(t).packages()
	for _, dir := range packages {
		if _, ok := rooms[dir]; !ok && dir != "." {
			t.Errorf("package %s is not in the table of ARCHITECTURE.md", dir)
		}
	}
	for name := range rooms {
		if !slices.Contains(packages, name) {
			t.Errorf("ARCHITECTURE.md lists %s, which is no package", name)
		}
	}
}

// The table itself keeps the order of the floors, and a third-party package enters through one package only.
func TestTableKeepsFloors(t *testing.T) {
	rooms := readRooms(t)
	enters := map[string]string{}
	for name, r := range rooms {
		for _, other := range r.mayImport {
			below, ok := rooms[other]
			if !ok {
				t.Errorf("ARCHITECTURE.md: %s may import %s, which is not in the table", name, other)
			} else if below.floor >= r.floor && !strings.HasPrefix(name, other+"/") {
				t.Errorf("ARCHITECTURE.md: %s (floor %d) may import %s (floor %d), which is not below", name, r.floor, other, below.floor)
			}
			if driver(name) && driver(other) {
				t.Errorf("ARCHITECTURE.md: the driver %s may import the driver %s", name, other)
			}
		}
		for _, m := range r.thirdParty {
			if first, twice := enters[m]; twice {
				t.Errorf("ARCHITECTURE.md: %s enters through both %s and %s", m, first, name)
			}
			enters[m] = name
		}
	}
}

// driver tells whether a package is a driver of a kind of store.
func driver(name string) bool {
	rest, ok := strings.CutPrefix(name, "store/")
	return ok && !strings.Contains(rest, "/") && rest != "storetest" && rest != "tree"
}

// Each file imports only what its package's line in the table allows. Tests may use any package of ours.
func TestImports(t *testing.T) {
	rooms, all := readRooms(t), readTree(t)
	for dir, files := range all.dirs {
		r := rooms[dir]
		for _, s := range files {
			for _, p := range s.imports() {
				ours, isOurs := strings.CutPrefix(p, module+"/")
				switch {
				case isOurs && !s.test && !slices.Contains(r.mayImport, ours):
					t.Errorf("%s imports %s, which ARCHITECTURE.md does not allow to %s", s.path, ours, dir)
				case isOurs || !thirdParty(p) || among(p, r.thirdParty):
				case s.test && (among(p, testLibraries) || enters(p, rooms)):
				default:
					t.Errorf("%s imports %s, which ARCHITECTURE.md does not let in through %s", s.path, p, dir)
				}
			}
		}
	}
}

// thirdParty tells whether an import path is neither ours nor of the standard library.
func thirdParty(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return strings.Contains(first, ".")
}

// among tells whether a package belongs to one of the modules.
func among(path string, modules []string) bool {
	return slices.ContainsFunc(modules, func(m string) bool { return path == m || strings.HasPrefix(path, m+"/") })
}

// enters tells whether a package enters through any room: a test may compare with what another package uses.
func enters(path string, rooms map[string]room) bool {
	for _, r := range rooms {
		if among(path, r.thirdParty) {
			return true
		}
	}
	return false
}

// What is there for tests is imported by tests only.
func TestTestSupportStaysInTests(t *testing.T) {
	all := readTree(t)
	support := map[string]bool{}
	all.code(func(dir string, s source) {
		if slices.Contains(s.imports(), "testing") {
			support[module+"/"+dir] = true
		}
	})
	all.code(func(dir string, s source) {
		for _, p := range s.imports() {
			if support[p] && !support[module+"/"+dir] {
				t.Errorf("%s is no test and imports %s", s.path, p)
			}
		}
	})
}

// Decisions are pure: package plan knows neither files nor clocks nor the network.
func TestPlanIsPure(t *testing.T) {
	all := readTree(t)
	for _, s := range all.dirs["plan"] {
		if s.test {
			continue
		}
		for _, p := range s.imports() {
			if first, _, _ := strings.Cut(p, "/"); slices.Contains([]string{"context", "io", "os", "net", "time"}, first) {
				t.Errorf("%s imports %s", s.path, p)
			}
		}
	}
}

// A package is a noun of the field, and none is hidden.
func TestNamesOfPackages(t *testing.T) {
	bad := []string{"internal", "pkg", "util", "utils", "common", "helper", "helpers", "misc", "base", "types", "models"}
	for dir := range readTree(t).dirs {
		for name := range strings.SplitSeq(dir, "/") {
			if slices.Contains(bad, name) {
				t.Errorf("package %s: %q is no name for a package", dir, name)
			}
		}
	}
}
