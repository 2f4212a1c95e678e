package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"roost/backup"
	"roost/config"
	"roost/job"
	"roost/store"
)

// accountFlags choose accounts.
type accountFlags struct {
	users                         []string
	all                           bool
	list, from                    string
	passwordFile, passwordCommand string
}

func (f *accountFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.users, "user", "u", nil, "an `account`, with * and ?; may be given several times")
	flags.BoolVarP(&f.all, "all", "A", false, "all accounts of the configuration")
	flags.StringVarP(&f.list, "accounts-from", "F", "", "a `file` of accounts, a name a line, with the URL of its store behind it\nwhere the configuration has none; - is standard input")
	flags.StringVar(&f.from, "from", "", "the `store` to read, if it is not in the configuration; {user} in it is\nthe name given with -u")
	flags.StringVar(&f.passwordFile, "store-password-file", "", "`file` that holds the password of the store given with --from")
	flags.StringVar(&f.passwordCommand, "store-password-command", "", "`command` that prints the password of the store given with --from")
}

// choice reads the flags; args are further names, or one store.
func (f *accountFlags) choice(a *app, args []string) (job.Choice, func(), error) {
	c := job.Choice{Names: f.users, All: f.all, From: f.from}
	done := func() {}
	for _, arg := range args {
		if !store.IsURL(arg) {
			c.Names = append(c.Names, arg)
		} else if _, err := store.Parse(store.WithUser(arg, "user")); err != nil {
			return c, done, usageError{err}
		} else if c.From != "" {
			return c, done, usagef("more than one store is given: %s and %s", c.From, arg)
		} else {
			c.From = arg
		}
	}
	if c.From != "" && c.All {
		return c, done, usagef("--from and --all exclude each other")
	}
	secret, err := a.storeSecret(f.passwordFile, f.passwordCommand)
	if err != nil {
		return c, done, err
	}
	c.Secret = secret
	switch f.list {
	case "":
	case "-":
		c.List = a.stdin
	default:
		file, err := os.Open(f.list)
		if err != nil {
			return c, done, usagef("read the list of accounts: %w", err)
		}
		c.List, done = file, func() { file.Close() }
	}
	return c, done, nil
}

// storeSecret is where the password of a store outside the configuration is.
func (a *app) storeSecret(file, command string) (config.Secret, error) {
	var s config.Secret
	switch {
	case file != "" && command != "":
		return s, usagef("--store-password-file and --store-password-command exclude each other")
	case file != "":
		s.File = file
	case command != "":
		words, err := config.SplitCommand(command)
		if err != nil {
			return s, usagef("--store-password-command: %w", err)
		}
		s.Command = words
	case a.getenv("ROOST_STORE_PASSWORD") != "":
		s.Env = "ROOST_STORE_PASSWORD"
	case a.getenv("ROOST_STORE_PASSWORD_FILE") != "":
		s.File = a.getenv("ROOST_STORE_PASSWORD_FILE")
	}
	return s, nil
}

// selectionFlags choose mailboxes and messages.
type selectionFlags struct{ config.Selection }

func (f *selectionFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.Folders, "folder", nil, "only this `mailbox` and those below it: a mask with * and ?, or a role as '\\Sent';\nmay be given several times")
	flags.StringArrayVar(&f.Exclude, "exclude", nil, "not this `mailbox` and those below it; wins over --folder")
	flags.BoolVar(&f.NoChildren, "no-children", false, "--folder and --exclude mean just what they match, not what is below")
	flags.StringVar(&f.Since, "since", "", "messages of this `time` and later: 2026-03-01, \"36 hours ago\", \"last tuesday\"")
	flags.StringVar(&f.Before, "before", "", "messages before this `time`")
	flags.StringVar(&f.Date, "date", "", "the `kind` of date that --since and --before mean: internal (when the store\nreceived the message; default) or header")
	flags.StringVar(&f.MaxSize, "max-size", "", "messages of at most this `size`, as in 25M")
}

func (a *app) backupCommand() *cobra.Command {
	var accounts accountFlags
	var selection selectionFlags
	var o job.BackupOptions
	var tags []string
	var shrink string
	cmd := &cobra.Command{
		Use:   "backup [ACCOUNT | STORE]...",
		Short: "Take a snapshot of accounts",
		Long: `Backup takes a snapshot of each account: of its messages with flags, keywords
and dates, and of all its mailboxes. Only what changed since the account's last
snapshot is read. What --folder, --exclude, --since and the like leave out is
recorded as left out, and never taken for deleted.

A message that cannot be read stops nothing: it is listed by roost problems, and
the next run tries it again. Backup prints a ledger for each account and ends
with a verdict.`,
		Example: `  roost backup -A
  roost backup -u 'a*' -w 4
  roost backup --from maildir:/home/alice/Maildir -u alice
  roost backup --from 'imaps://{user}@mail.example.com?master=admin' -F users.txt`,
		RunE: func(cmd *cobra.Command, args []string) error {
			choice, done, err := accounts.choice(a, args)
			if err != nil {
				return err
			}
			defer done()
			choice.Selection, choice.Tags, choice.MaxShrink = selection.Selection, tags, shrink
			return a.backup(cmd.Context(), choice, o)
		},
	}
	accounts.register(cmd)
	selection.register(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&selection.SkipAttachments, "skip-attachments", false, "store placeholders with hash and size in place of attachments")
	flags.IntVarP(&o.Workers, "workers", "w", 0, "this `number` of accounts at a time")
	flags.IntVar(&a.connections, "connections", 0, "this `number` of connections, or readers, for each account")
	flags.StringArrayVar(&tags, "tag", nil, "give the snapshots this `tag`; may be given several times")
	flags.StringVar(&shrink, "max-shrink", "", "refuse a snapshot in which the account has shrunk by more than this `part`:\n\"50%\" (default), or a number of messages; 100% lets it become empty")
	flags.StringVar(&o.Host, "host", "", "record this `name` in the snapshots, not this machine's")
	flags.BoolVarP(&o.DryRun, "dry-run", "n", false, "list and compare, write nothing")
	flags.BoolVar(&o.Again, "unerase", false, "forget what was erased from these accounts, and store what the source still has of it")
	flags.BoolVar(&o.SkipUnchanged, "skip-if-unchanged", false, "write no snapshot of an account in which nothing changed since the last")
	flags.BoolVar(&o.Full, "full", false, "list every mailbox in full, though the server says that nothing changed")
	return cmd
}

func (a *app) backup(ctx context.Context, choice job.Choice, o job.BackupOptions) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	for _, f := range []struct {
		key, flag string
		n         int
	}{{"backup.workers", "--workers", o.Workers}, {"backup.connections", "--connections", a.connections}} {
		if f.n == 0 {
			continue
		}
		if err := env.Config.Set(f.key, fmt.Sprint(f.n), f.flag); err != nil {
			return err
		}
	}
	if err := env.Config.Check(); err != nil {
		return err
	}
	accounts, err := env.Accounts(choice)
	if err != nil {
		return err
	}
	open := env.OpenOrMake
	if o.DryRun {
		open = env.OpenRepository
	}
	r, err := open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	a.repo = r
	a.tellMade(r)

	m := a.meter("backup")
	o.Progress = func(account string, p backup.Progress) {
		m.set(account, progress{mailboxes: p.Mailboxes, mailboxesDone: p.MailboxesDone, messages: p.Messages,
			messagesDone: p.MessagesDone, bytes: p.BytesDone, failed: p.Failed})
	}
	o.Done = func(out job.Outcome) { a.outcome(&out, len(accounts) > 1, o.DryRun) }
	outcomes, err := env.Backup(ctx, r, accounts, o)
	m.end()
	if err != nil {
		return err
	}
	return a.concludeBackup(outcomes)
}

// outcome prints how one account's run ended.
func (a *app) outcome(out *job.Outcome, many, dryRun bool) {
	title := ""
	if many {
		title = out.Account
	}
	if out.Err != nil {
		if errors.Is(out.Err, backup.ErrShrunk) { // the books say where
			if err := a.ledger(out.Account, title, &out.Report.Ledger); err != nil {
				a.failed(out.Account, err)
			}
		}
		a.failed(out.Account, out.Err)
		return
	}
	if err := a.ledger(out.Account, title, &out.Report.Ledger); err != nil {
		a.failed(out.Account, err)
	}
	if out.Report.Cut != nil {
		a.failed(out.Account, fmt.Errorf("cut short: %w", out.Report.Cut))
	}
	for _, w := range out.Report.Warnings {
		a.warn(out.Account+": "+w, "")
	}
	for _, p := range out.Report.Ledger.Problems() {
		if !a.flags.json && (a.flags.verbose > 0 || !p.Loss) {
			fmt.Fprintf(a.stderr, "%s\n", printable(problemText(&p)))
		}
	}
	saved := !dryRun && !out.Report.Unchanged
	a.json("snapshot", struct {
		Account  string  `json:"account"`
		ID       string  `json:"snapshot_id,omitempty"`
		DryRun   bool    `json:"dry_run,omitempty"`
		Skipped  bool    `json:"unchanged,omitempty"`
		Seconds  float64 `json:"seconds"`
		Complete bool    `json:"complete"`
	}{out.Account, fullID(&out.Report, saved), dryRun, out.Report.Unchanged, out.Took.Seconds(), out.Complete()})
	switch {
	case a.flags.quiet:
	case dryRun:
		a.printf("%s: dry run, nothing was written\n", printable(out.Account))
	case !saved:
		a.printf("%s: nothing changed, no snapshot was written\n", printable(out.Account))
	default:
		a.printf("snapshot %s of %s saved\n", out.Report.Snapshot.Short(), printable(out.Account))
	}
}

func fullID(r *backup.Report, saved bool) string {
	if !saved {
		return ""
	}
	return r.Snapshot.String()
}

// failed tells of an account's error; the run goes on.
func (a *app) failed(account string, err error) {
	if a.flags.json {
		a.json("error", struct {
			Account string `json:"account"`
			Message string `json:"message"`
			Code    int    `json:"code"`
		}{account, err.Error(), exitCode(err)})
		return
	}
	fmt.Fprintf(a.stderr, "roost: %s\n", printable(err.Error()))
	if hint := hintFor(err); hint != "" {
		fmt.Fprintf(a.stderr, "hint: %s\n", printable(hint))
	}
}

func (a *app) concludeBackup(outcomes []job.Outcome) error {
	v := verdict{Accounts: len(outcomes)}
	var errs []error
	for i := range outcomes {
		out := &outcomes[i]
		switch {
		case out.Err != nil:
			v.Failed++
			errs = append(errs, out.Err)
		case out.Report.Cut != nil:
			v.Cut++
			cut := out.Report.Cut
			if exitCode(cut) == exitFailed {
				cut = errIncomplete
			}
			errs = append(errs, cut)
		case !out.Complete():
			errs = append(errs, errIncomplete)
		}
		v.add(&out.Report.Ledger)
	}
	where := "; see roost problems"
	if v.onlyAccounts() { // of an account without a snapshot there is no list of problems
		where = ""
	} else if len(outcomes) == 1 {
		where += " " + outcomes[0].Account
	}
	return a.conclude(&v, printable(where), worst(errs))
}

// tellMade tells where a repository is that was made just now.
func (a *app) tellMade(r *job.Repository) {
	if !r.Made {
		return
	}
	a.note("made the repository %s", r.Location)
	if r.KeyFile != "" {
		a.note("its key is %s; keep a copy of it elsewhere: without it the repository cannot be read", r.KeyFile)
	}
}
