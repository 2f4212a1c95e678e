package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"roost/config"
	"roost/mail"
	"roost/repo"
	"roost/store"
)

// ErrNoStorePassword says that a store wants a password, and none is configured for it. It is a config.ErrNoSecret.
var ErrNoStorePassword = fmt.Errorf("%w for its store", config.ErrNoSecret)

// Env is what every job needs to know.
type Env struct {
	Config  *config.Config
	Paths   config.Paths     // where the default repository and its key file are
	Ask     config.Asker     // how secrets are read
	Now     func() time.Time // default: time.Now
	Program string           // recorded in snapshots, as in "roost 1.2.3"

	Log     *slog.Logger // takes retries and what servers want known; default: nobody
	WireLog io.Writer    // takes the dialogue with servers, without secrets and messages; default: nobody
}

func (e *Env) now() time.Time {
	if e.Now == nil {
		return time.Now()
	}
	return e.Now()
}

// OpenStore opens an account's store to read it.
func (e *Env) OpenStore(ctx context.Context, a *Account) (mail.Store, error) {
	return e.openStore(ctx, a, store.Options{})
}

// openStore opens it, with what the account says of connections and password.
func (e *Env) openStore(ctx context.Context, a *Account, o store.Options) (mail.Store, error) {
	o.Connections, o.Log, o.WireLog, o.Zstd = a.Connections, e.Log, e.WireLog, repo.Zstd
	o.Password = func(ctx context.Context) (string, error) {
		text, err := a.Secret.Read(ctx, "the account "+a.Name, e.Ask)
		if errors.Is(err, config.ErrNoSecret) {
			err = fmt.Errorf("account %s: %w", a.Name, ErrNoStorePassword)
		}
		return text, err
	}
	return store.Open(ctx, a.Store, o)
}

// RepositoryPlace is where the repository is, and the generated key file that
// opens it, "" if its password is configured otherwise. It looks at nothing.
func (e *Env) RepositoryPlace() (location, keyFile string, err error) {
	p, err := e.place()
	return p.String(), p.keyFile, err
}
