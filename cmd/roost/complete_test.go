package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"roost/store"
)

// bashCompletion is where Debian's package of that name keeps what generated
// completions stand on.
const bashCompletion = "/usr/share/bash-completion/bash_completion"

// pressTab is a program for bash: it completes the last of its arguments as a
// Tab behind them would, and prints what could stand there, a line each. Words
// are split at colons and "=", as bash does.
const pressTab = `
source ` + bashCompletion + `
source <(roost generate completion bash)
COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9 COMP_WORDS=()
for word in "$@"; do
	while [[ $word == *[:=]* ]]; do
		head=${word%%[:=]*} word=${word#"$head"}
		[[ $head ]] && COMP_WORDS+=("$head")
		COMP_WORDS+=("${word:0:1}") word=${word:1}
	done
	[[ $word || $# == 1 ]] && COMP_WORDS+=("$word")
	shift
done
[[ $COMP_LINE == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
__start_roost roost 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"
`

// The generated script completes in a real bash, colons and blanks and all.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err == nil {
		_, err = os.Stat(bashCompletion)
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("bash and bash-completion are wanted: %v", err)
		}
		t.Skip(err)
	}
	d := newDesk(t, build(t), 1)
	mail := filepath.Join(t.TempDir(), "alice")
	s, err := store.Open(t.Context(), "maildir:"+mail, store.Options{Make: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), "Sent Items"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d.run(t, "backup", "--from", "maildir:"+mail, "-u", "alice")
	for _, tt := range []struct{ typed, want string }{
		{"roost bac", "backup"},
		{"roost ls latest:a", "alice"}, // bash puts it behind the colon
		{"roost restore latest:alice --collisions r", "replace"},
		{"roost search mess", "message-id:"},
		{"roost restore latest:alice --collisions=r", "replace"},
		{"roost restore latest:alice --folder S", `Sent\ Items`},
		{"roost cat latest:alice Se", `Sent\ Items`},
		{"roost backup --from maild", "maildir:"},
		{"roost backup --from maildir:" + mail[:len(mail)-2], mail + "/"},
	} {
		words := strings.Split(tt.typed, " ")
		cmd := exec.Command(bash, append([]string{"--norc", "--noprofile", "-c", pressTab, "bash"}, words...)...)
		cmd.Env = append(slices.Clone(d.env), "PATH="+filepath.Dir(d.program)+":"+os.Getenv("PATH"))
		cmd.Stdin = strings.NewReader("")
		out, err := cmd.Output()
		if got := strings.TrimSpace(string(out)); got != tt.want || err != nil {
			t.Errorf("Tab behind %q gives %q, %v, want %q", tt.typed, got, err, tt.want)
		}
	}
}

// Every scheme that is offered is one of a store, and every command that takes
// arguments completes them.
func TestCompletionsAreReal(t *testing.T) {
	for _, c := range schemes {
		if _, err := store.Parse(c.text + "x"); err != nil {
			t.Errorf("completion offers %q: %v", c.text, err)
		}
	}
	root := newApp(strings.NewReader(""), io.Discard, io.Discard, func(string) string { return "" }).root()
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		takes := strings.Trim(cmd.Use, "[]. ")
		if strings.Contains(takes, " ") && cmd.ValidArgsFunction == nil && len(cmd.ValidArgs) == 0 {
			t.Errorf("%s takes arguments, and none are completed", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(root)
}
