package imap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	wire "roost/imap"
	"roost/mail"
)

// Changes lists a mailbox: what changed since the token by QRESYNC or CONDSTORE, else everything. What it finds is held
// against the number of messages in the mailbox; a delta that does not add up becomes a full list.
func (s *Store) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	var ch mail.Changes
	err := s.ask(ctx, func(c *conn) (err error) {
		ch, err = s.changes(ctx, c, name, since)
		return err
	})
	if err != nil {
		return mail.Changes{}, s.blame(ctx, name, fault("list", name, err))
	}
	s.mu.Lock()
	s.validity[name] = ch.UIDValidity
	s.mu.Unlock()
	return ch, nil
}

// blame makes an error one of the mailbox alone if it cost us the connection each time, and a connection that does not
// open the mailbox lives. QUIRK: Zimbra, 2010: says BYE to the SELECT of a damaged mailbox.
func (s *Store) blame(ctx context.Context, name mail.Name, err error) error {
	if !errors.Is(err, mail.ErrConnect) || ctx.Err() != nil {
		return err
	}
	if s.ask(ctx, func(c *conn) error { return c.Noop(ctx) }) != nil {
		return err
	}
	return &mail.Error{Op: "list", Mailbox: name, Err: fmt.Errorf("the server closes the connection: %v", err)}
}

// listing is one Changes under way.
type listing struct {
	*conn
	store    *Store
	name     mail.Name
	box      *wire.Selected
	messages []mail.Message
	text     []byte                // scratch: flags as sent
	sets     map[string]mail.Flags // by the flags as sent: a million messages have a few sets
}

func (s *Store) changes(ctx context.Context, c *conn, name mail.Name, since mail.Token) (mail.Changes, error) {
	old, known := parseToken(since, s.scope(name))
	if known {
		if err := s.enableQResync(ctx, c); err != nil {
			return mail.Changes{}, err
		}
	}
	box, err := s.examine(ctx, c, name)
	if err != nil {
		return mail.Changes{}, err
	}
	l := &listing{conn: c, store: s, name: name, box: box}
	now := state{box.UIDValidity, box.UIDNext, box.HighestModSeq, box.Exists}
	// A mod-sequence that went back means that the server was restored: nothing that it says of since then holds.
	if known && now.token(s.scope(name)) != "" && old.uidValidity == now.uidValidity && old.modSeq <= now.modSeq && old.uidNext <= now.uidNext {
		if now == old {
			return l.answer(mail.Changes{Method: "unchanged"}), nil
		}
		ch, ok, err := l.delta(ctx, old)
		if err != nil || ok {
			return ch, err
		}
		s.options.Log.Info("the changes do not add up; listing all", "mailbox", string(name), "host", s.options.Host)
	}
	return l.full(ctx)
}

// enableQResync turns on QRESYNC where it can be had.
func (s *Store) enableQResync(ctx context.Context, c *conn) error {
	s.mu.Lock()
	never := s.noQResync
	s.mu.Unlock()
	if never || c.asked || !c.Capabilities().Has("QRESYNC") {
		return nil
	}
	c.asked = true
	err := c.Enable(ctx, "QRESYNC")
	c.qresync = err == nil
	if err != nil && !refused(err) && ctx.Err() == nil {
		// QUIRK: iCloud, 2026: ENABLE QRESYNC goes unanswered. The connection is lost, the next one goes without.
		s.mu.Lock()
		s.noQResync = true
		s.mu.Unlock()
		return err
	}
	if refused(err) {
		return nil
	}
	return err
}

// examine opens a mailbox for reading.
func (s *Store) examine(ctx context.Context, c *conn, name mail.Name) (*wire.Selected, error) {
	return s.selectBox(ctx, c, name, true)
}

// selectBox opens a mailbox. A server that does not say why it refuses is asked whether the mailbox is there.
func (s *Store) selectBox(ctx context.Context, c *conn, name mail.Name, readOnly bool) (*wire.Selected, error) {
	raw, err := s.rawName(ctx, c, name)
	if err != nil {
		return nil, fault("open", name, errors.Join(mail.ErrNoMailbox, err))
	}
	c.selected = ""
	o := wire.SelectOptions{ReadOnly: readOnly, CondStore: c.Capabilities().Has("CONDSTORE")}
	box, err := c.Select(ctx, raw, o)
	if refused(err) && o.CondStore {
		var e *wire.Error
		if errors.As(err, &e) && e.Reason == wire.ReasonBad {
			// QUIRK: Purelymail: SELECT takes no parameters.
			o.CondStore = false
			box, err = c.Select(ctx, raw, o)
		}
	}
	if err != nil {
		return nil, s.absent(ctx, c, "open", name, raw, err)
	}
	c.selected = name
	return box, nil
}

// absent adds ErrNoMailbox to a refusal if the mailbox is not there.
func (s *Store) absent(ctx context.Context, c *conn, op string, name mail.Name, raw string, refusal error) error {
	if e := fault(op, name, refusal); !refused(refusal) || errors.Is(e, mail.ErrNoMailbox) || errors.Is(e, mail.ErrDenied) {
		return e
	}
	c.note(refusal)
	there, err := exists(ctx, c, raw)
	if err == nil && !there {
		return fault(op, name, fmt.Errorf("%w: %w", mail.ErrNoMailbox, refusal))
	}
	return fault(op, name, refusal)
}

// exists asks whether a mailbox is there that can hold messages.
func exists(ctx context.Context, c *conn, raw string) (bool, error) {
	entries, err := c.List(ctx, raw, wire.ListOptions{})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(entries, func(e wire.ListEntry) bool {
		return canonical(e.Name) == canonical(raw) && !e.Has(`\NonExistent`) && !e.Has(`\Noselect`)
	}), nil
}

// items are what is asked of each message.
func (l *listing) items() string {
	items := []string{"UID", "FLAGS", "INTERNALDATE", "RFC822.SIZE"}
	caps := l.Capabilities()
	if l.box.HighestModSeq > 0 {
		items = append(items, "MODSEQ")
	}
	switch {
	case caps.Has("X-GM-EXT-1"):
		items = append(items, "X-GM-MSGID", "X-GM-THRID", "X-GM-LABELS")
	case caps.Has("OBJECTID"):
		items = append(items, "EMAILID", "THREADID")
	case l.IsDovecot():
		items = append(items, "X-GUID")
	}
	return strings.Join(items, " ")
}

// take adds one response to the list.
func (l *listing) take(f *wire.Fetch) error {
	if f.UID == 0 { // QUIRK: Exchange, Courier: UID 0, "* 0 FETCH"
		return nil
	}
	m := mail.Message{
		Key: keyOf(f.UID), UID: f.UID, ModSeq: f.ModSeq, GUID: f.EmailID,
		Flags: l.flags(f.Flags), InternalDate: f.Date, Size: f.Size,
	}
	if f.ThreadID != "" || len(f.Labels) > 0 {
		m.Extra = &mail.Extra{ThreadID: f.ThreadID}
		for _, label := range f.Labels {
			if decoded, ok := wire.DecodeMailbox(label); ok {
				label = decoded
			}
			m.Extra.Labels = append(m.Extra.Labels, strings.Clone(label))
		}
		slices.Sort(m.Extra.Labels)
	}
	l.messages = append(l.messages, m)
	return nil
}

// maxSets bounds listing.sets.
const maxSets = 10_000

// flags is the set of flags, the same string for the same flags.
func (l *listing) flags(sent []string) mail.Flags {
	l.text = l.text[:0]
	for _, f := range sent {
		l.text = append(append(l.text, f...), ' ')
	}
	set, known := l.sets[string(l.text)]
	if !known {
		set = mail.FlagsOf(sent...)
		if l.sets == nil {
			l.sets = make(map[string]mail.Flags)
		}
		if len(l.sets) < maxSets {
			l.sets[string(l.text)] = set
		}
	}
	return set
}

// sorted returns what was taken, ascending, each UID once: the last that was said of it.
func (l *listing) sorted() []mail.Message {
	slices.SortStableFunc(l.messages, func(a, b mail.Message) int { return cmp.Compare(a.UID, b.UID) })
	w := 0
	for i, m := range l.messages {
		if i+1 < len(l.messages) && l.messages[i+1].UID == m.UID {
			continue
		}
		l.messages[w] = m
		w++
	}
	clear(l.messages[w:])
	return l.messages[:w]
}

// answer fills in what holds for each kind of list. The state is that of the moment the mailbox was opened: what came
// later is told again next time, and never left out.
func (l *listing) answer(ch mail.Changes) mail.Changes {
	now := state{l.box.UIDValidity, l.box.UIDNext, l.box.HighestModSeq, l.box.Exists}
	ch.UIDValidity, ch.UIDNext, ch.HighestModSeq = now.uidValidity, now.uidNext, now.modSeq
	ch.Token, ch.Count = now.token(l.store.scope(l.name)), l.Exists()
	return ch
}

// delta lists what changed since old. ok is false if it does not add up.
func (l *listing) delta(ctx context.Context, old state) (ch mail.Changes, ok bool, err error) {
	var vanished mail.UIDSet
	o := wire.FetchOptions{ChangedSince: old.modSeq}
	ch.Method = "condstore"
	if l.qresync {
		ch.Method = "qresync"
		o.Vanished = func(set wire.Set) {
			for _, r := range set {
				vanished.AddRange(r.First, r.Last)
			}
		}
	}
	if err := l.UIDFetch(ctx, "1:*", l.items(), o, l.take); err != nil {
		if refused(err) {
			return ch, false, nil
		}
		return ch, false, err
	}
	ch.Messages = slices.DeleteFunc(l.sorted(), func(m mail.Message) bool {
		return vanished.Contains(m.UID) // expunged while it was listed
	})
	added := int64(0)
	for i := range ch.Messages {
		if ch.Messages[i].UID >= old.uidNext {
			added++
		}
	}
	expunged := old.count + added - l.Exists() // if the server's numbers agree with each other
	switch {
	case expunged < 0:
		return ch, false, nil
	case l.qresync:
		gone := int64(0)
		for _, r := range vanished.Ranges() {
			if r.First < old.uidNext {
				gone += int64(min(r.Last, old.uidNext-1)) - int64(r.First) + 1
			}
		}
		ch.Vanished = vanished // may name UIDs that were gone before (RFC 7162, 3.2.6)
		return l.answer(ch), gone >= expunged, nil
	case expunged > 0:
		present, err := l.uids(ctx)
		if err != nil {
			return ch, false, err
		}
		if present.Len() != l.Exists() {
			return ch, false, nil
		}
		ch.Present = &present
	}
	return l.answer(ch), true, nil
}

// uids are the UIDs in the mailbox. QUIRK: Yahoo, Exchange: SEARCH finds fewer than there are; then FETCH is asked.
func (l *listing) uids(ctx context.Context) (mail.UIDSet, error) {
	var found []uint32
	err := l.UIDSearch(ctx, "ALL", func(uid uint32) { found = append(found, uid) })
	if err != nil && !refused(err) {
		return mail.UIDSet{}, err
	}
	if set := setOf(found); err == nil && set.Len() == l.Exists() {
		return set, nil
	}
	found = found[:0]
	err = l.UIDFetch(ctx, "1:*", "UID", wire.FetchOptions{}, func(f *wire.Fetch) error {
		if f.UID != 0 {
			found = append(found, f.UID)
		}
		return nil
	})
	if err != nil && !refused(err) {
		return mail.UIDSet{}, err
	}
	return setOf(found), nil
}

func setOf(uids []uint32) mail.UIDSet {
	slices.Sort(uids)
	var set mail.UIDSet
	for _, u := range uids {
		set.Add(u)
	}
	return set
}

// keyOf is the key of a UID.
func keyOf(uid uint32) mail.Key { return mail.Key(strconv.FormatUint(uint64(uid), 10)) }

// uidOf is the UID of a key; ok is false for a key that is none of ours.
func uidOf(k mail.Key) (uid uint32, ok bool) {
	n, err := strconv.ParseUint(string(k), 10, 32)
	return uint32(n), err == nil && n != 0 && keyOf(uint32(n)) == k
}
