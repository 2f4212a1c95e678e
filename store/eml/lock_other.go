//go:build !unix || solaris || aix

package eml

import "os"

// tryLock does nothing: there is no flock. Writers of one process still exclude
// each other.
func tryLock(*os.File) (held bool, err error) { return true, nil }

// syncDir does nothing: directories cannot be synced.
func (s *Store) syncDir(string) error { return nil }
