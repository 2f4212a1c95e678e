package mailsync

import (
	"context"
	"errors"
	"time"

	"roost/mail"
)

// damage is how far the effect of an error reaches.
type damage int

const (
	ofMessage damage = iota // this message; the next may do
	passing                 // it may do if it is tried again
	ofMailbox               // the mailbox: the next message would fail too
	ofRun                   // the store
)

func damageOf(err error) damage {
	switch {
	case errors.Is(err, context.Canceled):
		return ofRun
	case errors.Is(err, mail.ErrAuth), errors.Is(err, mail.ErrTLS), errors.Is(err, mail.ErrNeedsHuman),
		errors.Is(err, mail.ErrQuota): // of the whole account, in all stores but a few
		return ofRun
	case errors.Is(err, mail.ErrConnect), errors.Is(err, mail.ErrThrottled):
		return passing
	case errors.Is(err, mail.ErrDenied), errors.Is(err, mail.ErrReadOnly), errors.Is(err, mail.ErrNoMailbox):
		return ofMailbox
	}
	return ofMessage
}

// pauses are the times waited before a thing is tried again, the first try
// being over. Drivers reconnect by themselves; this is for a server that is
// restarted or wants us to slow down.
var pauses = [...]time.Duration{
	500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second,
}

// again does what has the same effect if done twice, until it is done, or fails
// otherwise than in passing, or has failed too often.
func again(ctx context.Context, do func() error) error {
	for try := 0; ; try++ {
		err := do()
		if err == nil || damageOf(err) != passing || try == len(pauses) {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}

// pause waits before the next try, the first being 0.
func pause(ctx context.Context, try int) error {
	t := time.NewTimer(pauses[min(try, len(pauses)-1)])
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
