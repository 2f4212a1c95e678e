package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"roost/repo"
)

func (a *app) holdCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hold",
		Short: "Keep snapshots whatever the rules say",
		Long: `Hold keeps snapshots of an account, or all of it, also those to come: forget
leaves them alone, erase refuses them, and restic's prune keeps their data. It
stands in the repository, so it holds for every machine.`,
		RunE: onlyCommands,
	}
	cmd.AddCommand(a.holdAddCommand(), a.holdListCommand(), a.holdRemoveCommand())
	return cmd
}

func (a *app) holdAddCommand() *cobra.Command {
	var account, reason string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "add SNAPSHOT... | --account ACCOUNT",
		Short: "Hold snapshots, or an account",
		Long: `Add holds the snapshots that are named; with --account all that the account has
and will have. It deletes nothing, so credentials that can only append can hold.`,
		Example: `  roost hold add --account alice --reason 'case 4711'
  roost hold add latest:bob --reason 'as he left'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case account == "" && len(args) == 0:
				return usageError{hinted{errors.New("hold what?"), "name snapshots, or an account with --account"}}
			case account != "" && len(args) > 0:
				return usagef("SNAPSHOT and --account exclude each other")
			case reason == "":
				return usageError{hinted{errors.New("a hold needs a reason"), "say with --reason why, for who finds it in ten years"}}
			}
			f := choiceFlags{}
			if account != "" {
				f.accounts = []string{account}
			}
			return a.holdAdd(cmd.Context(), args, &f, reason, dryRun)
		},
	}
	cmd.Flags().StringVar(&account, "account", "", "hold all snapshots of this `account`, also those to come")
	cmd.Flags().StringVar(&reason, "reason", "", "why; `text` for people")
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "say what would be held, hold nothing")
	return cmd
}

func (a *app) holdAdd(ctx context.Context, args []string, f *choiceFlags, reason string, dryRun bool) error {
	choice, err := f.choice(args)
	if err != nil {
		return err
	}
	env, r, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	hold, chosen, err := env.Hold(ctx, r, choice, reason, dryRun)
	if err != nil {
		return err
	}
	ids := make([]repo.ID, len(chosen))
	for i, sn := range chosen {
		ids[i] = sn.ID
	}
	line := holdLine{ID: fullIDOf(hold.ID), Account: hold.Account, Reason: hold.Reason, By: hold.By, Since: hold.Since, Snapshots: ids, DryRun: dryRun}
	if err := a.json("hold", line); err != nil {
		return err
	}
	what := count(int64(len(chosen)), "snapshot")
	if hold.Account != "" {
		what += " of " + printable(hold.Account) + " and all to come"
	}
	if dryRun {
		a.printf("OK: dry run, would hold %s\n", what)
		return nil
	}
	a.printf("OK: hold %s holds %s\n", hold.ID.Short(), what)
	return nil
}

// holdLine is a hold with --json.
type holdLine struct {
	ID        string    `json:"id,omitempty"`
	Account   string    `json:"account,omitempty"` // all of it, also what is to come
	Reason    string    `json:"reason"`
	By        string    `json:"by,omitempty"`
	Since     time.Time `json:"since,omitzero"`
	Snapshots []repo.ID `json:"snapshots"` // as they were called when the hold began
	DryRun    bool      `json:"dry_run,omitempty"`
}

func (a *app) holdListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List what is held",
		Long:    `List shows each hold: what it keeps, why, who made it and when.`,
		Example: "  roost hold list",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, r, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer r.Close()
			list, err := r.Held(cmd.Context())
			if err != nil {
				return err
			}
			rows := [][]string{{"id", "since", "account", "snapshots", "by", "reason"}}
			for _, h := range list {
				line := holdLine{ID: h.ID.String(), Account: h.Account, Reason: h.Reason, By: h.By, Since: h.Since, Snapshots: []repo.ID{}}
				for _, s := range h.Snapshots {
					line.Snapshots = append(line.Snapshots, s.Origin)
				}
				if err := a.json("hold", line); err != nil {
					return err
				}
				rows = append(rows, []string{h.ID.Short(), stamp(h.Since), cmp.Or(h.Account, "-"), grouped(int64(len(h.Snapshots))), h.By, h.Reason})
			}
			if len(list) > 0 {
				a.table(rows, "by", "since")
			}
			a.printf("%s\n", count(int64(len(list)), "hold"))
			return a.json("summary", map[string]any{"holds": len(list)})
		},
	}
}

func (a *app) holdRemoveCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "remove HOLD",
		Short: "Let go of what is held",
		Long: `Remove ends a hold. What it held is kept from then on only as the rules of
forget, and other holds, have it. It asks first.`,
		Example: "  roost hold remove 1f3a5b7c",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			_, r, err := a.open(ctx)
			if err != nil {
				return err
			}
			defer r.Close()
			hold, err := r.FindHold(ctx, args[0])
			if err != nil {
				return err
			}
			verb := "let go of"
			if dryRun {
				verb = "dry run, would let go of"
			} else {
				if !a.flags.yes {
					question := fmt.Sprintf("let go of %s, held for %q?", count(int64(len(hold.Snapshots)), "snapshot"), hold.Reason)
					if err := a.confirm(ctx, printable(question)); err != nil {
						return err
					}
				}
				if err := r.RemoveHold(ctx, hold.ID); err != nil {
					return err
				}
			}
			a.printf("OK: %s %s: %s\n", verb, hold.ID.Short(), printable(hold.Reason))
			return a.json("summary", map[string]any{"id": hold.ID.String(), "removed": !dryRun, "dry_run": dryRun})
		},
	}
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "say what would be let go of, change nothing")
	return cmd
}
