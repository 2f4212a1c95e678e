package repo

import (
	"fmt"
	"io"
	"log/slog"
)

// A Password opens a repository. However it is printed, logged or encoded, it shows as "(hidden)".
type Password struct {
	secret string // UTF-8 as typed, without line end
}

const hidden = "(hidden)"

// NewPassword wraps a secret.
func NewPassword(secret string) Password { return Password{secret} }

// IsEmpty reports whether there is no password at all.
func (p Password) IsEmpty() bool { return p.secret == "" }

// String returns "(hidden)".
func (p Password) String() string { return hidden }

// Format writes "(hidden)" for every verb.
func (p Password) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// MarshalText returns "(hidden)".
func (p Password) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue returns "(hidden)".
func (p Password) LogValue() slog.Value { return slog.StringValue(hidden) }
