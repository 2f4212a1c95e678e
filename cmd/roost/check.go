package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"roost/job"
	"roost/mail"
	"roost/repo"
)

func (a *app) checkCommand() *cobra.Command {
	var o repo.CheckOptions
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check that the repository is whole",
		Long: `Check looks at every snapshot, tree, index and pack of the repository. With
--read-data it also reads every pack and verifies every blob. The exit code is 1
if something is damaged.`,
		Example: `  roost check
  roost check --read-data`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.check(cmd.Context(), o) },
	}
	cmd.Flags().BoolVar(&o.ReadData, "read-data", false, "read every pack and verify every blob")
	return cmd
}

func (a *app) check(ctx context.Context, o repo.CheckOptions) error {
	_, r, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	report, err := r.Check(ctx, o)
	if err != nil {
		return err
	}
	for _, p := range report.Problems {
		if err := a.damage("error", p); err != nil {
			return err
		}
	}
	if a.flags.verbose > 0 || a.flags.json {
		for _, p := range report.Hints {
			if err := a.damage("hint", p); err != nil {
				return err
			}
		}
	}
	if err := a.json("summary", map[string]any{"problems": len(report.Problems), "hints": len(report.Hints), "snapshots": report.Snapshots,
		"trees": report.Trees, "packs": report.Packs, "blobs": report.Blobs, "read_data": o.ReadData, "ok": report.OK()}); err != nil {
		return err
	}
	looked := fmt.Sprintf("%s, %s, %s, %s", count(int64(report.Snapshots), "snapshot"), count(int64(report.Trees), "tree"),
		count(int64(report.Packs), "pack"), count(int64(report.Blobs), "blob"))
	if !report.OK() {
		a.printf("%s\n", a.coloured(fmt.Sprintf("DAMAGED: %s; looked at %s", count(int64(len(report.Problems)), "problem"), looked), false))
		return said{errors.New("the repository is damaged")}
	}
	a.printf("%s\n", a.coloured("OK: no damage in "+looked, true))
	return nil
}

// damage prints a problem of the repository.
func (a *app) damage(kind string, p *repo.Problem) error {
	a.printf("%s: %s\n", kind, printable(p.String()))
	for _, path := range p.Paths {
		a.printf("  in %s\n", printable(sufferer(path)))
	}
	if p.Hidden > 0 {
		a.printf("  and %s\n", count(int64(p.Hidden), "more path"))
	}
	return a.json(kind, map[string]any{"object": p.Object.String(), "message": p.String(), "paths": p.Paths, "hidden_paths": p.Hidden})
}

func (a *app) problemsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "problems [ACCOUNT]...",
		Short: "List what the last runs could not back up",
		Long: `Problems lists for each account, or for those named, the messages and mailboxes
that its last snapshot lacks, why, since when, and how often they were tried.
Every run tries them again. The exit code is 3 if there are any.`,
		Example: `  roost problems
  roost problems alice`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.problems(cmd.Context(), args) },
	}
}

func (a *app) problems(ctx context.Context, accounts []string) error {
	_, r, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	var list []job.Snapshot
	var damage error // of snapshots that may be newer
	for _, name := range accounts {
		sn, err := r.Find(ctx, "latest:"+name, time.Time{})
		if err != nil {
			return err
		}
		list, damage = append(list, *sn), sn.Doubt
	}
	if len(accounts) == 0 {
		list, damage = r.Latest(ctx)
	}
	var total int64
	for i := range list {
		problems := list[i].Source.Problems()
		total += int64(len(problems))
		for j := range problems {
			p := problems[j].Mail()
			if err := a.json("problem", struct {
				Account string `json:"account"`
				mail.Problem
			}{list[i].Account(), p}); err != nil {
				return err
			}
			a.printf("%s: %s\n", printable(list[i].Account()), printable(problemText(&p)))
		}
	}
	if err := a.json("summary", map[string]any{"accounts": len(list), "problems": total}); err != nil {
		return err
	}
	if err := a.unreadable(damage); err != nil {
		return err
	}
	if total > 0 {
		a.printf("INCOMPLETE: %s in %s\n", count(total, "problem"), count(int64(len(list)), "account"))
		return said{errIncomplete}
	}
	a.printf("OK: no problems in %s\n", count(int64(len(list)), "account"))
	return nil
}
