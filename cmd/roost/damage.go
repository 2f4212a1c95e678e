package main

import (
	"errors"
	"fmt"

	"roost/repo"
)

// hintDamage says what to do about a damaged repository.
const hintDamage = "roost check tells what is damaged; roost repair mends what can be mended, and names what is lost"

// warn tells of something wrong that does not stop the command: also with --quiet.
func (a *app) warn(message, hint string) {
	if a.flags.json {
		a.jsonTo(a.stderr, "warning", struct {
			Message string `json:"message"`
			Hint    string `json:"hint,omitempty"`
		}{message, hint})
		return
	}
	fmt.Fprintf(a.stderr, "warning: %s\n", printable(message))
	if hint != "" {
		fmt.Fprintf(a.stderr, "hint: %s\n", printable(hint))
	}
}

// warnAll warns of each error that err joins; of the last one with a hint.
func (a *app) warnAll(err error, hint string) {
	all := joined(err)
	for i, err := range all {
		if i < len(all)-1 {
			a.warn(err.Error(), "")
		} else {
			a.warn(err.Error(), hint)
		}
	}
}

// joined are the errors that errors.Join made err of.
func joined(err error) []error {
	if err == nil {
		return nil
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, one := range many.Unwrap() {
		all = append(all, joined(one)...)
	}
	return all
}

// unreadable warns of each snapshot that cannot be read, and is the error for the
// exit code; nil if err is.
func (a *app) unreadable(err error) error {
	all := joined(err)
	if len(all) == 0 {
		return nil
	}
	if !errors.Is(err, repo.ErrDamaged) && !errors.Is(err, repo.ErrNoBlob) {
		return err
	}
	a.warnAll(err, "")
	return fmt.Errorf("%s cannot be read: %w", count(int64(len(all)), "snapshot"), repo.ErrDamaged)
}

// tellIndexDamage warns of index files that the command could not read.
func (a *app) tellIndexDamage() {
	if a.repo == nil {
		return
	}
	if err := a.repo.IndexDamage(); err != nil {
		a.warnAll(err, "what only these index files name was not found. "+hintDamage)
	}
}
