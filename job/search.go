package job

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"roost/config"
	"roost/find"
	"roost/mail"
	"roost/mailsync"
	"roost/query"
	"roost/repo"
	"roost/snapshot"
)

// ErrNothingFound says that a query means no message.
var ErrNothingFound = errors.New("no message is meant")

// ErrNotJudged says that of some messages it is not known whether a query means them.
var ErrNotJudged = errors.New("some messages could not be looked at")

// SearchOptions say what Search looks through.
type SearchOptions struct {
	Query    query.Expr
	Accounts []string  // none: all
	At       time.Time // just the snapshots that were taken by then; zero: all
}

// Match is a message that Search found.
type Match struct {
	Account string
	find.Found
}

// ParseQuery reads a query; its times are relative to now.
func (e *Env) ParseQuery(text string) (query.Expr, error) { return query.Parse(text, e.now()) }

// Search yields the messages that a query means, in all snapshots of accounts, account by account (see find.Run). An
// error tells of what could not be looked at, and the stream goes on, unless ctx is done.
func (r *Repository) Search(ctx context.Context, o SearchOptions) iter.Seq2[Match, error] {
	return func(yield func(Match, error) bool) {
		list, _, damage := r.Snapshots(ctx, "")
		accounts := make(map[string][]*snapshot.Source)
		var names []string
		for i := range list {
			name := list[i].Account()
			if len(o.Accounts) > 0 && !slices.Contains(o.Accounts, name) || !o.At.IsZero() && list[i].Time.After(o.At) {
				continue
			}
			if accounts[name] == nil {
				names = append(names, name)
			}
			accounts[name] = append(accounts[name], list[i].Source)
		}
		for _, name := range o.Accounts {
			if accounts[name] == nil && !yield(Match{}, fmt.Errorf("search %s: %w", name, repo.ErrNoSnapshot)) {
				return
			}
		}
		slices.Sort(names)
		for _, name := range names {
			for found, err := range find.Run(ctx, accounts[name], find.Options{Query: o.Query, Headers: true, Moved: true}) {
				if err != nil {
					err = fmt.Errorf("search %s: %w", name, err)
				}
				if !yield(Match{name, found}, err) {
					return
				}
			}
		}
		if damage != nil {
			yield(Match{}, damage)
		}
	}
}

// In yields the messages of one snapshot that a query means.
func (s *Snapshot) In(ctx context.Context, q query.Expr) iter.Seq2[find.Found, error] {
	return find.Run(ctx, []*snapshot.Source{s.Source}, find.Options{Query: q, Headers: true})
}

// chosen is what a restore takes from the repository.
type chosen struct {
	source mail.Source
	moved  int   // messages that the query means, and that only moved
	doubt  error // what could not be looked at
}

// source is what a restore takes: the snapshot, or what a query means in it or, if the query asks of the past, in all
// snapshots that the account had by then. Of the messages that left their mailbox, what still stands in another one that
// is no trash has only moved, and is left out and counted.
func (r *Repository) source(ctx context.Context, sn *Snapshot, o *RestoreOptions) (chosen, error) {
	whole := o.Query.String() == ""
	if !whole && o.Keys != nil {
		return chosen{}, &config.Error{Key: "--query", Reason: "--query and --key exclude each other", Hint: "write key: in the query"}
	}
	if !o.Query.History() { // else a mailbox may be one that is gone
		if err := r.Require(ctx, sn, o.Select, o.Keys); err != nil {
			return chosen{}, err
		}
	}
	if whole {
		return chosen{source: snapshot.Around{Source: sn.Source}}, nil
	}
	var c chosen
	sources := []*snapshot.Source{sn.Source}
	if o.Query.History() {
		sources, c.doubt = r.until(ctx, sn)
	}
	boxes, err := sn.Source.Mailboxes(ctx)
	if err != nil {
		return chosen{}, err
	}
	var found []find.Found
	for f, err := range find.Run(ctx, sources, find.Options{Query: o.Query, Moved: true}) {
		switch {
		case ctx.Err() != nil:
			return chosen{}, context.Cause(ctx)
		case err != nil:
			c.doubt = errors.Join(c.doubt, err)
		case hasMoved(boxes, &f):
			c.moved++
		default:
			found = append(found, f)
		}
	}
	switch {
	case len(found) > 0:
		view := find.NewView(sn.Source, found)
		boxes, _ := view.Mailboxes(ctx) // a view knows its own
		if meant, _ := o.Select.Mailboxes(boxes); len(meant) == 0 {
			return chosen{}, fmt.Errorf("%w in the mailboxes that are", ErrNothingFound)
		}
		c.source = view
		return c, nil
	case c.doubt != nil:
		return chosen{}, fmt.Errorf("%w, but %w: %w", ErrNothingFound, ErrNotJudged, c.doubt)
	case c.moved > 0:
		return chosen{}, fmt.Errorf("%w that has not only moved to another mailbox", ErrNothingFound)
	}
	return chosen{}, ErrNothingFound
}

// until are the snapshots of sn's account up to sn, oldest first. The error tells of those that cannot be read.
func (r *Repository) until(ctx context.Context, sn *Snapshot) ([]*snapshot.Source, error) {
	list, _, damage := r.Snapshots(ctx, sn.Account())
	var sources []*snapshot.Source
	for i := range list {
		if !list[i].Time.After(sn.Time) && list[i].ID != sn.ID {
			sources = append(sources, list[i].Source)
		}
	}
	return append(sources, sn.Source), damage
}

// hasMoved reports whether a message stands in another mailbox now, where its user wants it. boxes are those there are now.
func hasMoved(boxes []mail.Mailbox, f *find.Found) bool {
	return slices.ContainsFunc(f.Moved, func(p query.Place) bool {
		return !slices.ContainsFunc(query.Around(boxes, p.Mailbox), func(b mail.Mailbox) bool { return b.Role == mail.RoleTrash || b.Role == mail.RoleJunk })
	})
}

// tell puts into the report of a restore, and into its error, what choosing brought up.
func (c *chosen) tell(report *mailsync.Report, err error) error {
	if c.moved > 0 {
		report.Remarks = append(report.Remarks, fmt.Sprintf("%d more only moved to another mailbox, and are left there", c.moved))
	}
	if err == nil && c.doubt != nil {
		return fmt.Errorf("%w: %w", ErrNotJudged, c.doubt)
	}
	return err
}
