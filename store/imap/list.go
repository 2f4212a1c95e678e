package imap

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	wire "roost/imap"
	"roost/mail"
)

var roles = []mail.Role{mail.RoleAll, mail.RoleArchive, mail.RoleDrafts, mail.RoleFlagged, mail.RoleImportant,
	mail.RoleJunk, mail.RoleSent, mail.RoleTrash}

// Mailboxes lists all mailboxes with their state: by one command where the server has LIST-EXTENDED, LIST-STATUS and
// SPECIAL-USE, else by LIST, LSUB and a STATUS for each, many in flight.
func (s *Store) Mailboxes(ctx context.Context) ([]mail.Mailbox, error) {
	var all []mail.Mailbox
	err := s.ask(ctx, func(c *conn) (err error) {
		all, err = s.list(ctx, c)
		return err
	})
	if err != nil {
		return nil, fault("list", "", err)
	}
	return all, nil
}

func (s *Store) list(ctx context.Context, c *conn) ([]mail.Mailbox, error) {
	l, err := s.namesOf(ctx, c)
	if err != nil {
		return nil, err
	}
	caps := c.Capabilities()
	states := make(map[string]wire.MailboxStatus)
	o := wire.ListOptions{EachStatus: func(st wire.MailboxStatus) { states[st.Name] = st }}
	extended := caps.Has("LIST-EXTENDED")
	if extended {
		o.Return = "SUBSCRIBED"
		if caps.Has("SPECIAL-USE") {
			o.Return += " SPECIAL-USE"
		}
		if caps.Has("LIST-STATUS") {
			o.Status = statusItems(c)
		}
	}
	entries, err := c.List(ctx, "*", o)
	if err != nil && extended && refused(err) {
		extended, states = false, make(map[string]wire.MailboxStatus)
		entries, err = c.List(ctx, "*", wire.ListOptions{})
	}
	if err != nil {
		return nil, err
	}
	subscribed := map[string]bool{}
	if !extended {
		lsub, err := c.Lsub(ctx, "*")
		if err != nil && !refused(err) {
			return nil, err
		}
		for _, e := range lsub {
			subscribed[canonical(e.Name)] = !e.Has(`\Noselect`)
		}
	}
	all, raws := s.take(l, entries, subscribed)
	all, err = s.addStates(ctx, c, all, states)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.raw = raws
	s.mu.Unlock()
	s.warnOfHidden(c, all)
	slices.SortFunc(all, func(a, b mail.Mailbox) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// warnOfHidden tells of roles that no mailbox has. QUIRK: Gmail, 2026: what is set to "do not show in IMAP" is not listed,
// and then is in no backup.
func (s *Store) warnOfHidden(c *conn, all []mail.Mailbox) {
	if !c.Capabilities().Has("X-GM-EXT-1") {
		return
	}
	for _, role := range []mail.Role{mail.RoleAll, mail.RoleJunk, mail.RoleTrash} {
		if !slices.ContainsFunc(all, func(box mail.Mailbox) bool { return box.Role == role }) {
			s.options.Log.Warn("the server hides a mailbox; let it be shown in IMAP", "host", s.options.Host, "role", string(role))
		}
	}
}

// canonical makes the one name equal that is the same in any case.
func canonical(raw string) string {
	if strings.EqualFold(raw, "INBOX") {
		return "INBOX"
	}
	return raw
}

// take makes mailboxes of what was listed, each once.
func (s *Store) take(l *layout, entries []wire.ListEntry, subscribed map[string]bool) ([]mail.Mailbox, map[mail.Name]string) {
	all := make([]mail.Mailbox, 0, len(entries))
	raws := make(map[mail.Name]string, len(entries))
	seen := make(map[string]bool, len(entries))
	for _, e := range entries {
		missing := e.Has(`\NonExistent`) && !e.Has(`\HasChildren`)
		if e.Name == "" || seen[canonical(e.Name)] || missing || !s.options.Shared && l.isForeign(e.Name) {
			continue
		}
		seen[canonical(e.Name)] = true
		name := l.name(e.Name, e.Separator)
		// QUIRK: Dovecot, Courier: the node above the personal mailboxes is listed too; it holds nothing.
		if l.prefix != "" && e.Name+string(e.Separator) == l.prefix && canonical(e.Name) != "INBOX" {
			continue
		}
		if _, twice := raws[name]; twice {
			name = escaped(name)
			if _, twice := raws[name]; twice {
				continue
			}
		}
		raws[name] = e.Name
		box := mail.Mailbox{Name: name, Raw: e.Name, Count: -1}
		box.NoSelect = e.Has(`\Noselect`) || e.Has(`\NonExistent`)
		box.Subscribed = e.Has(`\Subscribed`) || subscribed[canonical(e.Name)]
		for _, r := range roles {
			if e.Has(string(r)) {
				box.Role = r
				break
			}
		}
		if e.Has(`\Spam`) { // QUIRK: XLIST's name for it lives on
			box.Role = mail.RoleJunk
		}
		all = append(all, box)
	}
	return all, raws
}

// statusItems are what is asked of the state of a mailbox.
func statusItems(c *conn) []string {
	items := []string{"MESSAGES", "UIDNEXT", "UIDVALIDITY"}
	caps := c.Capabilities()
	if caps.Has("CONDSTORE") {
		items = append(items, "HIGHESTMODSEQ")
	}
	switch {
	case caps.Has("OBJECTID") && !c.IsCyrus():
		// QUIRK: Cyrus 3.6.1: MAILBOXID is garbage beside other items, and spoils them.
		items = append(items, "MAILBOXID")
	case c.IsDovecot():
		items = append(items, "X-GUID")
	}
	return items
}

// addStates puts the states into the mailboxes, and asks for those that did not come with the list.
func (s *Store) addStates(ctx context.Context, c *conn, all []mail.Mailbox, states map[string]wire.MailboxStatus) ([]mail.Mailbox, error) {
	byName := make(map[string]*mail.Mailbox, len(all))
	for raw, st := range states {
		delete(states, raw)
		states[canonical(raw)] = st
	}
	var missing []string
	for i := range all {
		box := &all[i]
		if box.NoSelect {
			continue
		}
		if st, ok := states[canonical(box.Raw)]; ok {
			s.setState(box, st)
			continue
		}
		byName[box.Raw] = box
		missing = append(missing, box.Raw)
	}
	items := statusItems(c)
	gone := map[mail.Name]bool{}
	err := c.Status(ctx, missing, items, func(raw string, st wire.MailboxStatus, err error) {
		box := byName[raw]
		if err == nil {
			s.setState(box, st)
			return
		}
		c.note(err)
		e := fault("status", box.Name, err)
		if errors.Is(e, mail.ErrNoMailbox) {
			// QUIRK: Dovecot 2.3 lists a mailbox that is deleted, and has others below it, as if it were there.
			box.NoSelect, gone[box.Name] = true, true
			return
		}
		// Not readable is a fact of the mailbox only if the server says so; else it is asked again when it is read.
		if errors.Is(e, mail.ErrDenied) || isCode(err, "NOPERM") {
			box.Err = e
		}
	})
	return slices.DeleteFunc(all, func(box mail.Mailbox) bool {
		return gone[box.Name] && !slices.ContainsFunc(all, func(other mail.Mailbox) bool { return other.Name.Below(box.Name) })
	}), err
}

// setState puts what the server says of a mailbox into it.
func (s *Store) setState(box *mail.Mailbox, st wire.MailboxStatus) {
	box.Count, box.UIDNext, box.UIDValidity = st.Messages, st.UIDNext, st.UIDValidity
	box.HighestModSeq, box.ID = st.HighestModSeq, st.MailboxID
	state := state{uidValidity: st.UIDValidity, uidNext: st.UIDNext, modSeq: st.HighestModSeq, count: st.Messages}
	box.Token = state.token(s.scope(box.Name))
}
