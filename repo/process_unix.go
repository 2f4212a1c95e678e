//go:build !windows

package repo

import (
	"errors"
	"syscall"
)

// processExists reports whether a process of that number runs on this machine, whoever owns it.
func processExists(pid int) bool {
	if pid <= 0 {
		return false
	}
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}
