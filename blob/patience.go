package blob

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

const (
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second // pauses grow no longer than this

	// defaultPatience is restic's: long enough for a server to be booted, or a line to come back.
	defaultPatience = 15 * time.Minute

	// strangerPatience is for a place that has not answered since the program began: more likely its name is misspelled.
	strangerPatience = time.Minute
)

// patience is how long one call goes on after temporary errors.
type patience struct {
	r      *Remote
	failed time.Time // when the first error of this row came; zero: none has
	tries  int       // that failed in this row
	told   bool      // Report heard of this row
}

// again waits before the next try and returns nil, or the error to give up with: err itself if it is not temporary,
// or has lasted too long.
func (p *patience) again(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !IsTemporary(err) {
		return err
	}
	now := time.Now()
	if p.tries == 0 {
		p.failed = now
	}
	p.tries++
	pause := pauseAfter(p.tries)
	if lasted := now.Sub(p.failed); lasted+pause > p.r.patience() {
		p.r.forget()
		return fmt.Errorf("%w (gave up after %d tries in %v)", err, p.tries, lasted.Round(time.Second))
	}
	if p.tries > 1 {
		p.told = true
		p.r.tell(err)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// progress says that the place answered: what fails now is a new row.
func (p *patience) progress() {
	p.r.known.Store(true)
	if p.told {
		p.r.tell(nil)
	}
	p.tries, p.told = 0, false
}

// pauseAfter is the pause behind the n-th error: twice the last one, and somewhere between half and all of that, so that
// many clients of a server that comes back do not all come back at once.
func pauseAfter(n int) time.Duration {
	pause := lastPause
	if n < 8 {
		pause = min(lastPause, firstPause<<(n-1))
	}
	return pause/2 + rand.N(pause/2+1)
}

// patience is how long a call may fail.
func (r *Remote) patience() time.Duration {
	if !r.known.Load() {
		return min(r.options.Patience, strangerPatience)
	}
	return r.options.Patience
}

// tell reports the beginning of an outage once, and its end once.
func (r *Remote) tell(err error) {
	r.telling.Lock()
	defer r.telling.Unlock()
	if out := err != nil; out != r.out && r.options.Report != nil {
		r.out = out
		r.options.Report(err)
	}
}

// forget makes the next outage one to report: the caller that gave up tells of this one.
func (r *Remote) forget() {
	r.telling.Lock()
	defer r.telling.Unlock()
	r.out = false
}
