package job

import (
	"context"
	"fmt"
	"slices"

	"roost/backup"
	"roost/erase"
	"roost/query"
	"roost/repo"
)

// EraseOptions say what is to be erased.
type EraseOptions struct {
	Accounts []string // names; nil: all that the repository has
	Choose   query.Choice

	Progress func(erase.Progress) // may be nil; one call at a time
}

// Erasure is a plan of what is to be erased, and what it does not find or reach.
type Erasure struct {
	*erase.Plan
	Unmatched []string // names of single messages that are in no snapshot, for people
}

// PlanErasure finds what is to be erased, and changes nothing.
func (r *Repository) PlanErasure(ctx context.Context, o EraseOptions) (*Erasure, error) {
	choice, err := o.Choose.Clean()
	if err != nil {
		return nil, err
	}
	for _, name := range o.Accounts {
		if err := r.requireAccount(ctx, name); err != nil {
			return nil, err
		}
	}
	all, err := r.Repo.Snapshots(ctx)
	if err != nil && len(all) == 0 {
		return nil, err
	}
	holds, err := r.Holds(ctx, all)
	if err != nil {
		return nil, err
	}
	plan, err := erase.Look(ctx, r.Repo, erase.Options{Accounts: o.Accounts, Choose: &choice, Guard: holds.Guard, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	return &Erasure{Plan: plan, Unmatched: unmatched(&choice, plan)}, nil
}

// requireAccount is an error if the repository surely has no snapshot of an account.
func (r *Repository) requireAccount(ctx context.Context, name string) error {
	all, err := r.Repo.Snapshots(ctx)
	if err != nil && len(all) == 0 {
		return err
	}
	has := func(sn *repo.Snapshot) bool {
		return slices.Contains(sn.Tags, backup.Tag) && slices.Equal(sn.Paths, pathsOf(name))
	}
	if err == nil && !slices.ContainsFunc(all, has) {
		return fmt.Errorf("account %s: %w", name, repo.ErrNoSnapshot)
	}
	return nil
}

// unmatched are the names in a choice that no message of the plan has.
func unmatched(c *query.Choice, plan *erase.Plan) (names []string) {
	has := func(is func(*erase.Message) bool) bool {
		return slices.ContainsFunc(plan.Accounts, func(a *erase.Account) bool { return slices.ContainsFunc(a.Messages, is) })
	}
	for _, id := range c.MessageIDs {
		if !has(func(m *erase.Message) bool { return m.MessageID == id }) {
			names = append(names, "Message-ID "+id)
		}
	}
	for _, guid := range c.GUIDs {
		if !has(func(m *erase.Message) bool { return m.GUID == guid }) {
			names = append(names, "GUID "+guid)
		}
	}
	for _, p := range c.Places {
		if !has(func(m *erase.Message) bool { return m.Mailbox == p.Mailbox && m.Key == p.Key }) {
			names = append(names, fmt.Sprintf("message %s:%s", p.Mailbox, p.Key))
		}
	}
	for _, print := range c.Prints {
		if !has(func(m *erase.Message) bool { return m.Print == print }) {
			names = append(names, "print "+print.String())
		}
	}
	return names
}
