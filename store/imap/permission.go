package imap

import (
	"context"
	"slices"
	"strings"

	wire "roost/imap"
	"roost/mail"
)

// permission is which flags a mailbox keeps.
type permission struct {
	all   bool // the server does not say: all
	any   bool // new keywords too
	flags []string
}

func permissionOf(box *wire.Selected) permission {
	p := permission{all: !box.HasPermanent, flags: box.PermanentFlags}
	p.any = slices.Contains(p.flags, `\*`)
	return p
}

// split divides flags into those that the mailbox keeps and those that it does not.
func (p permission) split(flags mail.Flags) (kept, lost mail.Flags) {
	var keep, lose []string
	for f := range flags.All() {
		known := slices.ContainsFunc(p.flags, func(k string) bool { return strings.EqualFold(k, f) })
		if wire.IsFlag(f) && (p.all || known || p.any && !strings.HasPrefix(f, `\`)) {
			keep = append(keep, f)
		} else {
			lose = append(lose, f)
		}
	}
	return mail.FlagsOf(keep...), mail.FlagsOf(lose...)
}

// spare takes \Deleted from the flags that are to be set, and counts it as lost. QUIRK: Gmail, 2026: expunges, as its
// settings are by default, a message as soon as it bears that flag.
func spare(c *conn, kept, lost mail.Flags) (mail.Flags, mail.Flags) {
	if !c.Capabilities().Has("X-GM-EXT-1") || !kept.Has(mail.Deleted) {
		return kept, lost
	}
	return kept.Minus(mail.Deleted), lost.Plus(mail.Deleted)
}

// permission asks once which flags a mailbox keeps.
func (s *Store) permission(ctx context.Context, c *conn, name mail.Name) (permission, error) {
	s.mu.Lock()
	p, known := s.permanent[name]
	s.mu.Unlock()
	if known {
		return p, nil
	}
	box, err := s.selectBox(ctx, c, name, false)
	if err != nil {
		return permission{}, err
	}
	return s.remember(name, box), nil
}

func (s *Store) remember(name mail.Name, box *wire.Selected) permission {
	p := permissionOf(box)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.permanent[name] = p
	return p
}
