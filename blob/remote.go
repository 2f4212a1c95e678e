package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// A Driver reaches one kind of place over a network, as plainly as it can: each call is one try. A Remote makes
// a Bucket of it. Methods may be called concurrently and handles were checked. Errors that may be over soon
// are marked by Temporary; the others tell by ErrAccess and the like what they are. They need not name the handle.
// A connection that is cut is ErrConnect, never io.ErrUnexpectedEOF.
type Driver interface {
	// Create makes the place: folders, the server's own bucket. What exists is kept. (It is the eighth method because
	// no other call may do it by the way: a mistyped location must not make an empty place.)
	Create(ctx context.Context) error

	// Save, Load, ReadAt, Stat, Remove and Close are those of Bucket. ReadAt is given no empty p.
	Save(ctx context.Context, h Handle, body []byte) error
	Load(ctx context.Context, h Handle, limit int64) ([]byte, error)
	ReadAt(ctx context.Context, h Handle, p []byte, off int64) error
	Stat(ctx context.Context, h Handle) (int64, error)
	Remove(ctx context.Context, h Handle) error
	Close() error

	// List yields the objects of a kind whose names are greater than after, in the order of their names, so that
	// a listing that was cut goes on where it ended. kind is not Config.
	List(ctx context.Context, kind Kind, after string) iter.Seq2[Entry, error]
}

// DefaultConnections is how many calls a Remote makes at a time, as restic does.
const DefaultConnections = 5

// RemoteOptions adjusts a Remote; the zero value is right for most.
type RemoteOptions struct {
	Connections int           // calls at a time, those for locks not counted; default DefaultConnections
	Patience    time.Duration // how long a call that fails is tried again, and a minute at most before the place first answered; default 15 minutes

	// Report is called with the error when a place stops to answer, and with nil when it does so again; never twice at
	// a time; may be nil.
	Report func(err error)
}

// Remote is a bucket over a network: it makes the calls of a driver until they succeed or there is no hope.
type Remote struct {
	driver  Driver
	options RemoteOptions
	slots   chan struct{}
	known   atomic.Bool // the place has answered

	telling sync.Mutex // guards what follows
	out     bool       // Report was told that the place does not answer
}

// NewRemote returns the bucket at the far end of d.
func NewRemote(d Driver, o RemoteOptions) *Remote {
	if o.Connections == 0 {
		o.Connections = DefaultConnections
	}
	if o.Patience == 0 {
		o.Patience = defaultPatience
	}
	return &Remote{driver: d, options: o, slots: make(chan struct{}, o.Connections)}
}

// Parallel implements Parallel: one connection is left to those who read meanwhile.
func (r *Remote) Parallel() int { return max(2, r.options.Connections-1) }

// Create makes the place that the bucket is in; what exists is kept.
func (r *Remote) Create(ctx context.Context) error {
	err := r.call(ctx, Handle{}, func(int) error { return r.driver.Create(ctx) })
	if err != nil {
		return fmt.Errorf("create bucket: %w", err)
	}
	return nil
}

// call makes a call for h until it succeeds or there is no hope. try is the number of calls that failed before.
func (r *Remote) call(ctx context.Context, h Handle, call func(try int) error) error {
	if err := h.Valid(); err != nil {
		return err
	}
	for p := (patience{r: r}); ; {
		if err := r.enter(ctx, h); err != nil {
			return err
		}
		err := call(p.tries)
		r.leave(h)
		if err == nil {
			p.progress()
			return nil
		}
		if errors.Is(err, ErrNotExist) || errors.Is(err, ErrExist) {
			r.known.Store(true)
		}
		if err = p.again(ctx, err); err != nil {
			return err
		}
	}
}

// enter takes one of the connections. Calls for locks do not wait for one: behind uploads over a slow line a lock would not be
// refreshed in time.
func (r *Remote) enter(ctx context.Context, h Handle) error {
	if err := ctx.Err(); err != nil || h.Kind == Lock {
		return err
	}
	select {
	case r.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *Remote) leave(h Handle) {
	if h.Kind != Lock {
		<-r.slots
	}
}

// Save implements Bucket.
func (r *Remote) Save(ctx context.Context, h Handle, body []byte) error {
	err := r.call(ctx, h, func(try int) error {
		err := r.driver.Save(ctx, h, body)
		if try > 0 && errors.Is(err, ErrExist) {
			return r.ours(ctx, h, body)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("save %v: %w", h, err)
	}
	return nil
}

// ours tells whether an object that a second try found is the one that the first try sent: its answer may have been lost,
// or the connection in the middle of it. A part of an object is taken away and sent again.
func (r *Remote) ours(ctx context.Context, h Handle, body []byte) error {
	if h.Kind == Config {
		return isConfig(ctx, r.driver, body)
	}
	size, err := r.driver.Stat(ctx, h)
	switch {
	case errors.Is(err, ErrNotExist):
		return Temporary(err) // it went meanwhile
	case err != nil || size == int64(len(body)):
		return err
	}
	broken := fmt.Errorf("%w with %d octets of %d", ErrExist, size, len(body))
	if err := r.driver.Remove(ctx, h); err != nil {
		return fmt.Errorf("%w: remove it: %w", broken, err)
	}
	return Temporary(broken)
}

// Load implements Bucket.
func (r *Remote) Load(ctx context.Context, h Handle, limit int64) (body []byte, err error) {
	err = r.call(ctx, h, func(int) (err error) {
		body, err = r.driver.Load(ctx, h, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load %v: %w", h, err)
	}
	return body, nil
}

// ReadAt implements Bucket.
func (r *Remote) ReadAt(ctx context.Context, h Handle, p []byte, off int64) error {
	if len(p) == 0 {
		_, err := r.Stat(ctx, h)
		return err
	}
	if err := r.call(ctx, h, func(int) error { return r.driver.ReadAt(ctx, h, p, off) }); err != nil {
		return fmt.Errorf("read %v at %d: %w", h, off, err)
	}
	return nil
}

// Stat implements Bucket.
func (r *Remote) Stat(ctx context.Context, h Handle) (size int64, err error) {
	err = r.call(ctx, h, func(int) (err error) {
		size, err = r.driver.Stat(ctx, h)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("stat %v: %w", h, err)
	}
	return size, nil
}

// List implements Bucket. It holds no connection while its caller has an entry in hand, who may well make other calls.
func (r *Remote) List(ctx context.Context, kind Kind) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if kind == Config {
			return
		}
		last, sorted := "", true
		for p := (patience{r: r}); ; {
			err := ctx.Err()
			for e, listErr := range r.driver.List(ctx, kind, last) {
				if err = listErr; err != nil {
					break
				}
				p.progress()
				sorted = sorted && e.Name > last
				last = e.Name
				if !yield(e, nil) {
					return
				}
			}
			if err == nil {
				p.progress()
				return
			}
			// QUIRK: S3's directory buckets list in no order; what is cut there cannot go on.
			if sorted {
				err = p.again(ctx, err)
			}
			if err != nil {
				yield(Entry{}, fmt.Errorf("list %v: %w", kind, err))
				return
			}
		}
	}
}

// Remove implements Bucket.
func (r *Remote) Remove(ctx context.Context, h Handle) error {
	err := r.call(ctx, h, func(try int) error {
		err := r.driver.Remove(ctx, h)
		if try > 0 && errors.Is(err, ErrNotExist) {
			return nil // the answer of the first try was lost
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("remove %v: %w", h, err)
	}
	return nil
}

// Close implements Bucket.
func (r *Remote) Close() error { return r.driver.Close() }

// settle is how long a server that replaces objects is given until a config that was written is looked at again: longer than
// another writer needs from its look for a config to the end of its own write.
const settle = time.Second

// ConfirmConfig is what a driver ends Save of Config with, if its server may replace an object that is there. Of several writers
// at once the last one to write has won; the others find its config in the place of theirs and return ErrExist.
func ConfirmConfig(ctx context.Context, d Driver, body []byte) error {
	timer := time.NewTimer(settle)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return isConfig(ctx, d, body)
}

// isConfig returns nil if the config is body, ErrExist if it is another.
func isConfig(ctx context.Context, d Driver, body []byte) error {
	const most = 1 << 20
	is, err := d.Load(ctx, Handle{Kind: Config}, most)
	if err == nil && !bytes.Equal(is, body) {
		err = ErrExist
	}
	return err
}
