package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roost/job"
	"roost/repo"
)

// forgetFlags are the flags of forget.
type forgetFlags struct {
	choice            choiceFlags
	keep              keepFlags
	groupBy           string
	removeAll, dryRun bool
	prune             bool
	pruning           pruneFlags
}

// keepFlags are the rules, as typed.
type keepFlags struct {
	counts [6]string // last, hourly and so on
	spans  [6]string // within, within-hourly and so on
	tags   []string
}

func (a *app) forgetCommand() *cobra.Command {
	var f forgetFlags
	cmd := &cobra.Command{
		Use:   "forget [SNAPSHOT...]",
		Short: "Remove snapshots by rules",
		Long: `Forget removes the snapshots that no --keep rule keeps, of each account by
itself, and shows why the others stay. The rules are restic's, and keep what
restic's forget --group-by paths would keep. Or it removes the snapshots that
are named.

A run that failed in part never pushes out a good one: where snapshots are
incomplete, what the rules would keep if there were only complete ones stays,
too, and with it the last complete one of each account. What is held (roost
hold) stays whatever the rules say.

The data stay until roost prune, or with --prune it runs at once if a snapshot
went. Forget wants the repository for itself.`,
		Example: `  roost forget --keep-daily 14 --keep-weekly 8 --keep-monthly 24 --dry-run
  roost forget --keep-daily 14 --keep-monthly 24 --prune
  roost forget --account alice --keep-within 2y
  roost forget 1f3a5b7c`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.forget(cmd.Context(), args, &f) },
	}
	flags := cmd.Flags()
	for i, name := range []string{"last", "hourly", "daily", "weekly", "monthly", "yearly"} {
		what := "the newest `n` snapshots"
		if i > 0 {
			what = "the newest snapshot of each of `n` " + map[string]string{"hourly": "hours", "daily": "days", "weekly": "weeks", "monthly": "months", "yearly": "years"}[name]
		}
		flags.StringVar(&f.keep.counts[i], "keep-"+name, "", "keep "+what+", or unlimited")
	}
	flags.StringVar(&f.keep.spans[0], "keep-within", "", "keep all that are younger than the `span`, as in 1y5m7d2h, before the newest")
	for i, name := range []string{"hourly", "daily", "weekly", "monthly", "yearly"} {
		flags.StringVar(&f.keep.spans[i+1], "keep-within-"+name, "", "keep the "+name+" snapshots that are younger than the `span`")
	}
	flags.StringArrayVar(&f.keep.tags, "keep-tag", nil, "keep those that have these `tags`, between commas; may be given several times")
	f.choice.register(cmd)
	flags.StringVar(&f.groupBy, "group-by", "paths", "apply the rules to each group of the same `host, paths or tags`, between commas")
	flags.BoolVar(&f.removeAll, "unsafe-allow-remove-all", false, "let it remove all that is chosen, with no rule at all, and the last complete snapshot")
	flags.BoolVar(&f.prune, "prune", false, "remove the data, too, that nobody needs any more")
	f.pruning.register(cmd)
	flags.BoolVarP(&f.dryRun, "dry-run", "n", false, "say what would go and why, remove nothing")
	return cmd
}

// rules reads the rules.
func (k *keepFlags) rules() (rules repo.KeepRules, err error) {
	rules.Tags = tagLists(k.tags)
	for i, to := range []*int{&rules.Last, &rules.Hourly, &rules.Daily, &rules.Weekly, &rules.Monthly, &rules.Yearly} {
		if k.counts[i] == "" {
			continue
		}
		if *to, err = repo.ParseCount(k.counts[i]); err != nil {
			return rules, usagef("--keep: %w", err)
		}
	}
	for i, to := range []*repo.Span{&rules.Within, &rules.WithinHourly, &rules.WithinDaily, &rules.WithinWeekly, &rules.WithinMonthly, &rules.WithinYearly} {
		if *to, err = repo.ParseSpan(k.spans[i]); err != nil {
			return rules, usagef("--keep-within: %w", err)
		}
	}
	return rules, nil
}

func (f *forgetFlags) options(args []string) (o job.ForgetOptions, err error) {
	if o.Choose, err = f.choice.choice(args); err != nil {
		return o, err
	}
	if o.Rules, err = f.keep.rules(); err != nil {
		return o, err
	}
	if o.GroupBy, err = repo.ParseGroupBy(f.groupBy); err != nil {
		return o, usageError{err}
	}
	o.DryRun, o.RemoveAll = f.dryRun, f.removeAll
	switch {
	case len(args) > 0 && !o.Rules.IsEmpty():
		return o, usagef("SNAPSHOT excludes the --keep rules")
	case len(args) == 0 && o.Rules.IsEmpty() && !f.removeAll:
		return o, usageError{hinted{errors.New("forget what?"), "give a rule, as --keep-daily 14, or name snapshots"}}
	case len(args) == 0 && o.Rules.IsEmpty() && o.Choose.IsZero():
		return o, usageError{hinted{errors.New("all snapshots of which accounts?"), "name them with --account, or by --tag"}}
	}
	return o, nil
}

func (a *app) forget(ctx context.Context, args []string, f *forgetFlags) error {
	o, err := f.options(args)
	if err != nil {
		return err
	}
	pruning, err := f.pruning.options()
	if err != nil {
		return err
	}
	env, r, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	m := a.meter("forget")
	o.Progress = func(done, total int) { m.set("", progress{mailboxes: total, mailboxesDone: done}) }
	report, forgetErr := env.Forget(ctx, r, o)
	m.end()
	if forgetErr != nil && len(report.Groups) == 0 {
		return forgetErr
	}
	if err := a.verdicts(&report, o.DryRun, forgetErr); err != nil || len(report.Removed) == 0 {
		return err
	}
	if !f.prune {
		if !o.DryRun {
			a.note("their data stay until roost prune")
		}
		return nil
	}
	pruning.DryRun, pruning.TakeAsGone, pruning.RemoveAll = o.DryRun, report.Removed, o.RemoveAll
	return a.prune(ctx, r, pruning)
}

// verdictLine is a snapshot and what became of it, with --json.
type verdictLine struct {
	ID      repo.ID   `json:"id"`
	Time    time.Time `json:"time"`
	Host    string    `json:"host"`
	Paths   []string  `json:"paths"`
	Tags    []string  `json:"tags"`
	Keep    bool      `json:"keep"`
	Reasons []string  `json:"reasons"`
	Removed bool      `json:"removed"` // it is gone; after a dry run, it would be
}

// verdicts prints the table of reasons, and the sum. cause is why not all is done, and is returned.
func (a *app) verdicts(report *repo.ForgetReport, dryRun bool, cause error) error {
	gone := map[repo.ID]bool{}
	for _, id := range report.Removed {
		gone[id] = true
	}
	rows := [][]string{{"id", "time", "group", "verdict", "reasons"}}
	kept, leaving := int64(0), int64(0)
	for _, g := range report.Groups {
		for _, v := range g.Verdicts {
			sn, verdict := v.Snapshot, "keep"
			if !v.Keep {
				verdict = "remove"
				leaving++
			} else {
				kept++
			}
			line := verdictLine{sn.ID, sn.Time, sn.Hostname, sn.Paths, append([]string{}, sn.Tags...), v.Keep, append([]string{}, v.Reasons...), gone[sn.ID]}
			if err := a.json("verdict", line); err != nil {
				return err
			}
			rows = append(rows, []string{sn.ID.Short(), stamp(sn.Time), g.GroupKey.String(), verdict, strings.Join(v.Reasons, ", ")})
		}
	}
	if len(rows) > 1 {
		a.table(rows)
	}
	removed := int64(len(report.Removed))
	if err := a.json("summary", map[string]any{"kept": kept, "to_remove": leaving, "removed": removed, "dry_run": dryRun, "ok": cause == nil, "exit_code": exitCode(cause)}); err != nil {
		return err
	}
	switch {
	case cause != nil:
		a.printf("FAILED: removed %s of %s, kept %s\n", grouped(removed), count(leaving, "snapshot"), grouped(kept))
	case dryRun:
		a.printf("OK: dry run, would remove %s, keep %s\n", count(removed, "snapshot"), grouped(kept))
	default:
		a.printf("OK: removed %s, kept %s\n", count(removed, "snapshot"), grouped(kept))
	}
	return cause
}
