//go:build unix

package main

import "syscall"

// noCore has the system write no image of our memory to a file when we crash: keys and mail are in it. Where it is not allowed
// to ask for that, there was no limit to be lowered.
func noCore() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_CORE, &limit) == nil {
		limit.Cur = 0
		syscall.Setrlimit(syscall.RLIMIT_CORE, &limit)
	}
}
