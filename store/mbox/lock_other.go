//go:build !linux

package mbox

import (
	"os"

	"roost/store/tree"
)

// tryLock locks f, until its Close. held is false if somebody else has it.
func tryLock(f *os.File, exclusive bool) (held bool, err error) { return tree.TryLock(f, exclusive) }

// unlock gives the lock on f back before its Close.
func unlock(f *os.File) error { return tree.Unlock(f) }
