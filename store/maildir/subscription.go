package maildir

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"roost/mail"
	"roost/store/tree"
)

// subscriptions, in the root or that of control files, names the subscribed mailboxes, a line each, as
// they are called in the tree. Version 2 begins with "V\t2" and an empty line
// and separates levels by a TAB; before, it was the layout's separator. The
// octets NUL, SOH, TAB, CR and LF are escaped by SOH and a digit or letter.
// Courier has courierimapsubscribed with names like "INBOX.Sent".

const (
	subscriptionsFile = "subscriptions"
	courierSubscribed = "courierimapsubscribed"
	subscriptionsHead = "V\t2\n\n"
	subscriptionStale = 30 * time.Second // Dovecot's, for the lock of this file
)

var (
	tabEscape   = strings.NewReplacer("\x01", "\x011", "\x00", "\x010", "\t", "\x01t", "\r", "\x01r", "\n", "\x01n")
	tabUnescape = strings.NewReplacer("\x011", "\x01", "\x010", "\x00", "\x01t", "\t", "\x01r", "\r", "\x01n", "\n")
)

func (s *Store) separator() string {
	if s.options.FS {
		return "/"
	}
	return "."
}

// subscriptions are the names of the subscribed mailboxes.
func (s *Store) subscriptions() (map[mail.Name]bool, error) {
	all := make(map[mail.Name]bool)
	text, err := tree.ReadFile(s.control, subscriptionsFile)
	if err == nil {
		lines, v2 := bytes.CutPrefix(text, []byte(subscriptionsHead))
		for line := range strings.Lines(string(lines)) {
			if line = strings.TrimSuffix(line, "\n"); line != "" {
				all[s.subscribedName(line, v2)] = true
			}
		}
		return all, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	text, err = tree.ReadFile(s.root, courierSubscribed)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if below, ok := strings.CutPrefix(line, "INBOX."); ok {
			line = below
		}
		if line != "" {
			all[s.subscribedName(line, false)] = true
		}
	}
	return all, nil
}

func (s *Store) subscribedName(line string, v2 bool) mail.Name {
	var levels []string
	if v2 {
		for level := range strings.SplitSeq(line, "\t") {
			levels = append(levels, tabUnescape.Replace(level))
		}
	} else {
		levels = strings.Split(line, s.separator())
	}
	if len(levels) == 1 && strings.EqualFold(levels[0], "INBOX") {
		return mail.Inbox
	}
	dir := strings.Join(levels, s.separator())
	if !s.options.FS {
		dir = "." + dir
	}
	name, _ := s.options.nameOf(dir)
	return name
}

// Subscribe writes the file subscriptions, under Dovecot's lock for it.
func (s *Store) Subscribe(ctx context.Context, name mail.Name, on bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := s.box("subscribe", name)
	if err != nil {
		return err
	}
	return s.fail("subscribe", name, s.subscribe(ctx, b, on))
}

func (s *Store) subscribe(ctx context.Context, b box, on bool) error {
	gate := s.gate("/" + subscriptionsFile)
	select {
	case gate <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-gate }()
	release, err := s.dotlock(ctx, subscriptionsFile, subscriptionStale)
	if err != nil {
		return err
	}
	defer release()
	text, err := tree.ReadFile(s.control, subscriptionsFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lines, v2 := strings.CutPrefix(string(text), subscriptionsHead)
	v2 = v2 || len(text) == 0
	var kept strings.Builder
	if v2 {
		kept.WriteString(subscriptionsHead)
	}
	there := false
	for line := range strings.Lines(lines) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" {
			continue
		}
		if s.subscribedName(line, v2) == b.name {
			if there || !on {
				continue
			}
			there = true
		}
		kept.WriteString(line + "\n")
	}
	if on && !there {
		kept.WriteString(s.subscriptionLine(b, v2) + "\n")
	}
	return s.replace(s.control, subscriptionsFile, "", []byte(kept.String()), time.Time{})
}

func (s *Store) subscriptionLine(b box, v2 bool) string {
	if b.name == mail.Inbox {
		return string(mail.Inbox)
	}
	dir := b.dir
	if !s.options.FS {
		dir = dir[1:]
	}
	if !v2 {
		return dir
	}
	levels := strings.Split(dir, s.separator())
	for i, level := range levels {
		levels[i] = tabEscape.Replace(level)
	}
	return strings.Join(levels, "\t")
}
