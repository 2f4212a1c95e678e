//go:build unix

package tree

import "syscall"

const nonBlocking = syscall.O_NONBLOCK
