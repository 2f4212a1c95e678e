package mbox

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// fOFDSetLock is F_OFD_SETLK of Linux: a lock that other programs see as one of
// fcntl, but which belongs to the open file, so that no other Close ends it.
const fOFDSetLock = 37

// tryLock locks f, until its Close. held is false if somebody else has it.
func tryLock(f *os.File, exclusive bool) (held bool, err error) {
	kind := int16(syscall.F_RDLCK)
	if exclusive {
		kind = syscall.F_WRLCK
	}
	err = syscall.FcntlFlock(f.Fd(), fOFDSetLock, &syscall.Flock_t{Type: kind, Whence: io.SeekStart})
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EINTR):
		return false, nil
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENOLCK), errors.Is(err, syscall.ENOSYS):
		return true, nil // a file system without locks: the dotlock must do
	}
	return false, err
}

// unlock gives the lock on f back before its Close.
func unlock(f *os.File) error {
	err := syscall.FcntlFlock(f.Fd(), fOFDSetLock, &syscall.Flock_t{Type: syscall.F_UNLCK, Whence: io.SeekStart})
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOLCK) || errors.Is(err, syscall.ENOSYS) {
		return nil
	}
	return err
}
