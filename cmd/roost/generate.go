package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (a *app) generateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Write man pages and completions",
		Long:  "Generate writes the manual and shell completions, from the same texts as\n--help.",
		RunE:  onlyCommands,
	}
	man := &cobra.Command{
		Use:     "man DIRECTORY",
		Short:   "Write a man page for each command",
		Long:    "Man writes a page for each command into a directory: roost.1, roost-backup.1\nand so on.",
		Example: "  roost generate man /usr/local/share/man/man1",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := writeManual(cmd.Root(), args[0])
			if err != nil {
				return err
			}
			a.printf("wrote %s to %s\n", count(int64(n), "page"), printable(args[0]))
			return a.json("summary", map[string]any{"pages": n, "directory": args[0]})
		},
	}
	completion := &cobra.Command{
		Use:   "completion bash | zsh | fish | powershell",
		Short: "Print the completions for a shell",
		Long: `Completion prints a script that completes commands, flags and what they take:
accounts, snapshots, mailboxes, stores. Snapshots and mailboxes are looked up in
the repository, unless its password would have to be asked for, or is printed by
a command. The script is printed as it is, also with --json.`,
		Example:   "  roost generate completion bash >/etc/bash_completion.d/roost",
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		Args:      args(cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return cmd.Root().GenBashCompletionV2(a.stdout, true)
			case "zsh":
				return cmd.Root().GenZshCompletion(a.stdout)
			case "fish":
				return cmd.Root().GenFishCompletion(a.stdout, true)
			default:
				return cmd.Root().GenPowerShellCompletionWithDesc(a.stdout)
			}
		},
	}
	cmd.AddCommand(man, completion)
	return cmd
}

// writeManual writes a page for cmd and each command below it.
func writeManual(cmd *cobra.Command, dir string) (pages int, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return 0, fmt.Errorf("write man pages: %w", err)
	}
	var page bytes.Buffer
	manPage(&page, cmd)
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + ".1"
	if err := os.WriteFile(filepath.Join(dir, name), page.Bytes(), 0o644); err != nil {
		return 0, fmt.Errorf("write man pages: %w", err)
	}
	pages = 1
	for _, sub := range cmd.Commands() {
		if sub.Name() == "help" || sub.Hidden {
			continue
		}
		n, err := writeManual(sub, dir)
		if err != nil {
			return pages, err
		}
		pages += n
	}
	return pages, nil
}

// manPage writes the page of one command in man(7)'s language.
func manPage(w io.Writer, cmd *cobra.Command) {
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	fmt.Fprintf(w, ".TH %s 1 \"\" \"roost %s\" \"User Commands\"\n", strings.ToUpper(name), version())
	fmt.Fprintf(w, ".SH NAME\n%s \\- %s\n", name, roff(cmd.Short))
	fmt.Fprintf(w, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	io.WriteString(w, ".SH DESCRIPTION\n")
	for paragraph := range strings.SplitSeq(strings.TrimSpace(cmd.Long), "\n\n") {
		fmt.Fprintf(w, ".PP\n%s\n", roff(paragraph))
	}
	verbatim := func(title, text string) {
		if text = strings.Trim(text, "\n"); text != "" {
			fmt.Fprintf(w, ".SH %s\n.nf\n%s\n.fi\n", title, roff(text))
		}
	}
	entries := func(title string, rows [][2]string) {
		if len(rows) == 0 {
			return
		}
		fmt.Fprintf(w, ".SH %s\n", title)
		for _, row := range rows {
			fmt.Fprintf(w, ".TP\n.B %s\n%s\n", roff(row[0]), roff(row[1]))
		}
	}
	var commands [][2]string
	for _, sub := range cmd.Commands() {
		if sub.Name() != "help" && !sub.Hidden {
			commands = append(commands, [2]string{sub.Name(), sub.Short})
		}
	}
	entries("COMMANDS", commands)
	entries("OPTIONS", options(cmd.LocalNonPersistentFlags()))
	entries("GLOBAL OPTIONS", options(cmd.Root().PersistentFlags()))
	verbatim("EXAMPLES", cmd.Example)
	io.WriteString(w, ".SH EXIT STATUS\n")
	for i := len(exitTable) - 1; i >= 0; i-- {
		fmt.Fprintf(w, ".TP\n.B %d\n%s\n", exitTable[i].code, roff(exitTable[i].meaning))
	}
	entries("ENVIRONMENT", environment())
	entries("FILES", files())
}

// options are the flags as the manual lists them: how they are written, and what they mean.
func options(flags *pflag.FlagSet) [][2]string {
	var rows [][2]string
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if value != "" && f.Value.Type() != "count" {
			name += " " + value
		}
		rows = append(rows, [2]string{name, usage})
	})
	return rows
}

// environment is a section of the manual.
func environment() [][2]string {
	return [][2]string{
		{"ROOST_CONFIG", "read this configuration file and no other"},
		{"ROOST_REPOSITORY", "as --repo; else RESTIC_REPOSITORY"},
		{"ROOST_PASSWORD, _FILE, _COMMAND", "the repository's password; else RESTIC_PASSWORD and so on"},
		{"ROOST_SERVER_USER", "who we are at the repository's server (repository.server.user)"},
		{"RESTIC_REST_USERNAME, _PASSWORD", "the user of a REST server"},
		{"AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_DEFAULT_REGION", "the keys and the region of S3"},
		{"ROOST_STORE_PASSWORD, _FILE", "the password of a store given with --from or --to"},
		{"ROOST_WORKERS, ROOST_CONNECTIONS", "as --workers and --connections"},
		{"ROOST_FOLDERS, ROOST_EXCLUDE", "masks, between commas; ROOST_SINCE and so on as the flags"},
		{"ROOST_PROGRESS_FPS", "as --progress-fps"},
		{"NO_COLOR", "as --no-color"},
	}
}

// files is a section of the manual.
func files() [][2]string {
	return [][2]string{
		{"/etc/roost/config.toml", "the configuration of the system, with conf.d beside it"},
		{"~/.config/roost/config.toml", "that of the user, with conf.d beside it"},
		{"~/.config/roost/repository.key", "the generated key of the default repository"},
		{"~/.local/share/roost/repository", "the default repository"},
	}
}

// roff is text that roff prints as it is.
func roff(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(line)
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			line = `\&` + line
		}
		b.WriteString(line)
	}
	return b.String()
}
