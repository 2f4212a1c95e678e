package blobtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"

	"roost/blob"
)

// ErrInjected is the error of a Faulty bucket.
var ErrInjected = errors.New("injected fault")

// Faulty wraps a bucket and fails from the FailAt-th call on, as a program does that was killed there:
// nothing after that call reaches the bucket. With Once only that call fails, as on a bad line.
type Faulty struct {
	blob.Bucket
	FailAt int64 // 1 is the first call; 0 never fails
	Once   bool  // calls after the failed one succeed
	After  bool  // the failing call does its work first and then reports the fault

	calls atomic.Int64
}

// Calls returns how many calls were made.
func (f *Faulty) Calls() int64 { return f.calls.Load() }

// inject runs one call, or the fault in its place.
func (f *Faulty) inject(what string, call func() error) error {
	n := f.calls.Add(1)
	fails := f.FailAt > 0 && (n == f.FailAt || (n > f.FailAt && !f.Once))
	if !fails {
		return call()
	}
	if f.After && n == f.FailAt {
		if err := call(); err != nil {
			return err
		}
	}
	return fmt.Errorf("%s: %w", what, ErrInjected)
}

// Save implements blob.Bucket.
func (f *Faulty) Save(ctx context.Context, h blob.Handle, body []byte) error {
	return f.inject("save", func() error { return f.Bucket.Save(ctx, h, body) })
}

// Load implements blob.Bucket.
func (f *Faulty) Load(ctx context.Context, h blob.Handle, limit int64) (body []byte, err error) {
	err = f.inject("load", func() (err error) {
		body, err = f.Bucket.Load(ctx, h, limit)
		return err
	})
	return body, err
}

// ReadAt implements blob.Bucket.
func (f *Faulty) ReadAt(ctx context.Context, h blob.Handle, p []byte, off int64) error {
	return f.inject("read", func() error { return f.Bucket.ReadAt(ctx, h, p, off) })
}

// Stat implements blob.Bucket.
func (f *Faulty) Stat(ctx context.Context, h blob.Handle) (size int64, err error) {
	err = f.inject("stat", func() (err error) {
		size, err = f.Bucket.Stat(ctx, h)
		return err
	})
	return size, err
}

// List implements blob.Bucket.
func (f *Faulty) List(ctx context.Context, kind blob.Kind) iter.Seq2[blob.Entry, error] {
	return func(yield func(blob.Entry, error) bool) {
		if err := f.inject("list", func() error { return nil }); err != nil {
			yield(blob.Entry{}, err)
			return
		}
		f.Bucket.List(ctx, kind)(yield)
	}
}

// Remove implements blob.Bucket.
func (f *Faulty) Remove(ctx context.Context, h blob.Handle) error {
	return f.inject("remove", func() error { return f.Bucket.Remove(ctx, h) })
}
