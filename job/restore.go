package job

import (
	"context"
	"fmt"

	"roost/config"
	"roost/mail"
	"roost/mailsync"
	"roost/plan"
	"roost/query"
	"roost/store"
)

// RestoreOptions say what is restored, where to and how.
type RestoreOptions struct {
	To     string        // URL of the destination, or the name of an account of the configuration; "{user}" in it is User
	User   string        // default: the account of the snapshot
	Secret config.Secret // of To, if that is a URL

	Select  query.Selection
	Keys    []mail.Key // just these messages of the mailboxes selected; nil: all
	Query   query.Expr // just what it means; if it asks of the past, from earlier snapshots, too
	Root    mail.Name  // everything is put below; default: a mailbox called by the snapshot's date
	InPlace bool       // into the mailboxes it came from

	Collisions string // what to do with a message that is there already: "skip", "copy", "replace"; default skip
	DryRun     bool
	KeepUIDs   bool // give new mailboxes the UIDs of the snapshot, where the store can

	Progress func(mailsync.Progress) // may be nil
	Placed   func(mailsync.Placed)   // may be nil
}

// Restore puts what a snapshot holds into a store. Without Root and InPlace it
// goes below one mailbox that is called by the account and the time of the
// snapshot, so that a second run finds what the first has put there. What is
// asked for by name and is not in the snapshot is a *Missing; then nothing is
// touched.
func (e *Env) Restore(ctx context.Context, r *Repository, sn *Snapshot, o RestoreOptions) (mailsync.Report, error) {
	if o.User == "" {
		o.User = sn.Account()
	}
	collisions, err := parseCollisions(o.Collisions)
	if err != nil {
		return mailsync.Report{}, err
	}
	a, err := e.destination(o)
	if err != nil {
		return mailsync.Report{}, err
	}
	what, err := r.source(ctx, sn, &o)
	if err != nil {
		return mailsync.Report{}, fmt.Errorf("restore %s: %w", o.User, err)
	}
	dst, err := e.openStore(ctx, &a, store.Options{Make: !o.DryRun, Imagine: o.DryRun})
	if err != nil {
		return mailsync.Report{}, fmt.Errorf("restore %s: %w", o.User, err)
	}
	defer dst.Close()
	if !o.InPlace && o.Root == "" {
		o.Root = mail.NameOf("Restored " + sn.Time.Local().Format("2006-01-02 15.04"))
	}
	options := mailsync.Options{
		Select: o.Select, Root: o.Root, InPlace: o.InPlace, Collisions: collisions, KeepUIDs: o.KeepUIDs,
		DryRun: o.DryRun, Parallel: a.Connections, Now: e.now(), Progress: o.Progress, Placed: o.Placed,
	}
	if o.Keys != nil {
		wanted := make(map[mail.Key]bool, len(o.Keys))
		for _, k := range o.Keys {
			wanted[k] = true
		}
		options.MessageFilter = func(_ mail.Name, m *mail.Message) (string, bool) { return "key", !wanted[m.Key] }
	}
	report, err := mailsync.Restore(ctx, what.source, dst, options)
	if err = what.tell(&report, err); err != nil {
		return report, fmt.Errorf("restore %s: %w", o.User, err)
	}
	return report, nil
}

// destination is the account that o.To means.
func (e *Env) destination(o RestoreOptions) (Account, error) {
	if a, ok := e.Config.Account[o.To]; ok {
		return e.account(a, Choice{})
	}
	a := &config.Account{Name: o.User, Store: store.WithUser(o.To, o.User), Secret: o.Secret}
	if _, err := store.Parse(a.Store); err != nil {
		return Account{}, &config.Error{Key: "--to", Reason: err.Error(), Hint: e.knownAccounts()}
	}
	return e.account(a, Choice{})
}

func parseCollisions(text string) (plan.Collisions, error) {
	switch text {
	case "", "skip":
		return plan.Skip, nil
	case "copy":
		return plan.Copy, nil
	case "replace":
		return plan.Replace, nil
	}
	return 0, &config.Error{Key: "--collisions", Reason: text + " is unknown; there are skip, copy and replace"}
}
