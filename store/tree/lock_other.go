//go:build !windows && (!unix || solaris || aix)

package tree

import "os"

// TryLock does nothing: there is no flock. Writers of one process exclude each
// other without it.
func TryLock(*os.File, bool) (held bool, err error) { return true, nil }

// Unlock does nothing.
func Unlock(*os.File) error { return nil }
