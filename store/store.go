// Package store opens a driver by URL. It holds the one list of drivers, and
// decides nothing about mail.
package store

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"roost/mail"
	"roost/store/eml"
	"roost/store/imap"
	"roost/store/maildir"
	"roost/store/mbox"
	"roost/store/memory"
)

// Options adjust Open; the zero value is sensible.
type Options struct {
	Make        bool                                      // make the directory or file of a file driver if it is not there
	Imagine     bool                                      // then take an empty store in memory for it; for dry runs
	Connections int                                       // to a server, at most; default: the driver's
	Password    func(ctx context.Context) (string, error) // asked for when a server wants it; nil: there is none

	// Zstd decodes what a Maildir holds compressed by zstd; nil: such messages cannot be read.
	Zstd func(io.Reader) (io.ReadCloser, error)

	Log     *slog.Logger // takes retries and what a server wants known; default: nobody
	WireLog io.Writer    // takes the dialogue with a server, without secrets and messages; default: nobody
}

// Open opens the store that a URL means; see Location for the URLs.
func Open(ctx context.Context, text string, o Options) (mail.Store, error) {
	l, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s, err := open(ctx, l, o)
	if o.Imagine && l.Path != "" && errors.Is(err, fs.ErrNotExist) {
		return memory.New(memory.Options{}), nil
	}
	return s, err
}

func open(ctx context.Context, l Location, o Options) (mail.Store, error) {
	switch l.Driver {
	case "memory":
		return memory.New(memory.Options{}), nil
	case "maildir":
		return opened(maildir.Open(ctx, l.Path, maildir.Options{FS: l.Layout == "fs", UTF8: l.UTF8, Control: l.Control, Make: o.Make, Zstd: o.Zstd}))
	case "mbox":
		return opened(mbox.Open(ctx, l.Path, mbox.Options{Make: o.Make}))
	case "eml":
		return opened(eml.Open(ctx, l.Path, eml.Options{Make: o.Make}))
	case "imap":
		options, err := server(l, o)
		if err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
		return opened(imap.Open(ctx, options))
	}
	return nil, fmt.Errorf("open store: no driver %q", l.Driver)
}

// server is what the IMAP driver wants to know.
func server(l Location, o Options) (imap.Options, error) {
	s := imap.Options{
		Host: l.Host, Port: l.Port, Security: l.Security, User: l.User, Secret: o.Password,
		ActAs: l.Options["authzid"], ProxyAuth: l.Options["proxyauth"], Mechanism: l.Options["mech"],
		ServerName: l.Options["name"], Fingerprint: l.Pin, Connections: o.Connections, Timeout: l.Timeout,
		NoCompress: l.Options["compress"] == "no" || isLoopback(l.Host), Shared: l.Options["shared"] == "yes", Log: o.Log, WireLog: o.WireLog,
	}
	if master := l.Options["master"]; master != "" {
		separator := l.Options["separator"]
		if separator == "" {
			separator = "*"
		}
		s.User = l.User + separator + master
	}
	if file := l.Options["ca"]; file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return s, fmt.Errorf("read authorities: %w", err)
		}
		s.Roots = x509.NewCertPool()
		if !s.Roots.AppendCertsFromPEM(pem) {
			return s, fmt.Errorf("read authorities: %s holds no certificate in PEM", file)
		}
	}
	if file := l.Options["cert"]; file != "" {
		own, err := tls.LoadX509KeyPair(file, cmp.Or(l.Options["key"], file))
		if err != nil {
			return s, fmt.Errorf("read certificate %s: %w", file, err)
		}
		s.Certificate = &own
	}
	external := strings.EqualFold(l.Options["mech"], "EXTERNAL")
	if external && s.Certificate == nil {
		return s, errors.New("mech=EXTERNAL goes by a certificate; it is given as cert=FILE&key=FILE")
	}
	if l.User == "" && !external {
		return s, errors.New("the URL names no user; it is written imaps://user@host")
	}
	return s, nil
}

// opened makes a mail.Store of a driver's own, so that one that did not open is nil.
func opened[S mail.Store](s S, err error) (mail.Store, error) {
	if err != nil {
		return nil, err
	}
	return s, nil
}
