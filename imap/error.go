package imap

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Reason is the class of an Error: what a caller can do about it.
type Reason uint8

// The reasons.
const (
	ReasonNo         Reason = iota // the server refuses this command: NO
	ReasonBad                      // the server does not understand this command: BAD
	ReasonConnection               // no connection, or it is lost: dial again
	ReasonTLS                      // no trusted encryption
	ReasonAuth                     // the server does not accept who we are
	ReasonHuman                    // a human must do something at the provider first; Text says what
	ReasonThrottled                // too much, too fast: wait for Backoff
	ReasonSpent                    // what the account may transfer in a day or so is used up: come back then
)

// Error is what went wrong with a command or a connection.
type Error struct {
	Op      string // "dial", "LOGIN", "UID FETCH"
	Reason  Reason
	Status  string        // "NO", "BAD" or "BYE" if the server said so
	Code    Code          // the response code with it
	Text    string        // the server's own words
	Backoff time.Duration // of ReasonThrottled: what the server asks for; 0: it does not say
	Err     error         // what is beneath; nil if the server said it all
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Status != "" {
		b.WriteString(": ")
		b.WriteString(e.Status)
	}
	if e.Code.Name != "" {
		b.WriteString(" [" + e.Code.Name)
		if e.Code.Name == "WEBALERT" { // QUIRK: Gmail, 2026: where to go stands here and nowhere else
			b.WriteString(" " + printable(e.Code.Args))
		}
		b.WriteString("]")
	}
	if e.Text != "" {
		b.WriteString(": " + e.Text)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// ReasonOf is the reason of the Error in err's chain; false if there is none.
func ReasonOf(err error) (Reason, bool) {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason, true
	}
	return 0, false
}

// maxText is how much of a server's words an error repeats.
const maxText = 500

// replyError is the error of a command that the server answered with NO or BAD, or of a BYE.
func replyError(op string, reply StatusResponse) *Error {
	e := &Error{Op: op, Status: reply.Type, Code: reply.Code, Text: printable(reply.Text)}
	switch reply.Type {
	case "NO":
		e.Reason = ReasonNo
	case "BAD":
		e.Reason = ReasonBad
	default:
		e.Reason = ReasonConnection
	}
	// Only what the text or code says for certain changes the class: users write mailbox names that hold any word.
	text := strings.ToLower(e.Text)
	switch {
	case isHuman(e.Code.Name, text):
		e.Reason = ReasonHuman
	case isSpent(text):
		e.Reason = ReasonSpent
	case isThrottle(e.Code.Name, text):
		e.Reason = ReasonThrottled
		e.Backoff = suggestedBackoff(text)
	}
	return e
}

// authError is the error of a login that the server did not accept.
func authError(op string, reply StatusResponse) *Error {
	e := replyError(op, reply)
	if e.Reason != ReasonNo && e.Reason != ReasonBad {
		return e
	}
	switch {
	case e.Code.Name == "UNAVAILABLE", e.Code.Name == "INUSE":
		e.Reason = ReasonThrottled
	case e.Code.Name == "PRIVACYREQUIRED":
		e.Reason = ReasonTLS
	case e.Code.Name == "EXPIRED", e.Code.Name == "CONTACTADMIN":
		e.Reason = ReasonHuman
	default:
		e.Reason = ReasonAuth
	}
	return e
}

// QUIRK: Gmail, 2026: WEBALERT and the two texts mean that no retry helps until a human has been at a browser.
func isHuman(code, text string) bool {
	return code == "WEBALERT" || strings.Contains(text, "log in via your web browser") ||
		strings.Contains(text, "application-specific password")
}

// QUIRK: Gmail, 2026: 2,500 MB a day; then "[OVERQUOTA] Account exceeded command or bandwidth limits", for hours.
func isSpent(text string) bool {
	return strings.Contains(text, "exceeded command or bandwidth limits") || strings.Contains(text, "bandwidth limit exceeded")
}

func isThrottle(code, text string) bool {
	switch code {
	case "THROTTLED":
		return true
	case "LIMIT": // QUIRK: Yahoo, 2026: of a rate; Dovecot 2.3: of the size of a message as well
		return !strings.Contains(text, "maximum size")
	}
	return strings.Contains(text, "request is throttled") || strings.Contains(text, "suggested backoff time") ||
		strings.Contains(text, "too many simultaneous connections") ||
		// QUIRK: Exchange, 2026: says so at random for mailboxes that are there; trying again helps.
		strings.Contains(text, "user is authenticated but not connected")
}

// suggestedBackoff reads Exchange's "Suggested Backoff Time: 299961 milliseconds", given in lower case.
func suggestedBackoff(text string) time.Duration {
	_, after, found := strings.Cut(text, "suggested backoff time:")
	if !found {
		return 0
	}
	after = strings.TrimLeft(after, " ")
	end := 0
	for end < len(after) && '0' <= after[end] && after[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(after[:end], 10, 32)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

// printable makes a server's text fit for a terminal: no control characters, valid UTF-8, bounded.
func printable(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
