package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"roost/job"
	"roost/query"
	"roost/repo"
)

// pruneFlags are the flags of prune, as typed.
type pruneFlags struct {
	maxUnused, maxRepack string
	small                bool
}

func (f *pruneFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.maxUnused, "max-unused", "5%", "let so much stay that is not needed: a `share` of the repository, a size as 500M, 0, or unlimited")
	flags.StringVar(&f.maxRepack, "max-repack-size", "", "copy packs of at most so many `octets`, as 10G, and leave the rest to the next prune")
	flags.BoolVar(&f.small, "repack-small", false, "copy together packs that are smaller than they should be")
}

func (f *pruneFlags) options() (o repo.PruneOptions, err error) {
	if o.MaxUnused, err = repo.ParseUnusedLimit(f.maxUnused, query.ParseSize); err != nil {
		return o, usagef("--max-unused: %w", err)
	}
	if f.maxRepack != "" {
		if o.MaxRepack, err = query.ParseSize(f.maxRepack); err == nil && o.MaxRepack == 0 {
			err = errors.New("it is 0")
		}
		if err != nil {
			return o, usagef("--max-repack-size: %w", err)
		}
	}
	o.Small = f.small
	return o, nil
}

func (a *app) pruneCommand() *cobra.Command {
	var f pruneFlags
	var dryRun, removeAll bool
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove what no snapshot needs",
		Long: `Prune removes the data that no snapshot needs any more: packs that nobody needs,
and, where more than --max-unused of the repository is not needed, packs that
are partly needed, after what is needed in them was copied into new ones. What
is held (roost hold) is needed. The rules are those of restic's prune.

Nothing is removed before what takes its place is stored. Cut short at any
point, the repository is whole, and the next prune goes on. Where a snapshot, a
directory, an index file or a pack is damaged or missing, nothing is removed at
all: roost repair comes first. Prune wants the repository for itself; a backup
that runs is not disturbed (exit code 11).`,
		Example: `  roost prune --dry-run
  roost prune
  roost prune --max-unused 0`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := f.options()
			if err != nil {
				return err
			}
			o.DryRun, o.RemoveAll = dryRun, removeAll
			_, r, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer r.Close()
			return a.prune(cmd.Context(), r, o)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&removeAll, "unsafe-allow-remove-all", false, "also where there is no snapshot, so that all data go")
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "say what would go, remove nothing")
	return cmd
}

// prune removes what is not needed, and tells of it.
func (a *app) prune(ctx context.Context, r *job.Repository, o repo.PruneOptions) error {
	m := a.meter("prune")
	o.Progress = func(done, total int) { m.set("", progress{mailboxes: total, mailboxesDone: done}) }
	report, err := r.Prune(ctx, o)
	m.end()
	if err != nil {
		return err
	}
	if err := a.json("pruned", map[string]any{"snapshots": report.Snapshots, "trees": report.Trees, "bytes_used": report.Used, "bytes_unused": report.Unused,
		"bytes_remaining": report.Remaining, "bytes_freed": report.Freed(), "bytes_copied": report.Copied, "packs_kept": report.Kept, "packs_repacked": report.Repacked,
		"packs_removed": report.Removed, "packs_unnamed": report.Unnamed, "indexes_removed": report.IndexesRemoved, "indexes_written": report.IndexesWritten,
		"dry_run": o.DryRun, "ok": true}); err != nil {
		return err
	}
	packs := func(n int) string { return count(int64(n), "pack") }
	a.printf("%s needs %s in %s; %s are not needed\n", count(int64(report.Snapshots), "snapshot"), octets(report.Used),
		packs(report.Kept+report.Repacked), octets(report.Unused+report.UnnamedSize))
	did := fmt.Sprintf("removed %s, copied %s of %s; %s are free, %s stay that are not needed", packs(report.Removed+report.Unnamed),
		octets(report.Copied), packs(report.Repacked), octets(report.Freed()), octets(report.Remaining))
	if o.DryRun {
		did = fmt.Sprintf("dry run, would remove %s, copy %s of %s; %s would be free, %s stay that are not needed", packs(report.Removed+report.Unnamed),
			octets(report.Copied), packs(report.Repacked), octets(report.Freed()), octets(report.Remaining))
	}
	a.printf("%s\n", a.coloured("OK: "+did, true))
	return nil
}
