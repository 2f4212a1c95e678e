package tree

import (
	"errors"
	"math"
	"os"

	"golang.org/x/sys/windows"
)

// farOffset is where the one octet stands that is locked. No file reaches so far:
// what Windows locks, no other handle may read.
const farOffset = math.MaxInt32

func far() *windows.Overlapped { return &windows.Overlapped{OffsetHigh: farOffset} }

// TryLock locks f against other programs, until its Close. held is false if one of
// them has it.
func TryLock(f *os.File, exclusive bool) (held bool, err error) {
	how := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if exclusive {
		how |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), how, 0, 1, 0, far())
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION), errors.Is(err, windows.ERROR_IO_PENDING):
		return false, nil
	}
	return false, err
}

// Unlock gives the lock on f back before its Close.
func Unlock(f *os.File) error {
	return windows.UnlockFileEx(windows.Handle(f.Fd()), 0, 1, 0, far())
}
