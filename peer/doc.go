// Package peer starts the real programs that tests compare roost with: Dovecot and Cyrus as servers on loopback, restic
// and mbsync as commands. It is for tests only: no package of the program imports it, and so it may import testing.
//
// Each server is a process of its own below a fresh directory, listens on 127.0.0.1 only, on ports that were free, and
// is stopped when its test ends; its log is shown if the test failed. Nothing outside that directory is touched, and
// any number may run beside each other.
//
// As root, a server's workers run as nobody (Dovecot's helpers as the users that its package made), as they would on a
// real host. Without root everything runs as the caller; that works as well, except that files of several users cannot
// be told apart.
//
// A program that is not installed skips the test with a hint, and fails it where the environment has CI=true.
// script/setup installs them all.
package peer
