package imap

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	wire "roost/imap"
	"roost/mail"
)

// How a connection is tried again. QUIRK: Gmail, 2026: "[THROTTLED]" wants 50 ms, doubled up to 16 s; Exchange says how
// long, and means it.
const (
	maxTries     = 5
	firstBackoff = 50 * time.Millisecond
	lastBackoff  = 16 * time.Second
	maxBackoff   = 10 * time.Minute // of what a server suggests

	// QUIRK: Exchange, 2026: closes a session after ten errors.
	maxRefusals = 8

	// A connection idle for so long is asked whether it lives before something goes over it that must not go twice.
	trustedIdle = 5 * time.Second
)

// slots bound the number of connections for one purpose.
type slots chan struct{}

func newSlots(n int) slots {
	s := make(slots, n)
	for range n {
		s <- struct{}{}
	}
	return s
}

func (s slots) take(ctx context.Context) error {
	select {
	case <-s:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slots) give() { s <- struct{}{} }

// conn is a connection that is logged in.
type conn struct {
	*wire.Client
	selected mail.Name // "": none that is known
	used     time.Time // when it became idle
	refusals int       // errors the server said
	qresync  bool      // ENABLE QRESYNC was accepted
	asked    bool      // ENABLE QRESYNC was tried
}

// note counts what the server refuses, and returns err.
func (c *conn) note(err error) error {
	if reason, ok := wire.ReasonOf(err); ok && (reason == wire.ReasonNo || reason == wire.ReasonBad) {
		c.refusals++
	}
	return err
}

// errClosed is what a closed Store says.
var errClosed = errors.New("the store is closed")

// get returns an idle connection, one that has name selected if there is one, or dials a new one.
func (s *Store) get(ctx context.Context, name mail.Name) (*conn, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errClosed
	}
	if n := len(s.idle); n > 0 {
		best := n - 1
		for i, c := range s.idle {
			if name != "" && c.selected == name {
				best = i
			}
		}
		c := s.idle[best]
		s.idle = append(s.idle[:best], s.idle[best+1:]...)
		s.mu.Unlock()
		return c, nil
	}
	s.mu.Unlock()
	return s.dial(ctx)
}

// put makes a connection idle, or closes it if it is not worth keeping.
func (s *Store) put(c *conn) {
	s.mu.Lock()
	keep := !s.closed && c.Err() == nil && c.refusals < maxRefusals
	if keep {
		c.used = time.Now()
		s.idle = append(s.idle, c)
	}
	s.mu.Unlock()
	if !keep {
		c.Close()
	}
}

// dial connects and logs in. QUIRK: iCloud, 2026: knows some users by the local part of their address only.
func (s *Store) dial(ctx context.Context) (*conn, error) {
	c, caps, err := s.login(ctx, s.options.User)
	local, _, isAddress := strings.Cut(s.options.User, "@")
	if reason, _ := wire.ReasonOf(err); reason != wire.ReasonAuth || !isAddress || !caps.Has("XAPPLEPUSHSERVICE") {
		return c, err
	}
	c, _, again := s.login(ctx, local)
	if again != nil {
		return nil, err
	}
	s.options.Log.Warn("logged in by the local part of the name only", "host", s.options.Host, "user", local)
	return c, nil
}

// login connects and logs in as user. It also returns what the server said that it can before that.
func (s *Store) login(ctx context.Context, user string) (*conn, wire.Caps, error) {
	o := s.options
	client, err := wire.Dial(ctx, s.address(), wire.Options{
		Security: o.Security, ServerName: o.ServerName, Roots: o.Roots, Fingerprint: o.Fingerprint, Certificate: o.Certificate,
		Timeout: o.Timeout, NoCompress: o.NoCompress, WireLog: o.WireLog,
		Alert: func(text string) { o.Log.Warn("the server says", "host", o.Host, "alert", text) },
	})
	if err != nil {
		return nil, nil, err
	}
	caps := client.Capabilities()
	secret := ""
	if o.Secret != nil && !strings.EqualFold(o.Mechanism, "EXTERNAL") {
		if secret, err = o.Secret(ctx); err != nil {
			client.Close()
			return nil, nil, &wire.Error{Op: "login", Reason: wire.ReasonAuth, Err: err}
		}
	}
	who := wire.Credentials{User: user, ActAs: o.ActAs, ProxyAuth: o.ProxyAuth, Mechanism: o.Mechanism, Secret: secret}
	if err := client.Login(ctx, who); err != nil {
		client.Close()
		return nil, caps, err
	}
	return &conn{Client: client}, caps, nil
}

// retry calls try until it succeeds, or fails with what trying again does not cure, or has failed too often.
func (s *Store) retry(ctx context.Context, try func() error) error {
	for n := 1; ; n++ {
		err := try()
		if err == nil || n == maxTries || ctx.Err() != nil || !transient(err) {
			return err
		}
		s.options.Log.Info("trying again", "host", s.options.Host, "try", n+1, "cause", err.Error())
		if err := sleep(ctx, backoff(n, err)); err != nil {
			return err
		}
	}
}

// transient reports whether err may be cured by another connection, later.
func transient(err error) bool {
	reason, ok := wire.ReasonOf(err)
	return ok && (reason == wire.ReasonConnection || reason == wire.ReasonThrottled) || isBusy(err)
}

// isBusy reports whether the server said that it cannot do a thing just now (RFC 5530).
func isBusy(err error) bool { return isCode(err, "UNAVAILABLE", "INUSE") }

// backoff is how long to wait after the n-th failure.
func backoff(n int, err error) time.Duration {
	var e *wire.Error
	if errors.As(err, &e) && e.Backoff > 0 {
		return min(e.Backoff, maxBackoff)
	}
	d := min(firstBackoff<<(n-1), lastBackoff)
	if errors.As(err, &e) && e.Reason == wire.ReasonThrottled {
		d = min(4*d, lastBackoff)
	}
	return d/2 + rand.N(d)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ask runs f on a connection; f may run again on another one if the first is lost, so that it must not matter if it does.
func (s *Store) ask(ctx context.Context, f func(c *conn) error) error {
	if err := s.control.take(ctx); err != nil {
		return err
	}
	defer s.control.give()
	return s.retry(ctx, func() error {
		c, err := s.get(ctx, "")
		if err != nil {
			return err
		}
		defer s.put(c)
		return c.note(f(c))
	})
}

// change runs f once on a connection that is known to live: what f does must not happen twice.
func (s *Store) change(ctx context.Context, name mail.Name, f func(c *conn) error) error {
	if err := s.control.take(ctx); err != nil {
		return err
	}
	defer s.control.give()
	var c *conn
	err := s.retry(ctx, func() (err error) {
		if c, err = s.get(ctx, name); err != nil {
			return err
		}
		if !c.used.IsZero() && time.Since(c.used) > trustedIdle {
			if err = c.Noop(ctx); err != nil {
				s.put(c)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	defer s.put(c)
	return c.note(f(c))
}
