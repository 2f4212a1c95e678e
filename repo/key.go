package repo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"roost/blob"
)

// ErrKeyInUse says that a key cannot be removed because this program opened the repository by it, so that it is never the last.
var ErrKeyInUse = errors.New("it is the key in use")

// ErrNoKey says that no key fits, or that several do.
var ErrNoKey = errors.New("no such key")

// A Key is one password of a repository, as its object tells without the password.
type Key struct {
	ID      ID
	Created time.Time
	User    string // who made it, or for whom, as its maker wrote
	Host    string
	InUse   bool  // this program opened the repository by it
	Err     error // why the rest is not known
}

// KeyOptions adjust AddKey and ChangePassword; the zero value is right for a password that a person chose.
type KeyOptions struct {
	KDF        KDF    // default: calibrated on this machine
	User, Host string // recorded in the key; default: who runs this program, and where
}

// Keys lists the keys, oldest first.
func (r *Repo) Keys(ctx context.Context) ([]Key, error) {
	ids, err := r.list(ctx, blob.Key)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	var keys []Key
	for _, id := range ids {
		k := Key{ID: id, InUse: id == r.keyInUse()}
		body, err := r.bucket.Load(ctx, blob.Handle{Kind: blob.Key, Name: id.String()}, maxKeyFile)
		if errors.Is(err, blob.ErrNotExist) {
			continue
		}
		var f keyFile
		if err == nil {
			err = json.Unmarshal(body, &f)
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		k.Created, k.User, k.Host, k.Err = f.Created, f.Username, f.Hostname, err
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int { return a.Created.Compare(b.Created) })
	return keys, nil
}

// AddKey gives the repository one more password, and proves that it opens.
func (r *Repo) AddKey(ctx context.Context, password Password, o KeyOptions) (ID, error) {
	var id ID
	err := r.WithLock(ctx, Shared, func(ctx context.Context, _ *Lock) (err error) {
		id, err = r.proveKey(ctx, password, o)
		return err
	})
	if err != nil {
		return ID{}, fmt.Errorf("add key: %w", err)
	}
	return id, nil
}

// proveKey adds a key and opens it, and takes it away again if that fails.
func (r *Repo) proveKey(ctx context.Context, password Password, o KeyOptions) (ID, error) {
	if password.IsEmpty() {
		return ID{}, errors.New("empty password")
	}
	ids, err := r.list(ctx, blob.Key)
	if err != nil {
		return ID{}, err
	}
	if len(ids) >= maxKeys {
		return ID{}, fmt.Errorf("there are %d keys, and no more than %d are tried when a repository is opened", len(ids), maxKeys)
	}
	id, err := addKey(ctx, r.bucket, r.seal.key, password, o)
	if err != nil {
		return ID{}, err
	}
	key, err := openKey(ctx, r.bucket, id.String(), password)
	if err == nil && *key != *r.seal.key {
		err = errors.New("it holds another master key")
	}
	if err != nil {
		err = fmt.Errorf("the new key does not open: %w", err)
		return ID{}, errors.Join(err, r.removeKey(context.WithoutCancel(ctx), id))
	}
	return id, nil
}

// RemoveKey removes the key whose ID begins with prefix and returns its ID: ErrNoKey if there is none or there are several,
// ErrKeyInUse if this Repo was opened by it. A dry run only finds out.
func (r *Repo) RemoveKey(ctx context.Context, prefix string, dryRun bool) (ID, error) {
	var id ID
	run := func(ctx context.Context, _ *Lock) (err error) {
		if id, err = r.findKey(ctx, prefix); err != nil {
			return err
		}
		if id == r.keyInUse() {
			return ErrKeyInUse
		}
		if dryRun {
			return nil
		}
		return r.removeKey(ctx, id)
	}
	var err error
	if dryRun {
		err = run(ctx, nil)
	} else {
		err = r.WithLock(ctx, Exclusive, run)
	}
	if err != nil {
		return ID{}, fmt.Errorf("remove key %s: %w", prefix, err)
	}
	return id, nil
}

// findKey returns the ID that begins with prefix.
func (r *Repo) findKey(ctx context.Context, prefix string) (ID, error) {
	ids, err := r.list(ctx, blob.Key)
	if err != nil {
		return ID{}, err
	}
	ids = slices.DeleteFunc(ids, func(id ID) bool { return !strings.HasPrefix(id.String(), prefix) })
	if prefix == "" || len(ids) != 1 {
		return ID{}, fmt.Errorf("%w: %d fit", ErrNoKey, len(ids))
	}
	return ids[0], nil
}

func (r *Repo) removeKey(ctx context.Context, id ID) error {
	err := r.bucket.Remove(ctx, blob.Handle{Kind: blob.Key, Name: id.String()})
	if errors.Is(err, blob.ErrNotExist) {
		return ErrNoKey
	}
	return err
}

// ErrOldKeyStays says that a new key was made, and opens, but the old one could not be removed.
var ErrOldKeyStays = errors.New("the new key opens the repository, but the old one does so too")

// ChangePassword puts a new key in the place of the one in use: the new one is stored and proven first. Between the two it calls keep, if
// that is not nil, so that the caller can put the new password where it is looked for; if it fails, the new key is taken
// away again and the old one stays.
func (r *Repo) ChangePassword(ctx context.Context, password Password, o KeyOptions, keep func() error) (ID, error) {
	var id ID
	err := r.WithLock(ctx, Exclusive, func(ctx context.Context, _ *Lock) (err error) {
		if id, err = r.proveKey(ctx, password, o); err != nil {
			return err
		}
		if keep != nil {
			if err := keep(); err != nil {
				return errors.Join(err, r.removeKey(context.WithoutCancel(ctx), id))
			}
		}
		old := r.keyInUse()
		r.useKey(id)
		if err := r.removeKey(ctx, old); err != nil && !errors.Is(err, ErrNoKey) {
			return fmt.Errorf("%w: %s: %w", ErrOldKeyStays, old.Short(), err)
		}
		return nil
	})
	if err != nil {
		return id, fmt.Errorf("change password: %w", err)
	}
	return id, nil
}

// keyInUse returns the key by which the repository was opened.
func (r *Repo) keyInUse() ID { return *r.key.Load() }

func (r *Repo) useKey(id ID) { r.key.Store(&id) }
