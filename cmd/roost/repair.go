package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roost/job"
	"roost/mend"
	"roost/repo"
	"roost/snapshot"
)

func (a *app) repairCommand() *cobra.Command {
	var o repo.RepairOptions
	var drop bool
	cmd := &cobra.Command{
		Use:   "repair",
		Short: "Make the index name what there is, and tell what is lost",
		Long: `Repair reads the packs that no index file names, and names them again: so it
brings back a repository of which all index files are lost. Packs that are
missing or not whole are named no more; what is good in them is copied into new
packs first. Then it lists every message and directory that is concerned.

Nothing else is removed: packs that are not whole stay until a prune, and
snapshots as they are, for what the next backup stores again of what the source
still has makes them whole. A restore brings what is left. With --drop-lost,
snapshots that lack something are written anew without it: then they are whole,
what went is listed and counts as failed, and the next backup asks for it again.

With --read-data every pack is read and every blob verified; without, only what
the index cannot tell. Nobody else may be at work in the repository.`,
		Example: `  roost repair --dry-run
  roost repair --read-data
  roost repair --read-data --drop-lost`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.repair(cmd.Context(), o, drop) },
	}
	cmd.Flags().BoolVar(&o.ReadData, "read-data", false, "read every pack and verify every blob")
	cmd.Flags().BoolVar(&drop, "drop-lost", false, "write snapshots anew without what is lost")
	cmd.Flags().BoolVarP(&o.DryRun, "dry-run", "n", false, "say what would be done, change nothing")
	return cmd
}

func (a *app) repair(ctx context.Context, o repo.RepairOptions, drop bool) error {
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
	var mended *mend.Report
	if drop && !o.DryRun {
		if mended, err = a.mend(ctx, r); err != nil {
			return err
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
	return a.repaired(report, mended, o.DryRun, concerned)
}

// repaired prints how it ended.
func (a *app) repaired(report *repo.RepairReport, mended *mend.Report, dryRun bool, concerned int) error {
	var err error
	var dropped int64
	if mended != nil {
		dropped = mended.Messages()
	}
	if report.Lost() > 0 || concerned > 0 {
		err = errIncomplete
	}
	if jsonErr := a.json("summary", map[string]any{"adopted_packs": report.Adopted, "bad_packs": len(report.BadPacks), "bad_indexes": len(report.BadFiles),
		"written_indexes": report.Written, "removed_indexes": report.Dropped, "saved_blobs": report.Saved, "lost_blobs": report.Lost(),
		"concerned": concerned, "dropped_messages": dropped, "dry_run": dryRun, "ok": err == nil, "exit_code": exitCode(err)}); jsonErr != nil {
		return jsonErr
	}
	did := fmt.Sprintf("%s named again, %s not whole, %s copied out of them, %s lost", count(int64(report.Adopted), "pack"),
		count(int64(len(report.BadPacks)), "pack"), count(int64(report.Saved), "blob"), count(int64(report.Lost()), "blob"))
	if mended != nil {
		did += fmt.Sprintf("; %s mended, %s dropped", count(int64(len(mended.Snapshots)), "snapshot"), count(dropped, "message"))
	}
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

// mend takes what is lost out of the snapshots, and names it.
func (a *app) mend(ctx context.Context, r *job.Repository) (*mend.Report, error) {
	if !a.flags.yes {
		if err := a.confirm(ctx, "snapshots that lack something are written anew without it, and replaced; go on?"); err != nil {
			return nil, err
		}
	}
	report, err := mend.Run(ctx, r.Repo, time.Now())
	for _, sn := range report.Snapshots {
		a.printf("snapshot %s of %s is %s now; it lost %s\n", sn.ID.Short(), printable(sn.Account), sn.New.Short(), count(int64(len(sn.Lost))+sn.Unnamed, "message"))
		lines := []any{}
		for _, e := range sn.Lost {
			a.printf("  lost: %s message %s: %s\n", printable(string(e.Mailbox)), printable(string(e.Key)), printable(e.Err.Error()))
			lines = append(lines, map[string]any{"mailbox": e.Mailbox, "key": e.Key, "message": e.Err.Error()})
		}
		for _, e := range sn.Bare {
			a.printf("  lost: the flags of %s message %s\n", printable(string(e.Mailbox)), printable(string(e.Key)))
			lines = append(lines, map[string]any{"mailbox": e.Mailbox, "key": e.Key, "message": "flags: " + e.Err.Error()})
		}
		if err := a.json("mended", map[string]any{"account": sn.Account, "old_id": sn.ID.String(), "snapshot_id": sn.New.String(), "lost": lines, "unnamed": sn.Unnamed}); err != nil {
			return nil, err
		}
	}
	for _, err := range report.Hopeless {
		a.note("%v; roost restore still brings what is left of it", err)
	}
	return report, err
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
