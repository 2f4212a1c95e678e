package job

import (
	"context"
	"fmt"
	"sync"
	"time"

	"roost/backup"
	"roost/repo"
)

// BackupOptions adjust Backup; the zero value is sensible.
type BackupOptions struct {
	Workers       int    // accounts at a time; default: the configuration's
	Host          string // recorded in snapshots; default: the configuration's, else this machine's name
	DryRun        bool   // list and compare, write nothing
	Full          bool   // trust no state
	Again         bool   // store messages again that were erased
	SkipUnchanged bool   // write no snapshot that holds nothing new

	Progress func(account string, p backup.Progress) // may be called by several goroutines at once; may be nil
	Done     func(Outcome)                           // called for each account as it ends, by one goroutine at a time; may be nil
}

// Outcome is how the run of one account ended.
type Outcome struct {
	Account string
	Report  backup.Report
	Err     error         // nil: there is a new snapshot, or it was a dry run
	Took    time.Duration // from opening its store
}

// Complete reports whether nothing is missing.
func (o *Outcome) Complete() bool { return o.Err == nil && o.Report.Complete() }

// Backup backs up accounts, some at a time, into one session of the repository.
// What befalls one account does not stop the others. The outcomes stand in the
// order of accounts. An error is one of the repository; then no outcome holds.
func (e *Env) Backup(ctx context.Context, r *Repository, accounts []Account, o BackupOptions) ([]Outcome, error) {
	if o.Workers == 0 {
		o.Workers = e.Config.Backup.Workers
	}
	if o.Host == "" {
		o.Host = e.Config.Backup.Host
	}
	if o.DryRun {
		if err := r.LoadIndex(ctx); err != nil {
			return nil, err
		}
		return e.backupAll(ctx, r, nil, accounts, o), nil
	}
	var outcomes []Outcome
	err := r.Write(ctx, repo.WriteOptions{}, func(ctx context.Context, session *repo.Session) error {
		outcomes = e.backupAll(ctx, r, session, accounts, o)
		return nil
	})
	if err != nil {
		return outcomes, fmt.Errorf("write to repository %s: %w", r.Location, err)
	}
	return outcomes, nil
}

func (e *Env) backupAll(ctx context.Context, r *Repository, session *repo.Session, accounts []Account, o BackupOptions) []Outcome {
	outcomes := make([]Outcome, len(accounts))
	next := make(chan int)
	var done sync.Mutex // held while Done is called
	var workers sync.WaitGroup
	for range min(o.Workers, len(accounts)) {
		workers.Go(func() {
			for i := range next {
				outcomes[i] = e.backupOne(ctx, r, session, &accounts[i], o)
				if o.Done != nil {
					done.Lock()
					o.Done(outcomes[i])
					done.Unlock()
				}
			}
		})
	}
	for i := range accounts {
		next <- i
	}
	close(next)
	workers.Wait()
	return outcomes
}

func (e *Env) backupOne(ctx context.Context, r *Repository, session *repo.Session, a *Account, o BackupOptions) Outcome {
	begin := e.now()
	out := Outcome{Account: a.Name}
	if out.Err = context.Cause(ctx); out.Err != nil {
		return out
	}
	source, err := e.OpenStore(ctx, a)
	if err != nil {
		out.Err = fmt.Errorf("back up %s: %w", a.Name, err)
		return out
	}
	defer source.Close()
	options := backup.Options{
		Account: a.Name, Host: o.Host, Tags: a.Tags, Selection: a.Selection, Connections: a.Connections,
		DryRun: o.DryRun, Full: o.Full, Again: o.Again, SkipUnchanged: o.SkipUnchanged || e.Config.Backup.SkipUnchanged, FullEvery: a.FullEvery, MaxShrink: a.MaxShrink, Now: begin, Program: e.Program,
	}
	if o.Progress != nil {
		options.Progress = func(p backup.Progress) { o.Progress(a.Name, p) }
	}
	out.Report, out.Err = backup.Run(ctx, source, r.Repo, session, options)
	out.Took = e.now().Sub(begin)
	return out
}
