package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"roost/job"
	"roost/mail"
	"roost/mailsync"
	"roost/store"
)

// restoreFlags are the flags of restore that need reading.
type restoreFlags struct {
	selection                     selectionFlags
	root, at, mapFile, query      string
	keys                          []string
	passwordFile, passwordCommand string
	noUIDs                        bool
	o                             job.RestoreOptions
}

func (a *app) restoreCommand() *cobra.Command {
	var f restoreFlags
	cmd := &cobra.Command{
		Use:   "restore SNAPSHOT | latest[:ACCOUNT]",
		Short: "Put mail of a snapshot into a store",
		Long: `Restore puts the messages of a snapshot into a store, with their flags, keywords
and dates, and where the store can with their UIDs. What is there already is
recognised and not put there again, so restore may be run twice. It deletes
nothing, except, with --collisions replace, the old copy of a message.

With --query, it puts back just the messages that a query means (see roost
search). With deleted: or added: in it, they come from all snapshots up to this
one, each from the last that holds it; what only moved to another mailbox, other
than the trash, is left there.

Without --root and --in-place, everything goes below one mailbox that is called
by the time of the snapshot, as "Restored 2026-03-01 12.30".`,
		Example: `  roost restore latest:alice --to maildir:/tmp/alice
  roost restore latest:alice --to alice --folder INBOX --since 'last tuesday' --in-place
  roost restore 4f2a91c3 --to imaps://alice@mail.example.com --root dump/alice
  roost restore latest:alice --to alice --folder INBOX --key 412 --in-place
  roost restore latest:alice --to alice --query 'deleted:"last tuesday" from:bob' --in-place`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return a.restore(cmd.Context(), args[0], &f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.o.To, "to", "", "the `store` to restore into: a URL, or an account of the configuration")
	flags.StringVarP(&f.o.User, "user", "u", "", "the `account` at the destination, for {user} in --to; default: the snapshot's")
	flags.StringVar(&f.root, "root", "", "put everything below this `mailbox`")
	flags.BoolVar(&f.o.InPlace, "in-place", false, "use the mailboxes that the messages came from, or those of the same role")
	flags.StringVar(&f.o.Collisions, "collisions", "skip", "the `rule` for a message that is there already: skip, copy or replace")
	flags.StringVar(&f.at, "at", "", "with latest: the newest snapshot that was taken by this `time`")
	f.selection.register(cmd)
	flags.StringArrayVar(&f.keys, "key", nil, "just the message with this `key` (see roost ls, roost index); may be given several times")
	flags.StringVar(&f.query, "query", "", "just the messages that this `query` means (see roost search)")
	flags.BoolVar(&f.noUIDs, "no-uids", false, "do not give new mailboxes the UIDs of the snapshot")
	flags.StringVar(&f.mapFile, "map", "", "write to this `file` which message went where, a line each; not with --dry-run")
	flags.StringVar(&f.passwordFile, "store-password-file", "", "`file` that holds the password of the store given with --to")
	flags.StringVar(&f.passwordCommand, "store-password-command", "", "`command` that prints the password of the store given with --to")
	flags.BoolVarP(&f.o.DryRun, "dry-run", "n", false, "print what would be done, change nothing")
	return cmd
}

// options reads the flags.
func (f *restoreFlags) options(ctx context.Context, a *app, env *job.Env) (job.RestoreOptions, error) {
	o := f.o
	var err error
	switch {
	case o.To == "":
		return o, usageError{hinted{fmt.Errorf("restore where to?"), "name a store with --to"}}
	case o.InPlace && f.root != "":
		return o, usagef("--root and --in-place exclude each other")
	case f.root != "":
		o.Root = typedName(f.root)
	}
	if o.Secret, err = a.storeSecret(f.passwordFile, f.passwordCommand); err != nil {
		return o, err
	}
	if o.Select, err = env.Select(f.selection.Selection); err != nil {
		return o, err
	}
	for _, k := range f.keys {
		o.Keys = append(o.Keys, mail.Key(k))
	}
	if o.Query, err = env.ParseQuery(f.query); err != nil {
		return o, usageError{err}
	}
	o.KeepUIDs = !f.noUIDs
	if o.Collisions == "replace" && !o.DryRun && !a.flags.yes {
		return o, a.confirm(ctx, "messages that are there with another date are replaced, and the old copies removed; go on?")
	}
	return o, nil
}

func (a *app) restore(ctx context.Context, spec string, f *restoreFlags) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	o, err := f.options(ctx, a, env)
	if err != nil {
		return err
	}
	at, err := env.ParseAt(f.at)
	if err != nil {
		return usageError{err}
	}
	r, err := env.OpenRepository(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	a.repo = r
	sn, err := a.find(ctx, r, spec, at)
	if err != nil {
		return err
	}
	var placed *placedMap
	if f.mapFile != "" && !o.DryRun {
		if placed, err = newPlacedMap(f.mapFile); err != nil {
			return err
		}
		o.Placed = placed.add
	}
	m := a.meter("restore")
	o.Progress = func(p mailsync.Progress) {
		m.set(sn.Account(), progress{mailboxes: p.Mailboxes, mailboxesDone: p.MailboxesDone, messages: p.Messages, messagesDone: p.MessagesDone, bytes: p.Bytes})
	}
	report, runErr := env.Restore(ctx, r, sn, o)
	m.end()
	if placed != nil {
		if err := placed.end(len(report.Ledger.Rows) > 0); err != nil && runErr == nil {
			runErr = err
		}
	}
	return a.restored(sn, &report, o, runErr)
}

// restored prints what a restore did.
func (a *app) restored(sn *job.Snapshot, report *mailsync.Report, o job.RestoreOptions, runErr error) error {
	if runErr != nil && len(report.Ledger.Rows) == 0 {
		return runErr
	}
	for i := range report.Steps {
		text := report.Steps[i].String()
		a.printf("%s\n", printable(text))
		if err := a.json("step", struct {
			Text string `json:"text"`
		}{text}); err != nil {
			return err
		}
	}
	for _, p := range report.Places {
		if p.Why != "" {
			a.note("%s goes to %s: %s", p.Source, p.Name, p.Why)
		}
	}
	for _, remark := range report.Remarks {
		a.note("%s", remark)
	}
	if err := a.ledger(sn.Account(), "", &report.Ledger); err != nil {
		return err
	}
	for _, p := range report.Ledger.Problems() {
		if !a.flags.json {
			fmt.Fprintf(a.stderr, "%s\n", printable(problemText(&p)))
		}
	}
	if err := a.json("restored", struct {
		Account string `json:"account"`
		ID      string `json:"snapshot_id"`
		To      string `json:"to"`
		Root    string `json:"root,omitempty"`
		DryRun  bool   `json:"dry_run,omitempty"`
	}{sn.Account(), sn.ID.String(), store.Redact(o.To), string(report.Root), o.DryRun}); err != nil {
		return err
	}
	if report.Root != "" && !a.flags.quiet && !o.DryRun {
		a.printf("restored snapshot %s below %s\n", sn.ID.Short(), printable(strconv.Quote(string(report.Root))))
	}
	if o.DryRun && !a.flags.quiet {
		a.printf("dry run, nothing was written\n")
	}
	if runErr != nil {
		a.failed(sn.Account(), runErr)
	}
	v := verdict{Accounts: 1}
	v.add(&report.Ledger)
	if runErr != nil {
		v.Cut = 1
	}
	return a.conclude(&v, "; run it again to go on", runErr)
}
