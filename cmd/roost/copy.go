package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"roost/job"
	"roost/repo"
)

// copyFlags are the flags of copy.
type copyFlags struct {
	choice                choiceFlags
	to                    string
	passwordFile, command string
	make, verify, dryRun  bool
}

func (a *app) copyCommand() *cobra.Command {
	var f copyFlags
	cmd := &cobra.Command{
		Use:   "copy --to-repo DIR [SNAPSHOT...]",
		Short: "Copy snapshots to another repository",
		Long: `Copy brings snapshots to a second repository, with another password and at
another place: those that are named or chosen, else all, with what is held. What
is there already is neither read nor stored again, snapshots neither; parts are
copied as they were cut and compressed. Cut short, run it again.

With --init a repository that is not there is made, with the same cut points, so
that what restic stores in both is one, too.`,
		Example: `  roost copy --to-repo /mnt/usb/mail --to-password-file /etc/roost/usb.key --init
  roost copy --to-repo /mnt/usb/mail --to-password-file /etc/roost/usb.key --account alice`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.copy(cmd.Context(), args, &f) },
	}
	f.choice.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.to, "to-repo", "", "the `directory` of the other repository")
	flags.StringVar(&f.passwordFile, "to-password-file", "", "`file` that holds its password; without one, it is asked for")
	flags.StringVar(&f.command, "to-password-command", "", "`command` that prints its password")
	flags.BoolVar(&f.make, "init", false, "make the other repository if it is not there, with the same cut points")
	flags.BoolVar(&f.verify, "full", false, "look at every directory of what is there already, and bring what was lost there")
	flags.BoolVarP(&f.dryRun, "dry-run", "n", false, "say what would be copied, copy nothing")
	return cmd
}

func (a *app) copy(ctx context.Context, args []string, f *copyFlags) error {
	choice, err := f.choice.choice(args)
	if err != nil {
		return err
	}
	if f.to == "" {
		return usageError{hinted{errors.New("copy to where?"), "name the other repository with --to-repo"}}
	}
	secret, err := secretOf(f.passwordFile, f.command)
	if err != nil {
		return err
	}
	env, from, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer from.Close()
	other := env.Other(f.to, secret)
	open := other.OpenRepository
	if f.make && !f.dryRun {
		open = func(ctx context.Context) (*job.Repository, error) { return other.OpenOrMakeLike(ctx, from) }
	}
	to, err := open(ctx)
	if errors.Is(err, repo.ErrNoRepository) {
		return hinted{err, "--init makes it, without --dry-run"}
	}
	if err != nil {
		return err
	}
	defer to.Close()
	m := a.meter("copy")
	o := repo.CopyOptions{DryRun: f.dryRun, Full: f.verify, Progress: func(p repo.CopyProgress) {
		m.set("", progress{mailboxes: p.Snapshots, mailboxesDone: p.SnapshotsDone, bytes: p.Bytes})
	}}
	report, copyErr := from.Copy(ctx, to, choice, o)
	m.end()
	if report == nil {
		return copyErr
	}
	return a.copied(report, f.dryRun, copyErr)
}

// copiedLine is a snapshot and its copy, with --json.
type copiedLine struct {
	ID      repo.ID  `json:"id"`
	Copy    string   `json:"copy,omitempty"` // its ID at the destination
	Paths   []string `json:"paths"`
	Already bool     `json:"already"` // it was there before
	DryRun  bool     `json:"dry_run,omitempty"`
	Error   string   `json:"error,omitempty"`
}

// copied prints the books of a copy: every snapshot that was meant is copied, was there, or is failed.
func (a *app) copied(report *repo.CopyReport, dryRun bool, cause error) error {
	var copied, already, failed int64
	for _, s := range report.Snapshots {
		if s.Source == nil {
			continue
		}
		line := copiedLine{ID: s.Source.ID, Copy: fullIDOf(s.Copy), Paths: s.Source.Paths, Already: s.Already, DryRun: dryRun}
		id := s.Source.ID.Short()
		switch {
		case s.Err != nil:
			failed++
			line.Error = s.Err.Error()
			a.printf("snapshot %s is not copied: %s\n", id, printable(line.Error))
		case s.Already:
			already++
			if a.flags.verbose > 0 {
				a.printf("snapshot %s is there as %s\n", id, s.Copy.Short())
			}
		case dryRun:
			copied++
			a.printf("snapshot %s would be copied\n", id)
		case s.Copy.IsNull():
			failed++
			line.Error = "not reached"
		default:
			copied++
			a.printf("snapshot %s is %s there\n", id, s.Copy.Short())
		}
		if err := a.json("copied", line); err != nil {
			return err
		}
	}
	err := cause
	if err == nil && failed > 0 {
		err = said{errIncomplete}
	}
	if jsonErr := a.json("summary", map[string]any{"snapshots": len(report.Snapshots), "copied": copied, "already": already, "failed": failed, "blobs": report.Blobs,
		"bytes": report.Bytes, "dry_run": dryRun, "ok": err == nil, "exit_code": exitCode(err)}); jsonErr != nil {
		return jsonErr
	}
	verdict := "OK"
	if err != nil {
		verdict = "INCOMPLETE"
	}
	verb := "copied"
	if dryRun {
		verb = "dry run, would copy"
	}
	a.printf("%s: %s\n", verdict, fmt.Sprintf("%s %s, %s were there, %s failed; %s, %s", verb, count(copied, "snapshot"), grouped(already), grouped(failed),
		count(report.Blobs, "blob"), octets(report.Bytes)))
	return err
}
