package main

import (
	"context"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"roost/repo"
)

// tagFlags are the flags of tag.
type tagFlags struct {
	choice           choiceFlags
	add, remove, set []string
	dryRun           bool
}

func (a *app) tagCommand() *cobra.Command {
	var f tagFlags
	cmd := &cobra.Command{
		Use:   "tag [SNAPSHOT...]",
		Short: "Change the tags of snapshots",
		Long: `Tag changes the tags of the snapshots that are named or chosen. A snapshot never
changes, so each gets a new ID; the first one is remembered as its original, as
restic does it. The tag "roost", by which roost knows its snapshots, stays.`,
		Example: `  roost tag latest:alice --add before-migration
  roost tag --account alice --remove test
  roost tag 1f3a5b7c --set yearly`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.tag(cmd.Context(), args, &f) },
	}
	f.choice.register(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&f.add, "add", nil, "add these `tags`, between commas")
	flags.StringSliceVar(&f.remove, "remove", nil, "remove these `tags`, between commas")
	flags.StringSliceVar(&f.set, "set", nil, "put these `tags`, between commas, in the place of all others; \"\" for none")
	flags.BoolVarP(&f.dryRun, "dry-run", "n", false, "say what would change, change nothing")
	cmd.MarkFlagsMutuallyExclusive("set", "add")
	cmd.MarkFlagsMutuallyExclusive("set", "remove")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if !cmd.Flags().Changed("set") && len(f.add)+len(f.remove) == 0 {
			return usagef("nothing to change: give --add, --remove or --set")
		}
		return nil
	}
	return cmd
}

func (a *app) tag(ctx context.Context, args []string, f *tagFlags) error {
	choice, err := f.choice.choice(args)
	if err != nil {
		return err
	}
	if choice.IsZero() {
		return usageError{hinted{errors.New("tag which snapshots?"), "name some, or choose with --account or --tag"}}
	}
	_, r, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	change := repo.TagChange{Replace: len(f.add)+len(f.remove) == 0, Add: append(f.add, f.set...), Remove: f.remove}
	changed, tagErr := r.Tag(ctx, choice, change, f.dryRun)
	for _, t := range changed {
		if err := a.json("tagged", taggedLine{t.Old.ID, fullIDOf(t.New), append([]string{}, t.Tags...), f.dryRun}); err != nil {
			return err
		}
		if f.dryRun {
			a.printf("snapshot %s would have the tags %s\n", t.Old.ID.Short(), printable(strings.Join(t.Tags, " ")))
			continue
		}
		a.printf("snapshot %s is %s now, with the tags %s\n", t.Old.ID.Short(), t.New.Short(), printable(strings.Join(t.Tags, " ")))
	}
	if tagErr != nil {
		return tagErr
	}
	if err := a.json("summary", map[string]any{"changed": len(changed), "dry_run": f.dryRun}); err != nil {
		return err
	}
	verb := "changed"
	if f.dryRun {
		verb = "dry run, would change"
	}
	a.printf("OK: %s %s\n", verb, count(int64(len(changed)), "snapshot"))
	return nil
}

// taggedLine is a snapshot whose tags changed, with --json.
type taggedLine struct {
	OldID  repo.ID  `json:"old_id"`
	ID     string   `json:"id,omitempty"`
	Tags   []string `json:"tags"`
	DryRun bool     `json:"dry_run,omitempty"`
}

// fullIDOf writes an ID; the null one is "".
func fullIDOf(id repo.ID) string {
	if id.IsNull() {
		return ""
	}
	return id.String()
}
