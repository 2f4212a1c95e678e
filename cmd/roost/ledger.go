package main

import (
	"fmt"
	"strings"

	"roost/mail"
)

// ledger prints the books of one account's run: a row for each mailbox of which
// there is something to say, or with --verbose for all, and their sum. title is
// the line above it, "" for none.
func (a *app) ledger(account, title string, l *mail.Ledger) error {
	if a.flags.json {
		for i := range l.Rows {
			line := struct {
				Account string `json:"account"`
				mail.Row
				Balanced bool `json:"balanced"`
			}{account, l.Rows[i], l.Rows[i].Balance() == nil}
			if err := a.json("ledger", line); err != nil {
				return err
			}
		}
		return nil
	}
	if a.flags.quiet {
		return nil
	}
	head := []string{"mailbox", "server", "listed", "held", "failed", "excluded", "gone", "erased", "new", "changed", "vanished", "method"}
	rows := [][]string{head}
	var rest mail.Ledger
	for i := range l.Rows {
		r := &l.Rows[i]
		if a.flags.verbose == 0 && quiet(r) {
			rest.Rows = append(rest.Rows, *r)
			continue
		}
		rows = append(rows, rowCells(string(r.Mailbox), r))
	}
	if n := len(rest.Rows); n > 0 {
		sum := rest.Total()
		rows = append(rows, rowCells("("+count(int64(n), "mailbox")+" with nothing new)", &sum))
	}
	if len(l.Rows) > 1 {
		sum := l.Total()
		rows = append(rows, rowCells("sum", &sum))
	}
	if title != "" {
		a.printf("%s\n", printable(title))
	}
	a.table(rows, append(idle(rows), "method")...)
	return nil
}

// quiet tells whether there is nothing to say of a row.
func quiet(r *mail.Row) bool {
	return r.Complete() && len(r.Problems) == 0 &&
		r.New == 0 && r.Changed == 0 && r.Vanished == 0 && r.Excluded == 0 && r.Gone == 0 && r.Erased == 0 && r.Altered == 0
}

func rowCells(name string, r *mail.Row) []string {
	server := "?"
	if r.Server >= 0 {
		server = grouped(r.Server)
	}
	excluded := grouped(r.Excluded)
	switch {
	case r.Uncounted && r.Excluded == 0:
		excluded = "?"
	case r.Uncounted:
		excluded += "+"
	}
	return []string{name, server, grouped(r.Listed), grouped(r.Held), grouped(r.Failed), excluded, grouped(r.Gone), grouped(r.Erased),
		grouped(r.New), grouped(r.Changed), grouped(r.Vanished), r.Method}
}

// verdict is what a run came to, over all its accounts.
type verdict struct {
	Accounts  int   `json:"accounts"`
	Failed    int   `json:"accounts_failed"`    // without any result
	Cut       int   `json:"accounts_cut_short"` // with a result that is not all
	Mailboxes int   `json:"mailboxes"`
	Messages  int64 `json:"messages"` // held now

	New      int64 `json:"new"`
	Changed  int64 `json:"changed"`
	Vanished int64 `json:"vanished"`
	Excluded int64 `json:"excluded"`
	Altered  int64 `json:"altered"`
	Gone     int64 `json:"gone"`
	Erased   int64 `json:"erased"`
	Bytes    int64 `json:"bytes_transferred"`

	NotStored  int64 `json:"not_stored"`         // messages
	Unreadable int   `json:"mailboxes_not_done"` // those with a problem of their own
	Unbalanced int   `json:"mailboxes_not_balanced"`
	Losses     int64 `json:"losses"`              // stored, but not all that was said of them
	Uncounted  int   `json:"mailboxes_uncounted"` // left out by a rule, and nobody knows how many messages they have

	OK bool `json:"ok"`
}

// add counts in the books of one account.
func (v *verdict) add(l *mail.Ledger) {
	sum := l.Total()
	v.Mailboxes += len(l.Rows)
	v.Messages += sum.Held
	v.New += sum.New
	v.Changed += sum.Changed
	v.Vanished += sum.Vanished
	v.Excluded += sum.Excluded
	v.Altered += sum.Altered
	v.Gone += sum.Gone
	v.Erased += sum.Erased
	v.Bytes += sum.Bytes
	v.NotStored += sum.Failed
	for i := range l.Rows {
		if l.Rows[i].Balance() != nil {
			v.Unbalanced++
		}
		if l.Rows[i].Uncounted {
			v.Uncounted++
		}
		for _, p := range l.Rows[i].Problems {
			switch {
			case p.Loss:
				v.Losses++
			case p.Key == "":
				v.Unreadable++
			}
		}
	}
}

// complete tells whether nothing is missing.
func (v *verdict) complete() bool {
	return v.Failed == 0 && v.Cut == 0 && v.NotStored == 0 && v.Unreadable == 0 && v.Unbalanced == 0
}

// text is the last line that a person reads. where says how to learn more.
func (v *verdict) text(where string) string {
	if !v.complete() {
		missing := v.missing()
		if v.Losses > 0 {
			missing = append(missing, grouped(v.Losses)+" not kept in full")
		}
		return "INCOMPLETE: " + strings.Join(missing, ", ") + where
	}
	var did []string
	for _, d := range []struct {
		n    int64
		text string
	}{
		{v.New, "%s new"}, {v.Changed, flagsChanged(v.Changed)}, {v.Vanished, "%s vanished"}, {v.Excluded, "%s excluded"},
		{v.Altered, "%s without attachments"}, {v.Gone, "%s gone meanwhile"}, {v.Erased, "%s erased before"}, {v.Losses, "%s not kept in full"},
	} {
		if d.n > 0 {
			did = append(did, fmt.Sprintf(d.text, grouped(d.n)))
		}
	}
	if len(did) == 0 {
		did = []string{"nothing changed"}
	}
	if v.Uncounted > 0 {
		did = append(did, count(int64(v.Uncounted), "mailbox")+" left out uncounted")
	}
	accounts := ""
	if v.Accounts > 1 {
		accounts = count(int64(v.Accounts), "account") + ", "
	}
	return fmt.Sprintf("OK: %s%s, %s, all accounted for (%s)", accounts,
		count(int64(v.Mailboxes), "mailbox"), count(v.Messages, "message"), strings.Join(did, ", "))
}

func flagsChanged(n int64) string {
	if n == 1 {
		return "%s flag changed"
	}
	return "%s flags changed"
}

func (v *verdict) missing() []string {
	var m []string
	if v.Failed > 0 {
		m = append(m, count(int64(v.Failed), "account")+" failed")
	}
	if v.Cut > 0 {
		m = append(m, count(int64(v.Cut), "account")+" cut short")
	}
	if v.NotStored > 0 {
		m = append(m, count(v.NotStored, "message")+" not stored")
	}
	if v.Unreadable > 0 {
		m = append(m, count(int64(v.Unreadable), "mailbox")+" not done")
	}
	if v.Unbalanced > 0 {
		m = append(m, count(int64(v.Unbalanced), "mailbox")+" out of balance")
	}
	return m
}

// onlyAccounts says that nothing is missing but accounts as a whole.
func (v *verdict) onlyAccounts() bool {
	return v.Cut == 0 && v.NotStored == 0 && v.Unreadable == 0 && v.Unbalanced == 0 && v.Losses == 0
}

// conclude prints the verdict and makes the error that gives the exit code. err
// is the worst that happened beside the books; nil: nothing did.
func (a *app) conclude(v *verdict, where string, err error) error {
	v.OK = v.complete() && err == nil
	if err == nil && !v.OK {
		err = errIncomplete
	}
	line := struct {
		*verdict
		ExitCode int `json:"exit_code"`
	}{v, exitCode(err)}
	if jsonErr := a.json("summary", line); jsonErr != nil {
		return jsonErr
	}
	a.printf("%s\n", a.coloured(v.text(where), v.OK))
	if err != nil {
		return said{err}
	}
	return nil
}

// coloured is text in green or red where that can be seen.
func (a *app) coloured(text string, good bool) string {
	if a.flags.noColor || a.getenv("NO_COLOR") != "" || !terminal(a.stdout) {
		return text
	}
	if good {
		return "\x1b[32m" + text + "\x1b[0m"
	}
	return "\x1b[31m" + text + "\x1b[0m"
}
