// Package store opens a driver by URL. It holds the one list of drivers, and
// decides nothing about mail.
package store

import (
	"context"
	"fmt"

	"roost/mail"
	"roost/store/memory"
)

// Options adjust Open; the zero value is sensible.
type Options struct {
	Connections int                                       // to a server, at most; default: the driver's
	Password    func(ctx context.Context) (string, error) // asked for when a server wants it; nil: there is none
}

// Open opens the store that a URL means; see Location for the URLs.
func Open(ctx context.Context, text string, o Options) (mail.Store, error) {
	l, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	switch l.Driver {
	case "memory":
		return memory.New(memory.Options{}), nil
	}
	return nil, fmt.Errorf("open store: no driver %q", l.Driver)
}
