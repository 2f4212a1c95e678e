package imap

import (
	"context"
	"fmt"
	"slices"
	"strings"

	wire "roost/imap"
	"roost/mail"
)

// layout is how the server spells the names of an account.
type layout struct {
	separator byte     // between levels; 0: there are none
	prefix    string   // in front of all personal mailboxes but INBOX, as "INBOX."; with its separator
	foreign   []string // prefixes of mailboxes of others and shared ones
}

// namesOf asks once how names are spelled.
func (s *Store) namesOf(ctx context.Context, c *conn) (*layout, error) {
	s.mu.Lock()
	known := s.layout
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	l := &layout{}
	// QUIRK: Exchange 2003 hangs on NAMESPACE without offering it.
	if c.Capabilities().Has("NAMESPACE") {
		all, err := c.Namespaces(ctx)
		if err != nil && !refused(err) {
			return nil, err
		}
		if len(all.Personal) > 0 {
			l.separator, l.prefix = all.Personal[0].Separator, all.Personal[0].Prefix
		}
		for _, n := range slices.Concat(all.Others, all.Shared) {
			if n.Prefix != "" {
				l.foreign = append(l.foreign, n.Prefix)
			}
		}
	}
	if l.separator == 0 {
		root, err := c.List(ctx, "", wire.ListOptions{})
		if err != nil && !refused(err) {
			return nil, err
		}
		if len(root) > 0 {
			l.separator = root[0].Separator
		}
	}
	s.mu.Lock()
	s.layout = l
	s.mu.Unlock()
	return l, nil
}

// isForeign reports whether a name, as on the wire, belongs to somebody else.
func (l *layout) isForeign(raw string) bool {
	return slices.ContainsFunc(l.foreign, func(p string) bool {
		return strings.HasPrefix(raw, p) || l.separator != 0 && raw == strings.TrimSuffix(p, string(l.separator))
	})
}

// name is what a name on the wire is for everybody else. separator is the one that the server lists it with.
func (l *layout) name(raw string, separator byte) mail.Name {
	rest, stripped := strings.CutPrefix(raw, l.prefix)
	if !stripped || rest == "" {
		rest = raw
	}
	parts := []string{rest}
	if separator != 0 {
		parts = strings.Split(rest, string(separator))
	}
	for i, p := range parts {
		// A name in no valid modified UTF-7 is kept as it stands.
		if decoded, ok := wire.DecodeMailbox(p); ok {
			parts[i] = decoded
		}
	}
	return mail.NameOf(parts...)
}

// wireName is what a name is on the wire, for a mailbox that the server did not list.
func (l *layout) wireName(name mail.Name) (string, error) {
	parts := name.Components()
	if len(parts) == 0 {
		return "", fmt.Errorf("a mailbox has no empty name")
	}
	if len(parts) > 1 && l.separator == 0 {
		return "", fmt.Errorf("%w: the server has no mailboxes within mailboxes", mail.ErrUnsupported)
	}
	for i, p := range parts {
		if l.separator != 0 && strings.IndexByte(p, l.separator) >= 0 {
			return "", fmt.Errorf("%w: %q holds %q, which parts levels on this server", mail.ErrUnsupported, p, l.separator)
		}
		if p == "" {
			return "", fmt.Errorf("%w: a part of the name is empty", mail.ErrUnsupported)
		}
		if strings.ToValidUTF8(p, "") != p || strings.ContainsRune(p, 0) {
			return "", fmt.Errorf("%w: %q cannot be written in the server's charset", mail.ErrUnsupported, p)
		}
		parts[i] = wire.EncodeMailbox(p)
	}
	if name == mail.Inbox {
		return "INBOX", nil
	}
	raw := strings.Join(parts, string(l.separator))
	if l.separator == 0 {
		raw = parts[0]
	}
	return l.prefix + raw, nil
}

// rawName is what a mailbox is on the wire: as the server listed it, else as it would be spelled.
func (s *Store) rawName(ctx context.Context, c *conn, name mail.Name) (string, error) {
	s.mu.Lock()
	raw, listed := s.raw[name]
	s.mu.Unlock()
	if listed {
		return raw, nil
	}
	l, err := s.namesOf(ctx, c)
	if err != nil {
		return "", err
	}
	return l.wireName(name)
}

// escaped is another spelling of a name whose components are the same, for the rare case that two names on the wire would
// be one: "&AGE-" in vain encoding, and the name that really reads so.
func escaped(name mail.Name) mail.Name {
	return mail.Name(strings.ReplaceAll(string(name), "&", "%26"))
}
