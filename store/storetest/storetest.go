// Package storetest is the conformance suite that every mail.Store passes:
// each sentence of the contracts in package mail is a subtest named in words.
//
// It presumes of a store only what the contracts say. What a store does
// otherwise and may (other line ends, no keywords, names it cannot keep) is
// declared in Options; what is declared is checked too.
package storetest

import (
	"context"
	"testing"
	"time"

	"roost/mail"
)

// Options say what is particular about a store. The zero value is a store that
// keeps every byte, flag and name.
type Options struct {
	// Reopen closes s and opens the same store again. nil: not tested.
	Reopen func(t *testing.T, s mail.Store) mail.Store

	// Settle lets so much time pass for the store that two changes, one
	// before and one after it, cannot look as one. nil: nothing to do.
	Settle func(t *testing.T, s mail.Store)

	// Stored is what Fetch yields of a message that was appended. nil: the same bytes.
	Stored func(raw []byte) []byte

	// Refuses reports whether the store does not take a message with these bytes. nil: it takes all.
	Refuses func(raw []byte) bool

	// RefusesName reports whether the store cannot have a mailbox of this name. nil: it can have all.
	RefusesName func(name mail.Name) bool

	// LosesFlag reports whether the store cannot keep a flag. nil: it keeps all.
	LosesFlag func(flag string) bool

	// LosesDate reports whether the store cannot keep an InternalDate. nil: it keeps all.
	LosesDate func(date time.Time) bool

	KeepsParents bool // Delete of a mailbox with others below it is ErrUnsupported, and changes nothing
	FoldsCase    bool // mailboxes whose names differ only in case are the same one
	Many         int  // messages of the test with many; default 500
	Large        int  // octets of the large message; default 8 MiB
}

// Run tests the stores that open returns. Each call of open gives a new, empty
// store, apart from mailboxes that every account of its kind has, and closes
// it when the test ends.
func Run(t *testing.T, open func(t *testing.T) mail.Store, options Options) {
	t.Helper()
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			c.run(&trial{reporter: t, t: t, open: open, store: open(t), Options: options})
		})
	}
}

// check is one subtest. Its name is a sentence of the contract.
type check struct {
	name string
	run  func(*trial)
}

func checks() []check {
	var all []check
	all = append(all, mailboxChecks()...)
	all = append(all, nameChecks()...)
	all = append(all, messageChecks()...)
	all = append(all, flagChecks()...)
	all = append(all, fetchChecks()...)
	all = append(all, changesChecks()...)
	all = append(all, effectChecks()...)
	all = append(all, powerChecks()...)
	all = append(all, strainChecks()...)
	return all
}

// reporter is what a check needs of a test. The suite's own test puts a
// recorder in its place, to see checks fail.
type reporter interface {
	Helper()
	Context() context.Context
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Skip(args ...any)
}

// trial is one run of a check against a store of its own.
type trial struct {
	reporter
	Options
	t     *testing.T // for open, Reopen and Settle only
	open  func(t *testing.T) mail.Store
	store mail.Store
}

func (c *trial) settle() {
	if c.Settle != nil {
		c.Settle(c.t, c.store)
	}
}

func (c *trial) stored(raw []byte) []byte {
	if c.Stored == nil {
		return raw
	}
	return c.Stored(raw)
}

func (c *trial) keeps(flag string) bool { return c.LosesFlag == nil || !c.LosesFlag(flag) }
