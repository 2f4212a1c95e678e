package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roost/config"
	"roost/job"
	"roost/mail"
	"roost/query"
)

// lookFlags choose what stats, index and ls show of a snapshot.
type lookFlags struct {
	selection  config.Selection
	period, at string
	deleted    bool
}

func (f *lookFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.at, "at", "", "with latest: the newest snapshot that was taken by this `time`")
	flags.StringVar(&f.period, "period", "", "messages of this `time` only: 2026-03, \"last week\", 2026-01-15..2026-02")
	flags.StringVar(&f.selection.Date, "date", "", "the `kind` of date that --period means: internal (default) or header")
	flags.StringVar(&f.selection.MaxSize, "max-size", "", "messages of at most this `size`, as in 25M")
	flags.StringArrayVar(&f.selection.Exclude, "exclude", nil, "not this `mailbox` and those below it")
	flags.BoolVar(&f.selection.NoChildren, "no-children", false, "masks mean just what they match, not what is below")
}

// options reads the flags; masks are the mailboxes wanted.
func (f *lookFlags) options(env *job.Env, masks []string) (job.LookOptions, error) {
	f.selection.Folders = masks
	sel, err := env.Select(f.selection)
	if err != nil {
		return job.LookOptions{}, err
	}
	if f.period != "" {
		sel.Date = query.DateField(f.selection.Date)
		if sel.Since, sel.Before, err = query.ParsePeriod(f.period, time.Now()); err != nil {
			return job.LookOptions{}, usagef("--period: %w", err)
		}
		if sel, err = sel.Clean(); err != nil {
			return job.LookOptions{}, usagef("--period: %w", err)
		}
	}
	return job.LookOptions{Select: sel, Deleted: f.deleted}, nil
}

// look runs do on the snapshot and the messages that args and flags mean.
func (a *app) look(ctx context.Context, f *lookFlags, args []string, do func(*job.Repository, *job.Snapshot, job.LookOptions) error) error {
	return a.withSnapshot(ctx, args[0], f.at, func(env *job.Env, r *job.Repository, sn *job.Snapshot) error {
		o, err := f.options(env, args[1:])
		if err != nil {
			return err
		}
		return do(r, sn, o)
	})
}

func (a *app) statsCommand() *cobra.Command {
	var f lookFlags
	cmd := &cobra.Command{
		Use:   "stats SNAPSHOT | latest[:ACCOUNT] [MASK]...",
		Short: "Sum up the mailboxes of a snapshot, as CSV",
		Long: `Stats prints a line for each mailbox: messages, those unseen, octets, the oldest
and the newest internal date, and with --deleted how many messages only earlier
snapshots hold. The output is CSV with a head line, or JSON with --json.`,
		Example: `  roost stats latest:alice
  roost stats latest:alice 'Archive/*' --period 2026-03`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), &f, args, func(r *job.Repository, sn *job.Snapshot, o job.LookOptions) error {
				return a.stats(cmd.Context(), r, sn, o)
			})
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.deleted, "deleted", false, "count messages that only earlier snapshots hold")
	return cmd
}

func (a *app) stats(ctx context.Context, r *job.Repository, sn *job.Snapshot, o job.LookOptions) error {
	stats, err := r.Stats(ctx, sn, o)
	if err != nil {
		return err
	}
	if a.flags.json {
		var messages, bytes int64
		for i := range stats {
			messages += stats[i].Messages
			bytes += stats[i].Bytes
			if err := a.json("mailbox", &stats[i]); err != nil {
				return err
			}
		}
		return a.json("summary", map[string]any{"snapshot_id": sn.ID.String(), "mailboxes": len(stats), "messages": messages, "bytes": bytes})
	}
	w := a.csvWriter()
	w.row("mailbox", "role", "messages", "unseen", "size", "oldest", "newest", "deleted")
	for _, s := range stats {
		deleted := ""
		if s.Deleted >= 0 {
			deleted = strconv.FormatInt(s.Deleted, 10)
		}
		w.row(cell(string(s.Mailbox)), cell(string(s.Role)), strconv.FormatInt(s.Messages, 10), strconv.FormatInt(s.Unseen, 10),
			strconv.FormatInt(s.Bytes, 10), rfc3339(s.Oldest), rfc3339(s.Newest), deleted)
	}
	return w.end()
}

func (a *app) indexCommand() *cobra.Command {
	var f lookFlags
	cmd := &cobra.Command{
		Use:   "index SNAPSHOT | latest[:ACCOUNT] [MASK]...",
		Short: "List the messages of a snapshot, as CSV",
		Long: `Index prints a line for each message: mailbox, key, UID, GUID, date of the
header, sender, subject, octets, flags. With --deleted it also lists messages
that only earlier snapshots hold, with the time since when they are deleted: the
first snapshot without them. The last column is the snapshot to restore it from:
this one, or the last that holds it. The output is CSV with a head line, or JSON
with --json. Cells that a spreadsheet would run as a formula begin with an
apostrophe.`,
		Example: `  roost index latest:alice INBOX --period 'last month'
  roost index latest:alice --deleted --json`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), &f, args, func(r *job.Repository, sn *job.Snapshot, o job.LookOptions) error {
				o.Headers = true
				return a.index(cmd.Context(), r, sn, o)
			})
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&f.deleted, "deleted", false, "also messages that only earlier snapshots hold")
	return cmd
}

// itemLine is a message with --json.
type itemLine struct {
	Mailbox      mail.Name `json:"mailbox"`
	Key          mail.Key  `json:"key"`
	UID          uint32    `json:"uid,omitempty"`
	GUID         string    `json:"guid,omitempty"`
	Date         time.Time `json:"date,omitzero"`
	InternalDate time.Time `json:"internal_date,omitzero"`
	From         string    `json:"from"`
	Subject      string    `json:"subject"`
	Size         int64     `json:"size"`
	Flags        []string  `json:"flags"`
	DeletedSince time.Time `json:"deleted_since,omitzero"`
	Snapshot     string    `json:"snapshot_id"`     // that holds it
	Error        string    `json:"error,omitempty"` // why the header cannot be read
}

func lineOfItem(item *job.Item) itemLine {
	m := &item.Message
	l := itemLine{Mailbox: item.Mailbox, Key: m.Key, UID: m.UID, GUID: m.GUID, Date: item.Date, InternalDate: m.InternalDate,
		From: item.From, Subject: item.Subject, Size: m.Size, Flags: m.Flags.List(), DeletedSince: item.DeletedSince, Snapshot: item.Snapshot.String()}
	if item.HeaderErr != nil {
		l.Error = item.HeaderErr.Error()
	}
	return l
}

func (a *app) index(ctx context.Context, r *job.Repository, sn *job.Snapshot, o job.LookOptions) error {
	w := a.csvWriter()
	if !a.flags.json {
		w.row("mailbox", "key", "uid", "guid", "date", "from", "subject", "size", "flags", "deleted-since", "snapshot")
	}
	messages, unreadable := 0, 0
	for item, err := range r.Items(ctx, sn, o) {
		if err != nil {
			w.end()
			return err
		}
		messages++
		l := lineOfItem(&item)
		if item.HeaderErr != nil {
			unreadable++
			if !a.flags.json {
				fmt.Fprintf(a.stderr, "%s\n", printable(l.Error))
			}
		}
		if a.flags.json {
			if err := a.json("message", &l); err != nil {
				return err
			}
			continue
		}
		uid := ""
		if l.UID != 0 {
			uid = strconv.FormatUint(uint64(l.UID), 10)
		}
		w.row(cell(string(l.Mailbox)), cell(string(l.Key)), uid, cell(l.GUID), rfc3339(l.Date), cell(l.From), cell(l.Subject),
			strconv.FormatInt(l.Size, 10), cell(strings.Join(l.Flags, " ")), rfc3339(l.DeletedSince), item.Snapshot.Short())
	}
	if err := w.end(); err != nil {
		return err
	}
	if err := a.json("summary", map[string]any{"snapshot_id": sn.ID.String(), "messages": messages, "unreadable": unreadable}); err != nil {
		return err
	}
	if unreadable > 0 {
		return hinted{fmt.Errorf("%s cannot be read: %w", count(int64(unreadable), "message"), errIncomplete), "roost check --read-data tells what is damaged"}
	}
	return nil
}

func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

func (a *app) lsCommand() *cobra.Command {
	var f lookFlags
	var query string
	cmd := &cobra.Command{
		Use:   "ls SNAPSHOT | latest[:ACCOUNT] [MASK]...",
		Short: "List the mailboxes of a snapshot, or the messages in some",
		Long: `Ls lists the mailboxes of a snapshot. With masks, it lists the messages of the
mailboxes that match: key, internal date, octets, flags, sender, subject. With
--query, it lists the messages that a query means (see roost search).`,
		Example: `  roost ls latest:alice
  roost ls latest:alice INBOX --period 'last week'
  roost ls latest:alice --query 'from:bob larger:1M'`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.look(cmd.Context(), &f, args, func(r *job.Repository, sn *job.Snapshot, o job.LookOptions) error {
				if query != "" {
					return a.lsFound(cmd.Context(), sn, query, o)
				}
				if len(args) == 1 {
					return a.lsMailboxes(cmd.Context(), r, sn, o)
				}
				return a.lsMessages(cmd.Context(), r, sn, o)
			})
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&query, "query", "", "list the messages that this `query` means (see roost search)")
	return cmd
}

func (a *app) lsMailboxes(ctx context.Context, r *job.Repository, sn *job.Snapshot, o job.LookOptions) error {
	stats, err := r.Stats(ctx, sn, o)
	if err != nil {
		return err
	}
	rows := [][]string{{"messages", "unseen", "size", "role", "mailbox"}}
	var messages int64
	for i := range stats {
		s := &stats[i]
		messages += s.Messages
		if err := a.json("mailbox", s); err != nil {
			return err
		}
		rows = append(rows, []string{grouped(s.Messages), grouped(s.Unseen), octets(s.Bytes), string(s.Role), string(s.Mailbox)})
	}
	a.table(rows)
	return a.json("summary", map[string]any{"snapshot_id": sn.ID.String(), "mailboxes": len(stats), "messages": messages})
}

func (a *app) lsMessages(ctx context.Context, r *job.Repository, sn *job.Snapshot, o job.LookOptions) error {
	o.Headers = true
	var box mail.Name
	messages := 0
	for item, err := range r.Items(ctx, sn, o) {
		if err != nil {
			return err
		}
		messages++
		if err := a.lsItem(&item, &box); err != nil {
			return err
		}
	}
	if messages == 0 && !a.flags.quiet {
		a.note("no message matches")
	}
	return a.json("summary", map[string]any{"snapshot_id": sn.ID.String(), "messages": messages})
}

// lsItem prints a message, and the mailbox that it is in if that is not box.
func (a *app) lsItem(item *job.Item, box *mail.Name) error {
	l := lineOfItem(item)
	if err := a.json("message", &l); err != nil {
		return err
	}
	if *box != item.Mailbox {
		*box = item.Mailbox
		a.printf("%s\n", printable(string(*box)))
	}
	text := l.Subject
	if l.Error != "" {
		text = l.Error
	}
	a.printf("  %10s  %s  %9s  %s  %s  %s\n", l.Key, stamp(l.InternalDate), octets(l.Size), shown(item.Message.Flags), printable(l.From), printable(text))
	return nil
}

func (a *app) catCommand() *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:     "cat SNAPSHOT | latest[:ACCOUNT] MAILBOX KEY",
		Short:   "Print one message, as it was received",
		Long:    "Cat prints the octets of one message, and nothing else, also with --json. Roost\nls and roost index show the keys.",
		Example: "  roost cat latest:alice INBOX 412 >412.eml",
		Args:    args(cobra.ExactArgs(3)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withSnapshot(cmd.Context(), args[0], at, func(_ *job.Env, r *job.Repository, sn *job.Snapshot) error {
				name, key := typedName(args[1]), mail.Key(args[2])
				return r.Elsewhere(cmd.Context(), sn, name, key, sn.CopyMessage(cmd.Context(), a.stdout, name, key))
			})
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "with latest: the newest snapshot that was taken by this `time`")
	return cmd
}

// typedName is the mailbox that a user means by what is printed of its name.
func typedName(text string) mail.Name { return mail.NameOf(mail.Name(text).Components()...) }
