package mail

import (
	"errors"
	"strings"
)

// What a caller may act on. Drivers wrap them in an *Error.
var (
	ErrGone        = errors.New("message is no longer there")
	ErrNoMailbox   = errors.New("no such mailbox")
	ErrExist       = errors.New("already there")
	ErrDenied      = errors.New("permission denied")
	ErrUnsupported = errors.New("not supported by this store")
	ErrTooBig      = errors.New("larger than the store accepts")
	ErrQuota       = errors.New("over quota")
	ErrThrottled   = errors.New("throttled by the server")
	ErrConnect     = errors.New("no connection")
	ErrTLS         = errors.New("TLS failed")
	ErrAuth        = errors.New("authentication failed")
	ErrNeedsHuman  = errors.New("the server asks for a human")
	ErrReadOnly    = errors.New("read-only")
)

// Error is an error of a store. It says how far the damage reaches: with a
// Key, one message; with a Mailbox only, that mailbox; with neither, the store.
type Error struct {
	Op      string // what was tried: "fetch", "list", "append"
	Mailbox Name
	Key     Key
	Err     error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Mailbox != "" {
		b.WriteByte(' ')
		b.WriteString(string(e.Mailbox))
	}
	if e.Key != "" {
		b.WriteString(" message ")
		b.WriteString(string(e.Key))
	}
	b.WriteString(": ")
	b.WriteString(e.Err.Error())
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// KeyOf is the key that err is about, if it is about one message.
func KeyOf(err error) (Key, bool) {
	var e *Error
	if errors.As(err, &e) && e.Key != "" {
		return e.Key, true
	}
	return "", false
}

// Loss says that a message was stored, but not all that was said of it.
type Loss struct {
	Flags  Flags  // flags the store does not keep
	Detail string // any other loss, for the user: "internal date"; "" for none
}

func (l *Loss) Error() string {
	switch {
	case l.Flags != "" && l.Detail != "":
		return "not kept: flags " + string(l.Flags) + ", " + l.Detail
	case l.Flags != "":
		return "not kept: flags " + string(l.Flags)
	}
	return "not kept: " + l.Detail
}
