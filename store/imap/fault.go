package imap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	wire "roost/imap"
	"roost/mail"
)

// fault makes a *mail.Error of what went wrong with a mailbox ("" for the account). What concerns the connection reaches
// further than the mailbox, and says so.
func fault(op string, name mail.Name, err error) error {
	return faultOf(op, name, "", err)
}

// faultOf is fault for one message.
func faultOf(op string, name mail.Name, key mail.Key, err error) error {
	if err == nil {
		return nil
	}
	var done *mail.Error
	if errors.As(err, &done) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var loss *mail.Loss
	var e *wire.Error
	if errors.As(err, &e) && !errors.As(err, &loss) {
		word, wide := meaning(e)
		if word != nil && !errors.Is(err, word) {
			err = fmt.Errorf("%w: %w", word, err)
		}
		if wide {
			name, key = "", ""
		}
	}
	return &mail.Error{Op: op, Mailbox: name, Key: key, Err: err}
}

// errSpent is what is said of an account that may transfer nothing more for now. What was read stays read.
var errSpent = fmt.Errorf("%w: the account has used up what it may transfer in a day; come back in some hours", mail.ErrThrottled)

// meaning is what the words of package mail have for an error, nil for nothing, and whether it concerns the whole store.
func meaning(e *wire.Error) (word error, wide bool) {
	switch e.Reason {
	case wire.ReasonConnection:
		return mail.ErrConnect, true
	case wire.ReasonTLS:
		return mail.ErrTLS, true
	case wire.ReasonAuth:
		return mail.ErrAuth, true
	case wire.ReasonHuman:
		return mail.ErrNeedsHuman, true
	case wire.ReasonThrottled:
		return mail.ErrThrottled, true
	case wire.ReasonSpent:
		return errSpent, true
	}
	switch e.Code.Name { // RFC 5530
	case "NONEXISTENT", "TRYCREATE":
		return mail.ErrNoMailbox, false
	case "ALREADYEXISTS":
		return mail.ErrExist, false
	case "NOPERM", "AUTHORIZATIONFAILED":
		return mail.ErrDenied, false
	case "OVERQUOTA":
		return mail.ErrQuota, false
	case "TOOBIG": // RFC 7889
		return mail.ErrTooBig, false
	case "CANNOT", "HASCHILDREN", "USEATTR": // RFC 6154 3, RFC 9051 7.1
		return mail.ErrUnsupported, false
	case "READ-ONLY":
		return mail.ErrReadOnly, false
	}
	text := strings.ToLower(e.Text)
	switch {
	case strings.Contains(text, "mailbox doesn't exist"), strings.Contains(text, "mailbox does not exist"):
		return mail.ErrNoMailbox, false
	case strings.Contains(text, "permission denied"), strings.Contains(text, "access denied"):
		return mail.ErrDenied, false
	case isOverQuota(text):
		return mail.ErrQuota, false
	case strings.Contains(text, "maximum size of appendable message"), // Exchange
		strings.Contains(text, "larger than the maximum size"): // Dovecot
		return mail.ErrTooBig, false
	}
	return nil, false
}

// quotaTexts are what servers say that have no code for it, in lower case.
var quotaTexts = []string{
	"quota exceeded", "over quota", "exceeded quota", "exceeded its quota", "quota has been exceeded", "quota is full", // Dovecot, Courier, Cyrus, Zimbra
	"quotaexceeded", "mailbox is full", "mailbox full", "exceeded the storage limit", // Exchange: MapiExceptionShutoffQuotaExceeded, and in words
	"out of storage", // Gmail
}

func isOverQuota(text string) bool {
	return slices.ContainsFunc(quotaTexts, func(t string) bool { return strings.Contains(text, t) })
}

// isExpired reports whether the server ended the session as Gmail does. QUIRK: Gmail, 2026: over its limits it says "BYE
// Session expired, please login again" each time, and nothing of limits.
func isExpired(err error) bool {
	var e *wire.Error
	return errors.As(err, &e) && e.Status == "BYE" && strings.Contains(strings.ToLower(e.Text), "session expired")
}

// expired says of such an error what it means if it comes again without a message in between.
func expired(err error) error {
	var e *wire.Error
	errors.As(err, &e)
	spent := *e
	spent.Reason = wire.ReasonSpent
	return &spent
}

// refused reports whether the server said NO or BAD, and the connection is sound.
func refused(err error) bool {
	reason, ok := wire.ReasonOf(err)
	return ok && (reason == wire.ReasonNo || reason == wire.ReasonBad)
}

// isCode reports whether the server gave a response code with its refusal.
func isCode(err error, codes ...string) bool {
	var e *wire.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, c := range codes {
		if e.Code.Name == c {
			return true
		}
	}
	return false
}
