package imap

import (
	"fmt"

	"roost/mail"
)

// state is what tells whether a mailbox has changed. Its token is "1 UIDVALIDITY UIDNEXT HIGHESTMODSEQ COUNT" in decimal.
type state struct {
	uidValidity, uidNext uint32
	modSeq               uint64
	count                int64
}

// token is "" where the numbers cannot tell that nothing changed: without mod-sequences a flag may have.
func (s state) token() mail.Token {
	if s.uidValidity == 0 || s.uidNext == 0 || s.modSeq == 0 || s.count < 0 {
		return ""
	}
	return mail.Token(fmt.Sprintf("1 %d %d %d %d", s.uidValidity, s.uidNext, s.modSeq, s.count))
}

// parseToken reads a token; ok is false if it is none of ours.
func parseToken(t mail.Token) (s state, ok bool) {
	n, err := fmt.Sscanf(string(t), "1 %d %d %d %d", &s.uidValidity, &s.uidNext, &s.modSeq, &s.count)
	return s, err == nil && n == 4 && s.token() == t
}
