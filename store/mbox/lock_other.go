//go:build !unix || solaris || aix

package mbox

import "os"

// tryLock does nothing: the dotlock must do.
func tryLock(*os.File, bool) (held bool, err error) { return true, nil }

// unlock does nothing.
func unlock(*os.File) error { return nil }
