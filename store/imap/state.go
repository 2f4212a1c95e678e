package imap

import (
	"crypto/sha256"
	"fmt"

	"roost/mail"
)

// state is what tells whether a mailbox has changed. Its token is "1 UIDVALIDITY UIDNEXT HIGHESTMODSEQ COUNT CHECK" in
// decimal, but CHECK, which is 8 hex digits of a SHA-256 over the scope and the rest: UIDVALIDITYs are seconds in most
// servers, so that two mailboxes often have the same.
type state struct {
	uidValidity, uidNext uint32
	modSeq               uint64
	count                int64
}

// scope is what a token holds for: one mailbox of one account.
func (s *Store) scope(name mail.Name) string { return s.Identity() + "\x00" + string(name) }

// token is "" where the numbers cannot tell that nothing changed: without mod-sequences a flag may have.
func (s state) token(scope string) mail.Token {
	if s.uidValidity == 0 || s.uidNext == 0 || s.modSeq == 0 || s.count < 0 {
		return ""
	}
	text := fmt.Sprintf("1 %d %d %d %d", s.uidValidity, s.uidNext, s.modSeq, s.count)
	sum := sha256.Sum256([]byte(scope + "\x00" + text))
	return mail.Token(fmt.Sprintf("%s %x", text, sum[:4]))
}

// parseToken reads a token; ok is false if it is none of this scope.
func parseToken(t mail.Token, scope string) (s state, ok bool) {
	n, err := fmt.Sscanf(string(t), "1 %d %d %d %d", &s.uidValidity, &s.uidNext, &s.modSeq, &s.count)
	return s, err == nil && n == 4 && s.token(scope) == t
}
