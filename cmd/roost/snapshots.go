package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roost/job"
	"roost/mail"
	"roost/query"
)

func (a *app) snapshotsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "snapshots [ACCOUNT]",
		Short: "List the snapshots",
		Long: `Snapshots lists the snapshots of all accounts, or of one, oldest first. Other
snapshots in the repository, as of restic's own, are counted only.`,
		Example: "  roost snapshots alice",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			account := ""
			if len(args) > 0 {
				account = args[0]
			}
			return a.snapshots(cmd.Context(), account)
		},
	}
}

// snapshotLine is a snapshot with --json.
type snapshotLine struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time"`
	Account   string    `json:"account"`
	Host      string    `json:"host"`
	Tags      []string  `json:"tags"`
	Mailboxes int       `json:"mailboxes"`
	Messages  int64     `json:"messages"`
	Bytes     int64     `json:"bytes"`
	Problems  int       `json:"problems"`
	Program   string    `json:"program,omitempty"`

	Selection json.RawMessage `json:"selection,omitempty"` // query.Selection; absent: everything
}

func lineOf(sn *job.Snapshot) snapshotLine {
	messages, bytes := sn.Totals()
	account := sn.Source.Account()
	return snapshotLine{ID: sn.ID.String(), Time: sn.Time, Account: account.Name, Host: sn.Hostname, Tags: sn.Tags,
		Mailboxes: len(sn.Source.Boxes()), Messages: messages, Bytes: bytes, Problems: len(sn.Source.Problems()),
		Selection: account.Selection, Program: account.Program}
}

func (a *app) snapshots(ctx context.Context, account string) error {
	_, r, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	list, others, damage := r.Snapshots(ctx, account)
	rows := [][]string{{"id", "time", "account", "mailboxes", "messages", "size", "problems", "host", "tags"}}
	for i := range list {
		l := lineOf(&list[i])
		if err := a.json("snapshot", l); err != nil {
			return err
		}
		rows = append(rows, []string{list[i].ID.Short(), stamp(l.Time), l.Account, grouped(int64(l.Mailboxes)), grouped(l.Messages),
			octets(l.Bytes), grouped(int64(l.Problems)), l.Host, strings.Join(l.Tags, " ")})
	}
	if len(list) > 0 {
		a.table(rows, append(idle(rows), "host", "tags", "mailboxes")...)
	}
	if account != "" && len(list) == 0 {
		a.note("no snapshot is of %s; roost snapshots lists all", account)
	}
	if others > 0 {
		a.note("%s without mail of roost's", count(int64(others), "snapshot"))
	}
	unread := len(joined(damage))
	if err := a.json("summary", map[string]any{"snapshots": len(list), "others": others, "unreadable": unread}); err != nil {
		return err
	}
	switch {
	case a.flags.quiet:
	case unread > 0:
		a.printf("%s, and %s that cannot be read\n", count(int64(len(list)), "snapshot"), grouped(int64(unread)))
	default:
		a.printf("%s\n", count(int64(len(list)), "snapshot"))
	}
	return a.unreadable(damage)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}

func (a *app) ledgerCommand() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "ledger SNAPSHOT | latest[:ACCOUNT]",
		Short: "Show the books of the run that took a snapshot",
		Long: `Ledger shows for each mailbox what the server said it held, what was listed and
by which method, and what became of it. Listed is the sum of held, failed,
excluded, gone and erased.`,
		Example: "  roost ledger latest:alice",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSnapshot(cmd.Context(), args[0], at, func(_ *job.Env, _ *job.Repository, sn *job.Snapshot) error {
				l, err := sn.Source.Ledger(cmd.Context())
				if err != nil {
					return err
				}
				if a.flags.verbose == 0 {
					a.flags.verbose = 1 // a book is shown whole
				}
				if err := a.ledger(sn.Account(), sn.Account(), &l); err != nil {
					return err
				}
				v := verdict{Accounts: 1}
				v.add(&l)
				return a.conclude(&v, "; see roost problems "+printable(sn.Account()), nil)
			})
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "with latest: the newest snapshot that was taken by this `time`")
	return cmd
}

// withSnapshot opens the repository and a snapshot, and calls do.
func (a *app) withSnapshot(ctx context.Context, spec, at string, do func(*job.Env, *job.Repository, *job.Snapshot) error) error {
	env, r, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	when, err := env.ParseAt(at)
	if err != nil {
		return usageError{err}
	}
	sn, err := a.find(ctx, r, spec, when)
	if err != nil {
		return err
	}
	return do(env, r, sn)
}

// find opens the snapshot that spec means, and warns if another may be newer.
func (a *app) find(ctx context.Context, r *job.Repository, spec string, at time.Time) (*job.Snapshot, error) {
	sn, err := r.Find(ctx, spec, at)
	if err == nil && sn.Doubt != nil {
		a.warnAll(sn.Doubt, fmt.Sprintf("it may be newer than %s of %s, which is taken. %s", sn.ID.Short(), stamp(sn.Time), hintDamage))
	}
	return sn, err
}

func (a *app) diffCommand() *cobra.Command {
	var selection selectionFlags
	cmd := &cobra.Command{
		Use:   "diff OLDER NEWER",
		Short: "Show in what two snapshots differ",
		Long: `Diff shows the messages and mailboxes that were added, removed, or given other
flags between two snapshots. The exit code is 6 if there are any.`,
		Example: "  roost diff 1f3a5b7c latest:alice",
		Args:    args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSnapshot(cmd.Context(), args[0], "", func(env *job.Env, r *job.Repository, older *job.Snapshot) error {
				newer, err := a.find(cmd.Context(), r, args[1], time.Time{})
				if err != nil {
					return err
				}
				if older.Account() != newer.Account() {
					return usagef("snapshots of %s and of %s cannot be compared: their keys mean nothing to each other", older.Account(), newer.Account())
				}
				sel, err := env.Select(selection.Selection)
				if err != nil {
					return err
				}
				return a.diff(cmd.Context(), older, newer, sel)
			})
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&selection.Folders, "folder", nil, "only this `mailbox` and those below it")
	flags.StringArrayVar(&selection.Exclude, "exclude", nil, "not this `mailbox` and those below it")
	flags.BoolVar(&selection.NoChildren, "no-children", false, "--folder and --exclude mean just what they match")
	return cmd
}

func (a *app) diff(ctx context.Context, older, newer *job.Snapshot, sel query.Selection) error {
	counts := map[job.DifferenceKind]int64{}
	for d, err := range job.Diff(ctx, older.Source, newer.Source, sel) {
		if err != nil {
			return err
		}
		line := struct {
			Mailbox mail.Name `json:"mailbox"`
			Kind    string    `json:"kind"`
			Key     mail.Key  `json:"key,omitempty"`
			Old     []string  `json:"old_flags,omitempty"`
			New     []string  `json:"new_flags,omitempty"`
		}{d.Mailbox, string(d.Kind), d.Key, d.Old.List(), d.New.List()}
		if err := a.json("difference", line); err != nil {
			return err
		}
		switch {
		case d.Key == "":
			a.printf("%-13s %s\n", d.Kind, printable(string(d.Mailbox)))
		case d.Kind == job.Reflagged:
			a.printf("%-13s %s %s: %s -> %s\n", d.Kind, printable(string(d.Mailbox)), d.Key, shown(d.Old), shown(d.New))
		default:
			a.printf("%-13s %s %s\n", d.Kind, printable(string(d.Mailbox)), printable(string(d.Key)))
		}
		if d.Key != "" {
			counts[d.Kind]++
		} else {
			counts["mailboxes"]++
		}
	}
	if err := a.json("summary", map[string]int64{"added": counts[job.Added], "removed": counts[job.Removed], "flags_changed": counts[job.Reflagged], "mailboxes": counts["mailboxes"]}); err != nil {
		return err
	}
	if len(counts) == 0 {
		a.printf("SAME: no differences\n")
		return nil
	}
	a.printf("DIFFERENT: %s added, %s removed, %s with other flags\n", count(counts[job.Added], "message"), grouped(counts[job.Removed]), grouped(counts[job.Reflagged]))
	return said{errDifferent}
}

func shown(f mail.Flags) string {
	if f == "" {
		return "none"
	}
	return printable(string(f))
}

// problemText is a problem in a line.
func problemText(p *mail.Problem) string {
	text := string(p.Mailbox)
	if p.Key != "" {
		text += " message " + string(p.Key)
	}
	text += ": " + p.Reason
	if p.Tries > 1 {
		text += fmt.Sprintf(" (since %s, tried %s)", p.Since.Local().Format(time.DateOnly), count(int64(p.Tries), "time"))
	}
	return text
}
