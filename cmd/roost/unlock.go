package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"roost/repo"
)

func (a *app) unlockCommand() *cobra.Command {
	var o repo.UnlockOptions
	cmd := &cobra.Command{
		Use:   "unlock",
		Short: "Remove locks that dead runs left in the repository",
		Long: `Unlock removes the locks of runs that are surely gone: those that were not
refreshed for 30 minutes, and those of processes that this machine no longer
has. Roost and restic heed each other's locks, and unlock removes both.

With --all it removes every lock. Only do that if you know that no roost and no
restic is at work on the repository: what prune removes under a running backup
is lost.`,
		Example: `  roost unlock --dry-run
  roost unlock`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.unlock(cmd.Context(), o) },
	}
	cmd.Flags().BoolVar(&o.All, "all", false, "remove every lock, also those of runs that may be at work")
	cmd.Flags().BoolVarP(&o.DryRun, "dry-run", "n", false, "say which locks would be removed, remove none")
	return cmd
}

func (a *app) unlock(ctx context.Context, o repo.UnlockOptions) error {
	_, r, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	found, unlockErr := r.Unlock(ctx, o)
	var removed int64
	for _, l := range found {
		verb := "left"
		switch {
		case l.Remove && o.DryRun:
			verb = "would remove"
		case l.Remove:
			verb = "removed"
		}
		if l.Remove {
			removed++
		}
		if err := a.json("lock", lockLineOf(&l)); err != nil {
			return err
		}
		holder := l.Holder.String()
		if l.Err != nil {
			holder = "a lock that cannot be read: " + l.Err.Error()
		}
		a.printf("%s %s: %s\n", verb, l.ID.Short(), printable(holder))
	}
	if unlockErr != nil {
		return unlockErr
	}
	left := int64(len(found)) - removed
	if err := a.json("summary", map[string]any{"locks": len(found), "removed": removed, "left": left, "dry_run": o.DryRun}); err != nil {
		return err
	}
	verb := "removed"
	if o.DryRun {
		verb = "dry run, would remove"
	}
	a.printf("OK: %s %s, left %s\n", verb, count(removed, "lock"), grouped(left))
	return nil
}

// lockLine is a lock with --json.
type lockLine struct {
	ID        string    `json:"id"`
	Time      time.Time `json:"time,omitzero"`
	Exclusive bool      `json:"exclusive"`
	Host      string    `json:"host,omitempty"`
	User      string    `json:"user,omitempty"`
	PID       int       `json:"pid,omitempty"`
	Stale     bool      `json:"stale"`
	Remove    bool      `json:"remove"` // removed, or would be without --dry-run
	Error     string    `json:"error,omitempty"`
}

func lockLineOf(l *repo.FoundLock) lockLine {
	line := lockLine{ID: l.ID.String(), Time: l.Holder.Time, Exclusive: l.Holder.Exclusive, Host: l.Holder.Hostname,
		User: l.Holder.Username, PID: l.Holder.PID, Stale: l.Stale, Remove: l.Remove}
	if l.Err != nil {
		line.Error = l.Err.Error()
	}
	return line
}
