package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// everyCommand calls f with each command of the tree, and the arguments that mean it.
func everyCommand(t *testing.T, f func(t *testing.T, cmd *cobra.Command, path []string)) {
	a := newApp(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}, func(string) string { return "" })
	seen := 0
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		seen++
		t.Run(cmd.CommandPath(), func(t *testing.T) { f(t, cmd, strings.Fields(cmd.CommandPath())[1:]) })
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(a.root())
	if seen < 35 {
		t.Errorf("%d commands were found; is the test blind?", seen)
	}
}

// Each command says in a line and in a sentence what it does, and shows it, on lines of 80 columns.
func TestCommandsExplainThemselves(t *testing.T) {
	needless := []string{"roost version"} // it takes nothing
	everyCommand(t, func(t *testing.T, cmd *cobra.Command, _ []string) {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || len(cmd.Short) > 64 {
			t.Errorf("Short = %q, want a phrase of at most 64 letters without a full stop", cmd.Short)
		}
		first, _, whole := strings.Cut(strings.Join(strings.Fields(cmd.Long+" "), " ")+" ", ". ")
		if !whole || !strings.HasPrefix(strings.ToLower(first), cmd.Name()+" ") {
			t.Errorf("Long begins %q, want a sentence that begins with %q and says what it does", first, cmd.Name())
		}
		for line := range strings.Lines(cmd.Long) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 {
				t.Errorf("Long has a line of %d columns, want at most 80: %s", n, line)
			}
		}
		if cmd.Example == "" && !cmd.HasSubCommands() && !slices.Contains(needless, cmd.CommandPath()) {
			t.Error("Example is empty")
		}
	})
}

// What each command's example shows is a command that is there, with flags that it has.
func TestExamplesAreCommands(t *testing.T) {
	everyCommand(t, func(t *testing.T, cmd *cobra.Command, path []string) {
		for line := range strings.Lines(cmd.Example) {
			line = strings.TrimSpace(line)
			if !strings.HasPrefix(line+" ", cmd.CommandPath()+" ") {
				t.Errorf("example %q does not begin with %q", line, cmd.CommandPath())
			}
			for _, word := range strings.Fields(line) {
				name, _, _ := strings.Cut(strings.TrimPrefix(word, "--"), "=")
				if strings.HasPrefix(word, "--") && cmd.Flag(name) == nil && cmd.InheritedFlags().Lookup(name) == nil {
					t.Errorf("example %q has a flag --%s that is not there", line, name)
				}
			}
		}
	})
}

// A flag that is not there, or more arguments than there can be, are a mistake of usage, and nothing is done.
func TestCommandsRefuseWhatTheyDoNotKnow(t *testing.T) {
	everyCommand(t, func(t *testing.T, cmd *cobra.Command, path []string) {
		r := newRoost(t)
		r.exits(exitUsage, append(path, "--no-such-flag")...)
		if cmd.HasSubCommands() {
			r.exits(exitUsage, append(path, "no-such-command")...)
		}
		if many := make([]string, 20); cmd.Args != nil && cmd.Args(cmd, many) != nil {
			r.exits(exitUsage, append(path, many...)...)
		}
		r.emptyHome(t)
	})
}

// Help is given for each command, also beside --json, and touches nothing.
func TestHelpIsHarmless(t *testing.T) {
	everyCommand(t, func(t *testing.T, cmd *cobra.Command, path []string) {
		r := newRoost(t)
		a := newApp(strings.NewReader(""), &r.stdout, &r.stderr, func(name string) string { return r.env[name] })
		if got := a.run(t.Context(), append(path, "--json", "--help")); got != exitOK {
			t.Errorf("%s --json --help exits with %d, want %d", cmd.CommandPath(), got, exitOK)
		}
		if !strings.Contains(r.stdout.String(), "Usage:\n") || r.stderr.Len() > 0 {
			t.Errorf("%s --json --help prints\n%s%swant the usage, and nothing on standard error", cmd.CommandPath(), &r.stdout, &r.stderr)
		}
		r.emptyHome(t)
	})
}

// Each command that writes can be tried with -n first.
func TestWritersHaveDryRun(t *testing.T) {
	reads := strings.Fields(`snapshots ls cat search stats index diff ledger check problems version show list test`)
	own := map[string]string{
		"demo": "writes into a directory of its own", "man": "writes files that are made anew", "completion": "prints only",
	}
	everyCommand(t, func(t *testing.T, cmd *cobra.Command, _ []string) {
		if cmd.HasSubCommands() || own[cmd.Name()] != "" || slices.Contains(reads, cmd.Name()) {
			return
		}
		if f := cmd.Flags().Lookup("dry-run"); f == nil || f.Shorthand != "n" {
			t.Error("no -n, --dry-run; if it writes nothing, say so here")
		}
	})
}

// On a page of the manual only examples stand verbatim, so that the rest fits any width.
func TestManualWraps(t *testing.T) {
	everyCommand(t, func(t *testing.T, cmd *cobra.Command, _ []string) {
		var page bytes.Buffer
		manPage(&page, cmd)
		want := 0
		if cmd.Example != "" {
			want = 1
		}
		if got := strings.Count(page.String(), "\n.nf\n"); got != want {
			t.Errorf("the page has %d verbatim parts, want %d:\n%s", got, want, &page)
		}
		if !strings.Contains(page.String(), "\n.B \\-\\-progress\\-fps n\n") {
			t.Errorf("the page lacks --progress-fps:\n%s", &page)
		}
	})
}

// emptyHome fails if the command has left anything in its home.
func (r *roost) emptyHome(t *testing.T) {
	t.Helper()
	left, err := os.ReadDir(filepath.Clean(r.env["HOME"]))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		t.Errorf("left %s in its home", e.Name())
	}
}
