package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"roost/config"
	"roost/job"
	"roost/query"
)

// app is one run of the program: its surroundings and the global flags.
type app struct {
	stdin  io.Reader
	stdout *stream
	stderr *stream
	getenv func(string) string
	flags  globalFlags

	connections int             // of backup
	repo        *job.Repository // that was opened last
	asking      sync.Mutex      // held while a question waits for its answer
}

type globalFlags struct {
	config, repo, passwordFile, passwordCommand string
	cacert, clientCert                          string
	limitUpload, limitDownload                  int // KiB a second
	insecureTLS                                 bool
	json, quiet, noColor, yes                   bool
	verbose                                     int
	progressFPS                                 float64 // 0: not said
}

func newApp(stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) *app {
	a := &app{stdin: stdin, getenv: getenv}
	a.stdout, a.stderr = newStreams(stdout, stderr)
	return a
}

// run runs the command that args are and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	a.flags.json = a.flags.json || slices.Contains(args, "--json") // behind a flag that does not exist
	a.tellIndexDamage()
	if sig := (interrupted{}); err != nil && errors.As(context.Cause(ctx), &sig) && !errors.As(err, &sig) {
		err = fmt.Errorf("%w (%w)", sig, err)
	}
	var told said
	if err != nil && !errors.As(err, &told) {
		a.complain(err, exitCode(err))
	}
	if failure := a.stdout.failure(); failure != nil && !errors.Is(err, failure) {
		failure = fmt.Errorf("write standard output: %w", failure)
		a.complain(failure, exitCode(failure))
		err = worst([]error{failure, err})
	}
	return exitCode(err)
}

// complain tells the user of an error, and on a line of its own what to do.
func (a *app) complain(err error, code int) {
	hint := hintFor(err)
	if a.flags.json {
		a.jsonTo(a.stderr, "exit_error", struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
			Hint    string `json:"hint,omitempty"`
		}{code, err.Error(), hint})
		return
	}
	fmt.Fprintf(a.stderr, "roost: %s\n", printable(err.Error()))
	if mistake := (*query.ParseError)(nil); errors.As(err, &mistake) {
		a.point(mistake)
	}
	if hint != "" {
		fmt.Fprintf(a.stderr, "hint: %s\n", printable(hint))
	}
}

// point shows where in a query a mistake is.
func (a *app) point(mistake *query.ParseError) {
	before, behind := mistake.Mark()
	before = printable(before)
	fmt.Fprintf(a.stderr, "  %s%s\n  %s^\n", before, printable(behind), strings.Repeat(" ", columns(before)))
}

// note tells the user of something that is no error.
func (a *app) note(format string, args ...any) {
	if a.flags.quiet {
		return
	}
	text := fmt.Sprintf(format, args...)
	if a.flags.json {
		a.jsonTo(a.stderr, "note", struct {
			Message string `json:"message"`
		}{text})
		return
	}
	fmt.Fprintf(a.stderr, "%s\n", printable(text))
}

// root is the command without a verb, with all verbs below it.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "roost",
		Short: "Back up, restore and look through mailboxes",
		Long: `roost copies mail between places without losing any: it backs up accounts
(IMAP, Maildir, mbox, .eml) into a restic repository, restores them, and shows
what is in it. Every run ends with a ledger that must balance.

Without any configuration, a repository is made in your data directory, with a
generated key. roost demo shows all of this on a sample account.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			err := fmt.Errorf("unknown command %q", args[0])
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				return usageError{hinted{err, "did you mean " + strings.Join(near, " or ") + "?"}}
			}
			return usageError{err}
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.CompletionOptions.DisableDefaultCmd = true

	f := root.PersistentFlags()
	f.StringVarP(&a.flags.config, "config", "c", "", "read this configuration `file` and no other")
	f.StringVarP(&a.flags.repo, "repo", "r", "", "the `location` of the repository: a directory, or as restic writes it")
	f.StringVar(&a.flags.passwordFile, "password-file", "", "`file` that holds the repository's password")
	f.StringVar(&a.flags.passwordCommand, "password-command", "", "`command` that prints the repository's password")
	f.IntVar(&a.flags.limitUpload, "limit-upload", 0, "send to the repository's server at most `KiB` a second")
	f.IntVar(&a.flags.limitDownload, "limit-download", 0, "receive from it at most `KiB` a second")
	f.StringVar(&a.flags.cacert, "cacert", "", "`file` of authorities, in PEM, that sign the repository server's certificate")
	f.BoolVar(&a.flags.insecureTLS, "insecure-tls", false, "take any certificate from the repository's server (insecure)")
	f.StringVar(&a.flags.clientCert, "tls-client-cert", "", "`file` of our certificate and its key, in PEM, for the repository's server")
	f.BoolVar(&a.flags.json, "json", false, "print JSON, one object a line")
	f.BoolVarP(&a.flags.quiet, "quiet", "q", false, "no progress and no notes, only results and errors")
	f.CountVarP(&a.flags.verbose, "verbose", "v", "say more; twice shows the dialogue with servers, too")
	f.Float64Var(&a.flags.progressFPS, "progress-fps", 0, "show progress `n` times a second, up to 60; else ROOST_PROGRESS_FPS says it")
	f.BoolVar(&a.flags.noColor, "no-color", false, "no colours; so does NO_COLOR")
	f.BoolVar(&a.flags.yes, "yes", false, "take the answer to all questions to be yes")

	root.AddCommand(a.initCommand(), a.backupCommand(), a.restoreCommand(), a.snapshotsCommand(), a.lsCommand(),
		a.catCommand(), a.searchCommand(), a.statsCommand(), a.indexCommand(), a.diffCommand(), a.ledgerCommand(), a.checkCommand(),
		a.problemsCommand(), a.forgetCommand(), a.pruneCommand(), a.holdCommand(), a.tagCommand(), a.copyCommand(), a.keyCommand(),
		a.eraseCommand(), a.repairCommand(), a.unlockCommand(), a.accountCommand(), a.configCommand(), a.demoCommand(), a.generateCommand(), a.versionCommand())
	a.completions(root)
	return root
}

// onlyCommands runs a command that does nothing but hold those below it.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unknown command %q of %s", args[0], cmd.CommandPath())
	}
	return cmd.Help()
}

// args wraps a check of cobra's so that its error is one of usage.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usagef("%s: %w; usage: %s", cmd.CommandPath(), err, cmd.UseLine())
		}
		return nil
	}
}

// env loads the configuration with the global flags over it.
func (a *app) env() (*job.Env, error) {
	cfg, err := config.Load(config.Options{File: a.flags.config, Getenv: a.getenv})
	if err != nil {
		return nil, err
	}
	for _, f := range []struct{ flag, key, text string }{
		{"--repo", "repository.location", a.flags.repo},
		{"--password-file", "repository.password_file", a.flags.passwordFile},
		{"--password-command", "repository.password_command", a.flags.passwordCommand},
		{"--limit-upload", "repository.limit_upload", given(a.flags.limitUpload)},
		{"--limit-download", "repository.limit_download", given(a.flags.limitDownload)},
		{"--cacert", "repository.cacert", a.flags.cacert},
		{"--insecure-tls", "repository.insecure_tls", given(a.flags.insecureTLS)},
		{"--tls-client-cert", "repository.tls_client_cert", a.flags.clientCert},
	} {
		if f.text == "" {
			continue
		}
		if err := cfg.Set(f.key, f.text, f.flag); err != nil {
			return nil, err
		}
	}
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	if a.flags.passwordFile != "" && a.flags.passwordCommand != "" {
		return nil, usagef("--password-file and --password-command exclude each other")
	}
	for _, n := range cfg.Notes() {
		a.note("%s", n)
	}
	env := &job.Env{Config: cfg, Paths: config.PathsOf(a.getenv), Program: "roost " + version()}
	env.Ask = config.Asker{Getenv: a.getenv, Stderr: a.stderr.w, Note: func(n string) { a.note("%s", n) }}
	if terminal(a.stdin) {
		env.Ask.Prompt = a.prompt
	}
	if a.flags.verbose > 0 {
		env.Log = a.log()
	}
	if a.flags.verbose > 1 {
		env.WireLog = a.wireLog()
	}
	return env, nil
}

// given is the value of a flag as text; "" where it is the zero value.
func given[T int | bool](v T) string {
	if v == *new(T) {
		return ""
	}
	return fmt.Sprint(v)
}

// open loads the configuration and opens the repository.
func (a *app) open(ctx context.Context) (*job.Env, *job.Repository, error) {
	env, err := a.env()
	if err != nil {
		return nil, nil, err
	}
	if a.repo, err = env.OpenRepository(ctx); err != nil {
		return nil, nil, err
	}
	return env, a.repo, nil
}
