package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roost/job"
	"roost/mail"
	"roost/query"
)

// searchFlags are the flags of search.
type searchFlags struct {
	accounts []string
	at       string
	csv      bool
}

func (a *app) searchCommand() *cobra.Command {
	var f searchFlags
	cmd := &cobra.Command{
		Use:   "search QUERY...",
		Short: "Find messages in all snapshots",
		Long: `Search finds the messages that a query means in all snapshots of all accounts. A
message that several snapshots hold is one line: in which it was seen first and
last, and where it is now: in its place, in another mailbox, or nowhere.

A query is words, which stand in sender, recipients, subject, text or the names
of attachments, and fields: from:, to:, cc:, bcc:, subject:, body:, filename:,
has:attachment, folder:, role:, flag:, keyword:, label:, date:, received:,
added:, deleted:, larger:, smaller:, message-id:, guid:, key:, uid:. There are
"and" (which may be left out), "or", "not" and brackets; "a phrase" in quotes;
and begin* for words that begin so. Capitals and accents do not matter. Several
arguments are one query, with blanks between them.

If nothing is found, the exit code is 1, as with grep.`,
		Example: `  roost search from:bob invoice
  roost search 'subject:"annual report" date:2026-01..2026-03 has:attachment'
  roost search 'deleted:"36 hours ago" folder:INBOX' --account alice`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.search(cmd.Context(), strings.Join(args, " "), &f)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.accounts, "account", "u", nil, "just this `account`; may be given several times")
	flags.StringVar(&f.at, "at", "", "just the snapshots that were taken by this `time`")
	flags.BoolVar(&f.csv, "csv", false, "print CSV with a head line")
	return cmd
}

func (a *app) search(ctx context.Context, text string, f *searchFlags) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	o := job.SearchOptions{Accounts: f.accounts}
	if o.Query, err = env.ParseQuery(text); err != nil {
		return usageError{err}
	}
	if o.At, err = env.ParseAt(f.at); err != nil {
		return usageError{err}
	}
	if f.csv && a.flags.json {
		return usagef("--csv and --json exclude each other")
	}
	r, err := env.OpenRepository(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	a.repo = r
	p := matchPrinter{a: a}
	if f.csv {
		w := a.csvWriter()
		p.csv = &w
		p.csv.row("account", "mailbox", "key", "date", "from", "subject", "message-id", "size", "flags", "first", "first-snapshot", "last", "last-snapshot", "deleted", "now")
	}
	var found int64
	var doubts []error
	for m, err := range r.Search(ctx, o) {
		if ctx.Err() != nil {
			return errors.Join(context.Cause(ctx), p.end())
		}
		if err == nil {
			found++
			if err = p.print(&m); err != nil {
				return err
			}
			err = m.HeaderErr
		}
		if err != nil {
			doubts = append(doubts, err)
			if !a.flags.json {
				fmt.Fprintf(a.stderr, "%s\n", printable(err.Error()))
			}
		}
	}
	if err := p.end(); err != nil {
		return err
	}
	return a.searched(found, doubts)
}

// searched says how the search ended.
func (a *app) searched(found int64, doubts []error) error {
	var err error
	switch {
	case len(doubts) > 0:
		err = hinted{fmt.Errorf("%s found, but %s could not be looked at: %w: %w", count(found, "message"), grouped(int64(len(doubts))), errIncomplete, errors.Join(doubts...)),
			"roost check --read-data tells what is damaged"}
	case found == 0:
		err = job.ErrNothingFound
	}
	if jsonErr := a.json("summary", map[string]any{"messages": found, "doubts": len(doubts), "exit_code": exitCode(err)}); jsonErr != nil {
		return jsonErr
	}
	return err
}

// matchPrinter prints what was found.
type matchPrinter struct {
	a       *app
	csv     *csvWriter // nil: no CSV
	account string     // of the last message
	mailbox mail.Name
}

// matchLine is a message that was found, with --json.
type matchLine struct {
	Account string `json:"account"`
	itemLine
	SourceKey string      `json:"source_key,omitempty"`
	MessageID string      `json:"message_id,omitempty"`
	First     seenLine    `json:"first"`
	Last      seenLine    `json:"last"`
	Now       []placeLine `json:"now"` // where the newest snapshot has it; empty: nowhere
}

type seenLine struct {
	Snapshot string    `json:"snapshot_id"`
	Time     time.Time `json:"time"`
}

type placeLine struct {
	Mailbox mail.Name `json:"mailbox"`
	Key     mail.Key  `json:"key"`
}

// itemOf is a found message in the words of a list.
func itemOf(m *job.Match) job.Item {
	return job.Item{Mailbox: m.Mailbox, Message: m.Message, From: m.From, Subject: m.Subject, Date: m.Date, HeaderErr: m.HeaderErr,
		DeletedSince: m.Deleted, Snapshot: m.Last.Snapshot}
}

func (p *matchPrinter) print(m *job.Match) error {
	now := m.Moved
	if m.Deleted.IsZero() {
		now = []query.Place{{Mailbox: m.Mailbox, Key: m.Message.Key}}
	}
	item := itemOf(m)
	l := matchLine{Account: m.Account, itemLine: lineOfItem(&item), MessageID: m.MessageID, Now: []placeLine{},
		First: seenLine{m.First.Snapshot.String(), m.First.Time}, Last: seenLine{m.Last.Snapshot.String(), m.Last.Time}}
	if m.SourceKey != m.Message.Key {
		l.SourceKey = string(m.SourceKey)
	}
	var places []string
	for _, place := range now {
		l.Now = append(l.Now, placeLine{place.Mailbox, place.Key})
		places = append(places, fmt.Sprintf("%s:%s", place.Mailbox, place.Key))
	}
	switch {
	case p.a.flags.json:
		return p.a.json("match", &l)
	case p.csv != nil:
		return p.csv.row(cell(l.Account), cell(string(l.Mailbox)), cell(string(l.Key)), rfc3339(l.Date), cell(l.From), cell(l.Subject), cell(l.MessageID),
			strconv.FormatInt(l.Size, 10), cell(strings.Join(l.Flags, " ")), rfc3339(l.First.Time), m.First.Snapshot.Short(),
			rfc3339(l.Last.Time), m.Last.Snapshot.Short(), rfc3339(l.DeletedSince), cell(strings.Join(places, " ")))
	}
	if p.account != m.Account {
		p.account, p.mailbox = m.Account, ""
		p.a.printf("%s\n", printable(m.Account))
	}
	if err := p.a.lsItem(&item, &p.mailbox); err != nil {
		return err
	}
	p.a.printf("              seen %s to %s (%s); %s\n", stamp(m.First.Time), stamp(m.Last.Time), m.Last.Snapshot.Short(), printable(whereNow(m, places)))
	return nil
}

// whereNow says where a message is now.
func whereNow(m *job.Match, places []string) string {
	switch {
	case m.Deleted.IsZero():
		return "still there"
	case len(places) == 0:
		return "gone since " + stamp(m.Deleted)
	}
	return "now in " + strings.Join(places, ", ")
}

func (p *matchPrinter) end() error {
	if p.csv == nil {
		return nil
	}
	return p.csv.end()
}

// lsFound lists the messages of a snapshot that a query means.
func (a *app) lsFound(ctx context.Context, sn *job.Snapshot, text string, o job.LookOptions) error {
	q, err := query.Parse(text, time.Now())
	if err != nil {
		return usageError{err}
	}
	if !o.Select.IsZero() {
		return usagef("--query excludes masks and the other flags that choose; write folder: and received: in the query")
	}
	var box mail.Name
	var doubts []error
	messages := 0
	for f, err := range sn.In(ctx, q) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			doubts = append(doubts, err)
			continue
		}
		messages++
		item := itemOf(&job.Match{Found: f})
		if err := a.lsItem(&item, &box); err != nil {
			return err
		}
	}
	if messages == 0 && len(doubts) == 0 {
		a.note("no message matches")
	}
	if err := a.json("summary", map[string]any{"snapshot_id": sn.ID.String(), "messages": messages, "doubts": len(doubts)}); err != nil {
		return err
	}
	if len(doubts) > 0 {
		return fmt.Errorf("%w: %w", errIncomplete, errors.Join(doubts...))
	}
	return nil
}
