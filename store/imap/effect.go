package imap

import (
	"context"
	"errors"
	"fmt"
	"strings"

	wire "roost/imap"
	"roost/mail"
)

// effectChunk is the most messages of one command that changes them.
const effectChunk = 1000

// SetFlags implements mail.Store.
func (s *Store) SetFlags(ctx context.Context, name mail.Name, keys []mail.Key, add, remove mail.Flags) error {
	set := uidsOf(keys)
	var loss mail.Loss
	err := s.ask(ctx, func(c *conn) error {
		box, err := s.write(ctx, c, name)
		if err != nil || len(set) == 0 {
			return err
		}
		p := s.remember(name, box)
		var kept mail.Flags
		kept, loss.Flags = p.split(add)
		kept, loss.Flags = spare(c, kept, loss.Flags)
		gone, _ := p.split(remove)
		for chunk := range set.Chunks(effectChunk) {
			for _, change := range []struct {
				flags mail.Flags
				add   bool
			}{{kept, true}, {gone, false}} {
				if change.flags == "" {
					continue
				}
				if err := c.StoreFlags(ctx, chunk.String(), change.flags.List(), change.add); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil && loss.Flags != "" {
		return &loss
	}
	return fault("set flags", name, err)
}

// write selects a mailbox to change it.
func (s *Store) write(ctx context.Context, c *conn, name mail.Name) (*wire.Selected, error) {
	box, err := s.selectBox(ctx, c, name, false)
	if err == nil && box.ReadOnly {
		return nil, fmt.Errorf("%w: the server opens the mailbox for reading only", mail.ErrReadOnly)
	}
	if err == nil {
		err = s.sameUIDs(name, box)
	}
	return box, err
}

// sameUIDs says no if the mailbox is another than the one that Changes listed last: its UIDs are those of other messages.
func (s *Store) sameUIDs(name mail.Name, box *wire.Selected) error {
	s.mu.Lock()
	then := s.validity[name]
	s.mu.Unlock()
	if then != 0 && box.UIDValidity != 0 && then != box.UIDValidity {
		return fmt.Errorf("its UIDVALIDITY changed from %d to %d: list it anew", then, box.UIDValidity)
	}
	return nil
}

// Move implements mail.Store. Without MOVE (RFC 6851) it copies, and expunges what it has copied.
func (s *Store) Move(ctx context.Context, from mail.Name, keys []mail.Key, to mail.Name) ([]mail.Key, error) {
	moved := make(map[uint32]uint32)
	about := from // the mailbox that an error is about
	err := s.change(ctx, from, func(c *conn) error {
		if _, err := s.write(ctx, c, from); err != nil {
			return err
		}
		about = to
		raw, err := s.existing(ctx, c, to)
		if err != nil {
			return err
		}
		for chunk := range uidsOf(keys).Chunks(effectChunk) {
			copied, ok, err := c.take(ctx, chunk, raw)
			if err != nil {
				return s.absent(ctx, c, "move", to, raw, err)
			}
			if ok {
				pair(moved, copied)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fault("move", about, err)
	}
	after := make([]mail.Key, len(keys))
	for i, k := range keys {
		uid, _ := uidOf(k)
		if uid = moved[uid]; uid != 0 {
			after[i] = keyOf(uid)
		}
	}
	return after, nil
}

// take moves a chunk to another mailbox.
func (c *conn) take(ctx context.Context, chunk wire.Set, raw string) (wire.CopyUID, bool, error) {
	if c.Capabilities().Has("MOVE") {
		return c.Move(ctx, chunk.String(), raw)
	}
	if !c.Capabilities().Has("UIDPLUS") {
		return wire.CopyUID{}, false, fmt.Errorf("%w: the server has neither MOVE nor UIDPLUS", mail.ErrUnsupported)
	}
	copied, ok, err := c.Copy(ctx, chunk.String(), raw)
	if err != nil {
		return copied, ok, err
	}
	return copied, ok, c.expunge(ctx, chunk)
}

// pair notes which UID became which.
func pair(moved map[uint32]uint32, copied wire.CopyUID) {
	to := make([]uint32, 0, min(copied.To.Len(), effectChunk))
	for uid := range copied.To.All() {
		if to = append(to, uid); len(to) > effectChunk {
			return // more than was asked for
		}
	}
	i := 0
	for uid := range copied.From.All() {
		if i == len(to) {
			return
		}
		moved[uid] = to[i]
		i++
	}
}

// Expunge implements mail.Store.
func (s *Store) Expunge(ctx context.Context, name mail.Name, keys []mail.Key) error {
	err := s.ask(ctx, func(c *conn) error {
		if _, err := s.write(ctx, c, name); err != nil {
			return err
		}
		for chunk := range uidsOf(keys).Chunks(effectChunk) {
			if !c.Capabilities().Has("UIDPLUS") {
				return fmt.Errorf("%w: the server has no UIDPLUS", mail.ErrUnsupported)
			}
			if err := c.expunge(ctx, chunk); err != nil {
				return err
			}
		}
		return nil
	})
	return fault("expunge", name, err)
}

func (c *conn) expunge(ctx context.Context, chunk wire.Set) error {
	if err := c.StoreFlags(ctx, chunk.String(), []string{mail.Deleted}, true); err != nil {
		return err
	}
	return c.UIDExpunge(ctx, chunk.String())
}

// Create implements mail.Store.
func (s *Store) Create(ctx context.Context, name mail.Name) error {
	return s.create(ctx, name, "")
}

// CreateRole implements mail.RoleCreator.
func (s *Store) CreateRole(ctx context.Context, name mail.Name, role mail.Role) error {
	return s.create(ctx, name, role)
}

func (s *Store) create(ctx context.Context, name mail.Name, role mail.Role) error {
	err := s.change(ctx, "", func(c *conn) error {
		if role != "" && !c.Capabilities().Has("CREATE-SPECIAL-USE") {
			return fmt.Errorf("%w: the server cannot create a mailbox with a role", mail.ErrUnsupported)
		}
		raw, err := s.rawName(ctx, c, name)
		if err != nil {
			return err
		}
		if err := s.createParents(ctx, c, name); err != nil {
			return err
		}
		err = c.Create(ctx, raw, string(role))
		if err == nil {
			return nil
		}
		var e *wire.Error
		if role != "" && errors.As(err, &e) && strings.Contains(strings.ToLower(e.Text), "special-use") {
			return fmt.Errorf("%w: %w", mail.ErrUnsupported, err) // QUIRK: Cyrus 3.6: a role is given once, and USEATTR not said
		}
		return c.present(ctx, raw, err)
	})
	return fault("create", name, err)
}

// createParents makes what is missing above a mailbox: not all servers do so by themselves.
func (s *Store) createParents(ctx context.Context, c *conn, name mail.Name) error {
	var missing []string
	for above := name.Parent(); above != ""; above = above.Parent() {
		raw, err := s.rawName(ctx, c, above)
		if err != nil {
			return err
		}
		entries, err := c.List(ctx, raw, wire.ListOptions{})
		if err != nil && !refused(err) {
			return err
		}
		if listed(entries, raw) {
			break
		}
		missing = append(missing, raw)
	}
	for i := len(missing) - 1; i >= 0; i-- {
		if err := c.Create(ctx, missing[i], ""); err != nil && !refused(err) {
			return err
		}
	}
	return nil
}

func listed(entries []wire.ListEntry, raw string) bool {
	for _, e := range entries {
		if canonical(e.Name) == canonical(raw) {
			return true
		}
	}
	return false
}

// present turns a NO without a telling code into ErrExist, if the server lists the mailbox.
func (c *conn) present(ctx context.Context, raw string, err error) error {
	var e *wire.Error
	if !errors.As(err, &e) || !refused(err) {
		return err
	}
	if word, _ := meaning(e); word != nil {
		return err
	}
	if entries, asked := c.List(ctx, raw, wire.ListOptions{}); asked != nil || !listed(entries, raw) {
		return err
	}
	return fmt.Errorf("%w: %w", mail.ErrExist, err)
}

// Rename implements mail.Store.
func (s *Store) Rename(ctx context.Context, old, new mail.Name) error {
	err := s.change(ctx, "", func(c *conn) error {
		from, err := s.existing(ctx, c, old)
		if err != nil {
			return err
		}
		to, err := s.rawName(ctx, c, new)
		if err != nil {
			return err
		}
		if err := c.leave(ctx); err != nil {
			return err
		}
		if entries, err := c.List(ctx, from, wire.ListOptions{}); err != nil || !listed(entries, from) {
			if err == nil {
				err = mail.ErrNoMailbox
			}
			return err
		}
		if err := s.createParents(ctx, c, new); err != nil {
			return err
		}
		if err := c.Client.Rename(ctx, from, to); err != nil {
			return c.present(ctx, to, err)
		}
		return nil
	})
	s.forget(old)
	s.forget(new)
	return fault("rename", old, err)
}

// Delete implements mail.Store.
func (s *Store) Delete(ctx context.Context, name mail.Name) error {
	err := s.change(ctx, "", func(c *conn) error {
		raw, err := s.existing(ctx, c, name)
		if err == nil {
			err = c.leave(ctx)
		}
		if err == nil {
			if err = c.Client.Delete(ctx, raw); err != nil {
				err = s.absent(ctx, c, "delete", name, raw, err)
			}
		}
		return err
	})
	s.forget(name)
	return fault("delete", name, err)
}

// leave leaves the selected mailbox, which is about to go.
func (c *conn) leave(ctx context.Context) error {
	if c.selected == "" || !c.Capabilities().Has("UNSELECT") {
		return nil
	}
	c.selected = ""
	return c.Unselect(ctx)
}

// forget drops what is known of a mailbox and all below it, and the connections that have one of them selected.
func (s *Store) forget(name mail.Name) {
	within := func(n mail.Name) bool { return n == name || n.Below(name) }
	s.mu.Lock()
	for n := range s.permanent {
		if within(n) {
			delete(s.permanent, n)
		}
	}
	for n := range s.validity {
		if within(n) {
			delete(s.validity, n)
		}
	}
	for n := range s.raw {
		if within(n) {
			delete(s.raw, n)
		}
	}
	var drop, keep []*conn
	for _, c := range s.idle {
		if c.selected != "" && within(c.selected) {
			drop = append(drop, c)
		} else {
			keep = append(keep, c)
		}
	}
	s.idle = keep
	s.mu.Unlock()
	for _, c := range drop {
		c.Close()
	}
}

// Subscribe implements mail.Subscriber.
func (s *Store) Subscribe(ctx context.Context, name mail.Name, on bool) error {
	err := s.ask(ctx, func(c *conn) error {
		raw, err := s.existing(ctx, c, name)
		if err != nil {
			return err
		}
		return c.Client.Subscribe(ctx, raw, on)
	})
	return fault("subscribe", name, err)
}

// existing is the name on the wire of a mailbox that must be there: one that none can have is that of no mailbox.
func (s *Store) existing(ctx context.Context, c *conn, name mail.Name) (string, error) {
	raw, err := s.rawName(ctx, c, name)
	if errors.Is(err, mail.ErrUnsupported) {
		err = fault("open", name, fmt.Errorf("%w: %w", mail.ErrNoMailbox, err))
	}
	return raw, err
}

// uidsOf are the UIDs of keys. Keys that no message can have are left out.
func uidsOf(keys []mail.Key) wire.Set {
	uids := make([]uint32, 0, len(keys))
	for _, k := range keys {
		uid, _ := uidOf(k)
		uids = append(uids, uid)
	}
	return wire.SetOf(uids...)
}
