package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"roost/backup"
	"roost/blob"
	"roost/config"
	"roost/job"
	"roost/mail"
	"roost/query"
	"roost/repo"
)

// Exit codes. Where restic has a code for the same thing, it is restic's.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitIncomplete  = 3
	exitThrottled   = 4
	exitRefused     = 5
	exitDifferent   = 6
	exitNoRepo      = 10
	exitLocked      = 11
	exitWrongKey    = 12
	exitConnection  = 20
	exitTLS         = 21
	exitAuth        = 22
	exitNeedsHuman  = 23
	exitInterrupted = 130 // SIGINT
	exitTerminated  = 143 // SIGTERM
)

// exitTable is the table of the manual, worst first: of several accounts, the
// worst decides.
var exitTable = []struct {
	code    int
	meaning string
}{
	{exitInterrupted, "interrupted by SIGINT; the state is saved"},
	{exitTerminated, "interrupted by SIGTERM; the state is saved"},
	{exitNoRepo, "there is no repository"},
	{exitLocked, "the repository is locked"},
	{exitWrongKey, "wrong password of the repository"},
	{exitFailed, "failed"},
	{exitUsage, "mistake in the command line or the configuration"},
	{exitRefused, "refused, to be on the safe side"},
	{exitNeedsHuman, "the server wants a human to authorise"},
	{exitAuth, "authentication failed"},
	{exitTLS, "TLS failed: the server is not who it should be"},
	{exitConnection, "no connection"},
	{exitThrottled, "stopped by a quota or the server's throttle; run again to go on"},
	{exitIncomplete, "done, but some messages or mailboxes are not; see roost problems"},
	{exitDifferent, "differences were found"},
	{exitOK, "complete; the ledger balances"},
}

var (
	errIncomplete = errors.New("incomplete")
	errDifferent  = errors.New("different")
	errRefused    = errors.New("refused")
)

// said is an error of which the user has been told already.
type said struct{ error }

func (s said) Unwrap() error { return s.error }

// usageError is a mistake in the command line.
type usageError struct{ err error }

func (u usageError) Error() string { return u.err.Error() }
func (u usageError) Unwrap() error { return u.err }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// hinted is an error that says what to do.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// exitCode is the code for err.
func exitCode(err error) int {
	var signal interrupted
	var usage usageError
	var cfg *config.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &signal):
		return 128 + int(signal.signal)
	case errors.As(err, &usage), errors.As(err, &cfg), errors.Is(err, config.ErrNoSecret):
		return exitUsage
	}
	for _, class := range []struct {
		err  error
		code int
	}{
		{repo.ErrNoRepository, exitNoRepo},
		{repo.ErrLocked, exitLocked},
		{repo.ErrLockLost, exitLocked},
		{repo.ErrWrongPassword, exitWrongKey},
		{errRefused, exitRefused},
		{backup.ErrShrunk, exitRefused},
		{repo.ErrHeld, exitRefused},
		{repo.ErrRemoveAll, exitRefused},
		{repo.ErrDamagedRepository, exitRefused},
		{repo.ErrKeyInUse, exitRefused},
		{job.ErrLastWhole, exitRefused},
		{job.ErrOwnTag, exitRefused},
		{repo.ErrSameRepository, exitUsage},
		{mail.ErrNeedsHuman, exitNeedsHuman},
		{mail.ErrAuth, exitAuth},
		{mail.ErrTLS, exitTLS},
		{mail.ErrConnect, exitConnection},
		{blob.ErrAppendOnly, exitRefused},
		{blob.ErrAccess, exitAuth},
		{blob.ErrUntrusted, exitTLS},
		{blob.ErrConnect, exitConnection},
		{blob.ErrBusy, exitThrottled},
		{blob.ErrNoSpace, exitThrottled},
		{mail.ErrThrottled, exitThrottled},
		{mail.ErrQuota, exitThrottled},
		{errIncomplete, exitIncomplete},
		{job.ErrNotJudged, exitIncomplete},
		{errDifferent, exitDifferent},
		{context.Canceled, exitInterrupted},
	} {
		if errors.Is(err, class.err) {
			return class.code
		}
	}
	return exitFailed
}

// worst is the one of errs whose exit code stands first in exitTable; nil if
// all are nil.
func worst(errs []error) error {
	rank := func(err error) int {
		for i, row := range exitTable {
			if row.code == exitCode(err) {
				return i
			}
		}
		return 0
	}
	if len(errs) == 0 {
		return nil
	}
	return slices.MinFunc(errs, func(a, b error) int { return rank(a) - rank(b) })
}

// hintFor says what to do about err; "" if there is nothing to say.
func hintFor(err error) string {
	var h hinted
	var cfg *config.Error
	switch {
	case errors.As(err, &h):
		return h.hint
	case errors.As(err, &cfg):
		return cfg.Hint
	}
	if mistake := (*query.ParseError)(nil); errors.As(err, &mistake) && mistake.Hint != "" {
		return mistake.Hint
	}
	if missing := (*job.Missing)(nil); errors.As(err, &missing) {
		return hintForMissing(missing)
	}
	for _, row := range []struct {
		err  error
		hint string
	}{
		{job.ErrNoStorePassword, "give it with --store-password-file, --store-password-command or ROOST_STORE_PASSWORD_FILE, or in the configuration of the account"},
		{config.ErrNoSecret, "give the password with --password-file, --password-command, ROOST_PASSWORD_FILE or in the configuration"},
		{backup.ErrShrunk, "if all that is truly meant to be gone, run again with --max-shrink 100%; else look at the store: is its disk mounted, its URL right?"},
		{backup.ErrEmpty, "is it the right place? roost account test STORE shows what is there"},
		{repo.ErrNoRepository, "roost init makes one; --repo says where"},
		{repo.ErrExists, "nothing was changed; --repo names another place"},
		{repo.ErrWrongPassword, "the password comes from --password-file, RESTIC_PASSWORD_FILE or the configuration: roost config show --origin"},
		{repo.ErrLocked, "wait until the other run ends; if that program is gone, roost unlock removes its lock"},
		{repo.ErrDamaged, hintDamage},
		{repo.ErrNoBlob, hintDamage},
		{repo.ErrHeld, "roost hold list shows who holds it and why; roost hold remove lets go"},
		{repo.ErrDamagedRepository, "roost check tells what is concerned, and roost repair mends it"},
		{repo.ErrRemoveAll, "nothing was removed; look at the rules with --dry-run. --unsafe-allow-remove-all means it"},
		{repo.ErrKeyInUse, "open the repository with another password (--password-file) and remove it then"},
		{repo.ErrNoKey, "roost key list shows the keys"},
		{repo.ErrOldKeyStays, "roost key list shows both; roost key remove removes the old one"},
		{job.ErrLastWhole, "nothing was removed; --unsafe-allow-remove-all means it"},
		{repo.ErrNoSnapshot, "roost snapshots lists those there are"},
		{repo.ErrAmbiguous, "give more of its letters"},
		{job.ErrWhichSnapshot, "roost snapshots lists the accounts"},
		{mail.ErrNeedsHuman, "log in by hand once, as the server asks, and run again"},
		{mail.ErrAuth, "check user, password and mechanism: roost account test"},
		{mail.ErrTLS, "if the certificate is right but unknown, name its authority with ?ca=FILE or pin it with ?pin=SHA256"},
		{mail.ErrConnect, "check host and port; imaps:// is port 993, imap:// is port 143 with STARTTLS"},
		{blob.ErrAppendOnly, "removing wants other credentials, which backups should not have; see the guide, Where the repository lives"},
		{blob.ErrAccess, "check user and password of the repository's server: RESTIC_REST_USERNAME and RESTIC_REST_PASSWORD, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the key of ssh, or repository.server in the configuration"},
		{blob.ErrUntrusted, "if the server is the right one, name the authority of its certificate with --cacert; for sftp, let ssh know its key"},
		{blob.ErrConnect, "check the location of the repository, and that its server runs; what is stored is not stored again"},
		{blob.ErrBusy, "run again later; what is stored is not stored again"},
		{blob.ErrNoSpace, "make room at the repository and run again; what is stored is not stored again"},
		{mail.ErrThrottled, "run again later; what is stored is not fetched again"},
		{mail.ErrQuota, "make room at the destination and run again; what is there is not stored again"},
		{mail.ErrNoMailbox, "roost ls SNAPSHOT lists the mailboxes"},
		{fs.ErrNotExist, "is the path right, and its disk mounted?"},
	} {
		if errors.Is(err, row.err) {
			return row.hint
		}
	}
	var usage usageError
	if errors.As(err, &usage) {
		return "roost help, or --help behind the command, tells more"
	}
	return ""
}

// hintForMissing says where the thing is that a snapshot lacks, or may be.
func hintForMissing(m *job.Missing) string {
	switch {
	case m.Near != "":
		return fmt.Sprintf("did you mean %q?", m.Near)
	case m.Held != nil:
		return fmt.Sprintf("snapshot %s of %s holds it", m.Held.ID.Short(), stamp(m.Held.Time))
	case m.Mailbox:
		return "roost ls SNAPSHOT lists the mailboxes"
	}
	return "roost index SNAPSHOT lists the keys, with --deleted also those that earlier snapshots hold"
}
