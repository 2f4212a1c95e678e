package repo

import (
	"fmt"
	"io"
	"log/slog"
)

// A Password opens a repository. However it is printed, logged or encoded, it shows as "(hidden)".
type Password struct {
	// UTF-8 as typed, without line end. Behind a pointer, because fmt does not ask the fields of a foreign struct how they want
	// to be printed: it shows the address. nil: none.
	secret *string
}

const hidden = "(hidden)"

// NewPassword wraps a secret.
func NewPassword(secret string) Password { return Password{&secret} }

// IsEmpty reports whether there is no password at all.
func (p Password) IsEmpty() bool { return p.reveal() == "" }

func (p Password) reveal() string {
	if p.secret == nil {
		return ""
	}
	return *p.secret
}

// String returns "(hidden)".
func (p Password) String() string { return hidden }

// Format writes "(hidden)" for every verb.
func (p Password) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// MarshalText returns "(hidden)".
func (p Password) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue returns "(hidden)".
func (p Password) LogValue() slog.Value { return slog.StringValue(hidden) }
