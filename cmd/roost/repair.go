package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"roost/repo"
	"roost/snapshot"
)

func (a *app) repairCommand() *cobra.Command {
	var o repo.RepairOptions
	cmd := &cobra.Command{
		Use:   "repair",
		Short: "Make the index name what there is, and tell what is lost",
		Long: `Repair reads the packs that no index file names, and names them again: so it
brings back a repository of which all index files are lost. Packs that are
missing or not whole are named no more; what is good in them is copied into new
packs first. Then it lists every message and directory that is concerned.

Nothing else is removed: packs that are not whole stay until a prune, and
snapshots as they are, for what the next backup stores again of what the source
still has makes them whole. A restore brings what is left.

With --read-data every pack is read and every blob verified; without, only what
the index cannot tell. Nobody else may be at work in the repository.`,
		Example: `  roost repair --dry-run
  roost repair --read-data`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.repair(cmd.Context(), o) },
	}
	cmd.Flags().BoolVar(&o.ReadData, "read-data", false, "read every pack and verify every blob")
	cmd.Flags().BoolVarP(&o.DryRun, "dry-run", "n", false, "say what would be done, change nothing")
	return cmd
}

func (a *app) repair(ctx context.Context, o repo.RepairOptions) error {
	_, r, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	m := a.meter("repair")
	o.Progress = func(done, total int) { m.set("", progress{mailboxes: total, mailboxesDone: done}) }
	report, err := r.Repair(ctx, o)
	m.end()
	if err != nil {
		return err
	}
	for kind, list := range map[string][]*repo.Problem{"bad_index": report.BadFiles, "bad_pack": report.BadPacks} {
		for _, p := range list {
			a.printf("%s\n", printable(p.String()))
			if err := a.json(kind, map[string]any{"object": p.Object.String(), "message": p.String(), "lost_blobs": len(p.Blobs)}); err != nil {
				return err
			}
		}
	}
	check, err := r.Check(ctx, repo.CheckOptions{})
	if err != nil {
		return err
	}
	concerned := 0
	for _, p := range check.Problems {
		concerned += len(p.Paths) + p.Hidden
		if err := a.damage("error", p); err != nil {
			return err
		}
	}
	return a.repaired(report, o.DryRun, concerned)
}

// repaired prints how it ended.
func (a *app) repaired(report *repo.RepairReport, dryRun bool, concerned int) error {
	var err error
	if report.Lost() > 0 || concerned > 0 {
		err = errIncomplete
	}
	if jsonErr := a.json("summary", map[string]any{"adopted_packs": report.Adopted, "bad_packs": len(report.BadPacks), "bad_indexes": len(report.BadFiles),
		"written_indexes": report.Written, "removed_indexes": report.Dropped, "saved_blobs": report.Saved, "lost_blobs": report.Lost(),
		"concerned": concerned, "dry_run": dryRun, "ok": err == nil, "exit_code": exitCode(err)}); jsonErr != nil {
		return jsonErr
	}
	did := fmt.Sprintf("%s named again, %s not whole, %s copied out of them, %s lost", count(int64(report.Adopted), "pack"),
		count(int64(len(report.BadPacks)), "pack"), count(int64(report.Saved), "blob"), count(int64(report.Lost()), "blob"))
	switch {
	case dryRun:
		a.printf("dry run, nothing was changed: %s\n", did)
	case err == nil:
		a.printf("%s\n", a.coloured("OK: "+did, true))
	default:
		a.printf("%s\n", a.coloured("INCOMPLETE: "+did, false))
		a.note("roost backup --full stores again what the source still has of it; of that, earlier snapshots become whole, too")
	}
	if err != nil {
		return said{err}
	}
	return nil
}

// sufferer is a path that damage concerns, for people: where it is a message, which.
func sufferer(path string) string {
	sn, file, ok := strings.Cut(path, ":")
	if !ok {
		return path
	}
	if m, ok := snapshot.PlaceOf(file); ok {
		return fmt.Sprintf("%s, snapshot %s (%s)", m, sn, file)
	}
	return path
}
