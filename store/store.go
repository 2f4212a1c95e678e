// Package store opens a driver by URL. It holds the one list of drivers, and
// decides nothing about mail.
package store

import (
	"context"
	"fmt"

	"roost/mail"
	"roost/store/maildir"
	"roost/store/memory"
)

// Options adjust Open; the zero value is sensible.
type Options struct {
	Make        bool                                      // make the directory or file of a file driver if it is not there
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
	case "maildir":
		return opened(maildir.Open(ctx, l.Path, maildir.Options{FS: l.Layout == "fs", UTF8: l.UTF8, Make: o.Make}))
	}
	return nil, fmt.Errorf("open store: no driver %q", l.Driver)
}

// opened makes a mail.Store of a driver's own, so that one that did not open is nil.
func opened[S mail.Store](s S, err error) (mail.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}
