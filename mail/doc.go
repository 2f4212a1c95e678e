// Package mail is the words that all of roost shares: mailbox, message, flags,
// the two seams Source and Store, and the Ledger in which every run must
// balance. It decides nothing and touches no file or network.
package mail
