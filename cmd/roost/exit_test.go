package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"roost/config"
	"roost/mail"
	"roost/repo"
)

// Each row of the table can be reached, by the error that means it, however
// deep that is wrapped.
func TestExitCodes(t *testing.T) {
	deep := func(err error) error {
		return fmt.Errorf("back up work: %w", &mail.Error{Op: "fetch", Mailbox: "INBOX", Err: fmt.Errorf("read: %w", err)})
	}
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"complete", nil, exitOK},
		{"failed", errors.New("disk full"), exitFailed},
		{"usage", usagef("what?"), exitUsage},
		{"configuration", &config.Error{Reason: "unknown key"}, exitUsage},
		{"no password", deep(config.ErrNoSecret), exitUsage},
		{"incomplete", said{errIncomplete}, exitIncomplete},
		{"throttled", deep(mail.ErrThrottled), exitThrottled},
		{"over quota", deep(mail.ErrQuota), exitThrottled},
		{"refused", deep(errRefused), exitRefused},
		{"different", said{errDifferent}, exitDifferent},
		{"no repository", deep(repo.ErrNoRepository), exitNoRepo},
		{"locked", deep(repo.ErrLocked), exitLocked},
		{"lock lost", deep(repo.ErrLockLost), exitLocked},
		{"wrong password", deep(repo.ErrWrongPassword), exitWrongKey},
		{"no connection", deep(mail.ErrConnect), exitConnection},
		{"TLS", deep(mail.ErrTLS), exitTLS},
		{"authentication", deep(mail.ErrAuth), exitAuth},
		{"a human", deep(mail.ErrNeedsHuman), exitNeedsHuman},
		{"TLS on the way to a connection", deep(errors.Join(mail.ErrConnect, mail.ErrTLS)), exitTLS},
		{"interrupted", deep(interrupted{syscall.SIGINT}), exitInterrupted},
		{"terminated", deep(interrupted{syscall.SIGTERM}), exitTerminated},
		{"cancelled", deep(context.Canceled), exitInterrupted},
	}
	reached := map[int]bool{}
	for _, tt := range tests {
		if got := exitCode(tt.err); got != tt.want {
			t.Errorf("%s: exitCode(%v) = %d, want %d", tt.name, tt.err, got, tt.want)
		}
		reached[tt.want] = true
	}
	for _, row := range exitTable {
		if !reached[row.code] {
			t.Errorf("exit code %d (%s) is tested by no case", row.code, row.meaning)
		}
	}
}

// Of several accounts the worst decides, in the order of the table.
func TestWorst(t *testing.T) {
	if err := worst(nil); err != nil {
		t.Errorf("worst(nil) = %v", err)
	}
	errs := []error{errIncomplete, mail.ErrThrottled, mail.ErrAuth, mail.ErrConnect}
	if got := exitCode(worst(errs)); got != exitAuth {
		t.Errorf("worst(%v) exits with %d, want %d", errs, got, exitAuth)
	}
	errs = append(errs, errors.New("disk full"))
	if got := exitCode(worst(errs)); got != exitFailed {
		t.Errorf("worst(%v) exits with %d, want %d", errs, got, exitFailed)
	}
}

// Whoever is told of an error is told what to do about it.
func TestHints(t *testing.T) {
	for _, err := range []error{
		usagef("what?"), config.ErrNoSecret, repo.ErrNoRepository, repo.ErrExists, repo.ErrWrongPassword, repo.ErrLocked,
		repo.ErrNoSnapshot, repo.ErrAmbiguous, mail.ErrNeedsHuman, mail.ErrAuth, mail.ErrTLS, mail.ErrConnect, mail.ErrThrottled,
		mail.ErrQuota, mail.ErrNoMailbox, &config.Error{Hint: "x"}, hinted{errors.New("y"), "x"},
	} {
		if hintFor(fmt.Errorf("back up: %w", err)) == "" {
			t.Errorf("no hint for %v", err)
		}
	}
}
