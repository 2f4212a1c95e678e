package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"roost/erase"
	"roost/job"
	"roost/mail"
	"roost/message"
	"roost/query"
	"roost/repo"
)

// eraseFlags are the flags of erase.
type eraseFlags struct {
	all, dryRun                     bool
	messageIDs, guids, keys, prints []string
	selection                       selectionFlags
}

func (a *app) eraseCommand() *cobra.Command {
	var f eraseFlags
	cmd := &cobra.Command{
		Use:   "erase ACCOUNT... | --all",
		Short: "Take messages out of all snapshots",
		Long: `Erase takes chosen messages out of every snapshot of the accounts, by writing
those snapshots anew, and remembers them by salted digests, so that no later
backup stores them again though the source may still have them. In the books
they count as erased. It first shows what it would do, and asks.

A message is erased if all of --folder, --since and the like mean it, and, where
single messages are named, if one of the names is its own. Copies in other
mailboxes and accounts are other messages: what names them, too, is their
Message-ID or print.

The bytes stay in the repository until roost prune, and what another message
uses as well stays for good; erase tells of both. It reaches no source, no other
repository, and no files that were restored or exported.`,
		Example: `  roost erase alice --message-id '<4711@example.org>' --dry-run
  roost erase --all --message-id '<4711@example.org>' --yes
  roost erase alice bob --folder Trash --before 2020-01-01
  roost erase alice --key INBOX:412`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.erase(cmd.Context(), args, &f) },
	}
	flags := cmd.Flags()
	flags.BoolVarP(&f.all, "all", "A", false, "all accounts that the repository has")
	flags.StringArrayVar(&f.messageIDs, "message-id", nil, "the messages with this `Message-ID` in their header; may be given several times")
	flags.StringArrayVar(&f.guids, "guid", nil, "the messages to which their store gave this `GUID`; may be given several times")
	flags.StringArrayVar(&f.keys, "key", nil, "the message in this `place`, MAILBOX:KEY as in INBOX:412 (see roost index); may be given\nseveral times")
	flags.StringArrayVar(&f.prints, "print", nil, "the messages with this `print`, the digest of their bytes that --json shows; may be given\nseveral times")
	f.selection.register(cmd)
	flags.BoolVarP(&f.dryRun, "dry-run", "n", false, "say what would be done, change nothing")
	return cmd
}

// choice reads the flags.
func (f *eraseFlags) choice(env *job.Env) (c query.Choice, err error) {
	if c.Selection, err = env.Select(f.selection.Selection); err != nil {
		return c, err
	}
	c.GUIDs = f.guids
	for _, text := range f.messageIDs {
		id, err := query.ParseMessageID(text)
		if err != nil {
			return c, usagef("--message-id: %w", err)
		}
		c.MessageIDs = append(c.MessageIDs, id)
	}
	for _, text := range f.keys {
		p, err := query.ParsePlace(text)
		if err != nil {
			return c, usagef("--key: %w", err)
		}
		p.Mailbox = typedName(string(p.Mailbox))
		c.Places = append(c.Places, p)
	}
	for _, text := range f.prints {
		p, err := message.ParsePrint(text)
		if err != nil {
			return c, usagef("--print: %w", err)
		}
		c.Prints = append(c.Prints, p)
	}
	if c.IsZero() {
		return c, usageError{hinted{errors.New("erase which messages?"),
			"name some, with --message-id, --key, --folder, --before and the like; --folder '*' means all"}}
	}
	return c, nil
}

func (a *app) erase(ctx context.Context, accounts []string, f *eraseFlags) error {
	switch {
	case f.all && len(accounts) > 0:
		return usagef("ACCOUNT and --all exclude each other")
	case !f.all && len(accounts) == 0:
		return usageError{hinted{errors.New("erase from which accounts?"), "name some, or give --all; roost snapshots lists them"}}
	}
	env, r, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	o := job.EraseOptions{Accounts: accounts}
	if o.Choose, err = f.choice(env); err != nil {
		return err
	}
	m := a.meter("erase")
	o.Progress = func(p erase.Progress) { m.set("", progress{mailboxes: p.Total, mailboxesDone: p.Done}) }
	plan, err := r.PlanErasure(ctx, o)
	m.end()
	if err != nil {
		return err
	}
	if err := a.erasurePlan(plan, f.dryRun); err != nil {
		return err
	}
	if f.dryRun || plan.Messages() == 0 || len(plan.Refused) > 0 {
		return a.erased(plan, f.dryRun)
	}
	if !a.flags.yes {
		question := fmt.Sprintf("%s go from %s for good; go on?", count(int64(plan.Messages()), "message"), count(int64(plan.Snapshots()), "snapshot"))
		if err := a.confirm(ctx, question); err != nil {
			return err
		}
	}
	m = a.meter("erase")
	err = plan.Carry(ctx)
	m.end()
	if err != nil {
		return a.eraseFailed(plan, err)
	}
	return a.erased(plan, false)
}

// eraseFailed tells how far it came.
func (a *app) eraseFailed(plan *job.Erasure, err error) error {
	if errors.Is(err, erase.ErrChanged) {
		return hinted{err, "another program was at work meanwhile; nothing was erased, run it again"}
	}
	if done := a.rewritten(plan); done > 0 {
		a.note("%s written anew; run it again to go on", count(int64(done), "snapshot"))
	}
	return err
}

// erasurePlan prints what is to be erased.
func (a *app) erasurePlan(plan *job.Erasure, dryRun bool) error {
	for _, account := range plan.Accounts {
		a.printf("%s: %s\n", printable(account.Name), count(int64(len(account.Messages)), "message"))
		for _, m := range account.Messages {
			if err := a.erasedMessage(account.Name, m, dryRun); err != nil {
				return err
			}
		}
	}
	for _, name := range plan.Unmatched {
		a.note("%s: there is no such message", name)
	}
	for i := range plan.Doubts {
		d := &plan.Doubts[i]
		if err := a.json("doubt", map[string]any{"where": d.Where, "message": d.Err.Error()}); err != nil {
			return err
		}
		a.printf("not looked at: %s\n", printable(d.Error()))
	}
	for _, refusal := range plan.Refused {
		if err := a.json("refusal", map[string]any{"account": refusal.Account, "snapshot_id": refusal.Snapshot.ID.String(), "message": refusal.Err.Error()}); err != nil {
			return err
		}
		a.printf("refused: snapshot %s of %s: %s\n", refusal.Snapshot.ID.Short(), printable(refusal.Account), printable(refusal.Err.Error()))
	}
	return nil
}

// erasedLine is a message that is erased, with --json.
type erasedLine struct {
	Account   string      `json:"account"`
	Mailbox   mail.Name   `json:"mailbox"`
	Key       mail.Key    `json:"key"`
	GUID      string      `json:"guid,omitempty"`
	MessageID string      `json:"message_id,omitempty"`
	Subject   string      `json:"subject,omitempty"`
	Print     string      `json:"print,omitempty"`
	Size      int64       `json:"size"`
	Snapshots int         `json:"snapshots"`
	Kept      bool        `json:"copy_kept"` // the account keeps the same bytes elsewhere
	Stays     []staysLine `json:"stays,omitempty"`
	DryRun    bool        `json:"dry_run,omitempty"`
	Error     string      `json:"error,omitempty"`
}

// staysLine is a part of it that others use.
type staysLine struct {
	Blob repo.ID `json:"blob"`
	Size int64   `json:"size"`
	By   string  `json:"by"`
}

func (a *app) erasedMessage(account string, m *erase.Message, dryRun bool) error {
	line := erasedLine{Account: account, Mailbox: m.Mailbox, Key: m.Key, GUID: m.GUID, MessageID: m.MessageID, Subject: m.Subject, Size: m.Size,
		Snapshots: m.Snapshots, Kept: m.Kept, DryRun: dryRun}
	if m.Unread == nil {
		line.Print = m.Print.String()
	} else {
		line.Error = m.Unread.Error()
	}
	a.printf("  %s:%s  %s  in %s  %s\n", printable(string(m.Mailbox)), m.Key, octets(m.Size), count(int64(m.Snapshots), "snapshot"), printable(m.Subject))
	if m.Unread != nil {
		a.printf("    it cannot be read, so that it is known again in its place only: %s\n", printable(m.Unread.Error()))
	}
	if m.Kept {
		a.printf("    the account keeps another copy, which was not chosen\n")
	}
	for _, u := range m.Used {
		line.Stays = append(line.Stays, staysLine{u.Blob, u.Size, u.By})
		a.printf("    stays: %s that another message uses: %s\n", octets(u.Size), printable(u.By))
	}
	return a.json("erased", line)
}

// rewritten tells which snapshots took the place of others, and returns how many.
func (a *app) rewritten(plan *job.Erasure) (done int) {
	for _, account := range plan.Accounts {
		for _, sn := range account.Snapshots {
			if sn.New.IsNull() {
				continue
			}
			done++
			a.json("rewritten", map[string]any{"account": account.Name, "old_id": sn.ID.String(), "snapshot_id": sn.New.String(), "messages": sn.Messages})
			a.printf("snapshot %s is %s now, without %s\n", sn.ID.Short(), sn.New.Short(), count(sn.Messages, "message"))
		}
	}
	return done
}

var errNothingChosen = errors.New("no snapshot holds a message that is chosen")

// erased prints how it ended.
func (a *app) erased(plan *job.Erasure, dryRun bool) error {
	a.rewritten(plan)
	messages, stay := int64(plan.Messages()), int64(0)
	for _, account := range plan.Accounts {
		for _, m := range account.Messages {
			if len(m.Used) > 0 {
				stay++
			}
		}
	}
	var err error
	switch {
	case len(plan.Refused) > 0:
		err = fmt.Errorf("%w: %w", errRefused, plan.Refused[0].Err)
	case len(plan.Unmatched) > 0 && messages == 0 && len(plan.Doubts) == 0:
		err = errNothingChosen
	case len(plan.Doubts)+len(plan.Unmatched) > 0:
		err = errIncomplete
	}
	if jsonErr := a.json("summary", map[string]any{"messages": messages, "snapshots": plan.Snapshots(), "doubts": len(plan.Doubts), "refused": len(plan.Refused),
		"not_found": append([]string{}, plan.Unmatched...), "shared": stay, "dry_run": dryRun, "ok": err == nil, "exit_code": exitCode(err)}); jsonErr != nil {
		return jsonErr
	}
	what := fmt.Sprintf("%s in %s", count(messages, "message"), count(int64(plan.Snapshots()), "snapshot"))
	switch {
	case len(plan.Refused) > 0:
		return hinted{err, "nothing was erased"}
	case errors.Is(err, errNothingChosen):
		return hinted{err, "roost index latest:ACCOUNT --deleted lists what the snapshots hold"}
	case err != nil:
		a.printf("%s\n", a.coloured(fmt.Sprintf("INCOMPLETE: %s; %s not found, %s not looked at", what,
			grouped(int64(len(plan.Unmatched))), count(int64(len(plan.Doubts)), "part")), false))
	case dryRun:
		a.printf("OK: dry run, would erase %s\n", what)
	default:
		a.printf("%s\n", a.coloured("OK: erased "+what, true))
	}
	if messages > 0 && !dryRun {
		a.lingers(stay)
	}
	if err != nil {
		return said{err}
	}
	return nil
}

// lingers says where the bytes of erased messages still are.
func (a *app) lingers(shared int64) {
	a.note("the bytes are in the repository until roost prune --max-unused 0, and in the copies that were made of it, in archive volumes,")
	a.note("in what was restored or exported, and at the source, unless they are erased there, too")
	if shared > 0 {
		a.note("of %s some parts stay, because another message uses them, too", count(shared, "message"))
	}
}
