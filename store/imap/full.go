package imap

import (
	"context"
	"errors"
	"fmt"
	"strings"

	wire "roost/imap"
	"roost/mail"
)

// full lists everything.
func (l *listing) full(ctx context.Context) (mail.Changes, error) {
	ch := mail.Changes{Full: true, Method: "fetch"}
	if l.box.Exists != 0 {
		l.messages = make([]mail.Message, 0, min(max(l.box.Exists, 0), 1<<20))
		if err := l.fetchAll(ctx); err != nil {
			return ch, err
		}
		ch.Messages = l.sorted()
		if l.Exists() >= 0 && int64(len(ch.Messages)) != l.Exists() {
			if err := l.second(ctx, &ch); err != nil {
				return ch, err
			}
		}
	}
	ch = l.answer(ch)
	if l.Exists() == cappedAt && isYahoo(l.store.options.Host) {
		l.store.options.Log.Warn("the server shows the newest messages only; Yahoo's export host shows all", "mailbox", string(l.name), "messages", cappedAt)
	}
	// Expunged while we listed: the mailbox as it was opened is not what was listed, so its state must not stand for it.
	if int64(len(ch.Messages)+len(ch.Failed)) < l.box.Exists {
		ch.Token = ""
	}
	return ch, nil
}

// cappedAt is how many messages of a mailbox Yahoo shows at most. QUIRK: Yahoo, AOL and AT&T, 2026.
const cappedAt = 10_000

func isYahoo(host string) bool {
	for _, of := range []string{"yahoo.com", "aol.com", "att.net"} {
		if host == of || strings.HasSuffix(host, "."+of) {
			return !strings.HasPrefix(host, "export.")
		}
	}
	return false
}

// fetchAll asks for all messages; a server that refuses the whole list of items is asked for the necessary ones.
func (l *listing) fetchAll(ctx context.Context) error {
	err := l.UIDFetch(ctx, "1:*", l.items(), wire.FetchOptions{}, l.take)
	if err == nil && int64(len(l.messages)) < l.Exists() && l.Capabilities().MessageLimit() > 0 {
		return l.fetchOlder(ctx)
	}
	if !refused(err) {
		return err
	}
	l.note(err)
	l.messages = l.messages[:0]
	err = l.UIDFetch(ctx, "1:*", "UID FLAGS INTERNALDATE RFC822.SIZE", wire.FetchOptions{}, l.take)
	if refused(err) && len(l.messages) > 0 {
		return nil // it listed some and stumbled; second finds the others
	}
	return err
}

// fetchOlder asks for what the server leaves out because of its MESSAGELIMIT (RFC 9738): of a set it takes the newest.
func (l *listing) fetchOlder(ctx context.Context) error {
	for len(l.messages) > 0 {
		first, before := l.messages[0].UID, len(l.messages)
		for i := range l.messages {
			first = min(first, l.messages[i].UID)
		}
		if first == 1 {
			return nil
		}
		older := fmt.Sprintf("1:%d", first-1)
		err := l.UIDFetch(ctx, older, l.items(), wire.FetchOptions{}, func(f *wire.Fetch) error {
			if f.UID >= first {
				return nil
			}
			return l.take(f)
		})
		if err != nil && !refused(err) {
			return err
		}
		if len(l.messages) == before {
			return nil
		}
	}
	return nil
}

// second lists by another way what the first list does not have, when there should be more. What even then nobody can
// tell anything about is failed, not gone.
func (l *listing) second(ctx context.Context, ch *mail.Changes) error {
	if err := l.Noop(ctx); err != nil { // hear of what was expunged meanwhile
		return err
	}
	there, err := l.uids(ctx)
	if err != nil {
		return err
	}
	var listed mail.UIDSet
	for i := range ch.Messages {
		listed.Add(ch.Messages[i].UID)
	}
	var missing []uint32
	for u := range there.All() {
		if !listed.Contains(u) {
			missing = append(missing, u)
		}
	}
	for chunk := range wire.SetOf(missing...).Chunks(0) {
		if err := l.UIDFetch(ctx, chunk.String(), "UID FLAGS INTERNALDATE RFC822.SIZE", wire.FetchOptions{}, l.take); err != nil && !refused(err) {
			return err
		}
	}
	ch.Messages = l.sorted()
	listed = mail.UIDSet{}
	for i := range ch.Messages {
		listed.Add(ch.Messages[i].UID)
	}
	for _, u := range missing {
		if !listed.Contains(u) {
			ch.Failed = append(ch.Failed, &mail.Error{Op: "list", Mailbox: l.name, Key: keyOf(u),
				Err: errors.New("the server counts this message and says nothing of it")})
		}
	}
	ch.Method = "fetch+search"
	return nil
}
