package imap

import (
	"context"

	"roost/mail"
)

// Alters says what servers of this kind do to some of the messages that are appended; see mail.Alterer. The kind is what the
// server calls itself (RFC 2971).
//
// QUIRK: Cyrus, 3.6: munge8bit, which is on by default, makes an X of each octet above 127 in a header. Dovecot, 2.3: takes
// CR CR LF for a line end, and drops a CR at the very end.
func (s *Store) Alters(ctx context.Context) (kind mail.Alteration, err error) {
	err = s.ask(ctx, func(c *conn) error {
		switch {
		case c.IsCyrus():
			kind = mail.MaskedHeader
		case c.IsDovecot():
			kind = mail.DroppedCR
		}
		return nil
	})
	return kind, fault("identify the server", "", err)
}
