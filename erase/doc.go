// Package erase takes chosen messages out of all snapshots of accounts, by writing the snapshots anew. It says which of their
// bytes other messages still use; the others stay in the repository until it is pruned. It never touches a source, and
// removes a snapshot only when the one without the messages is there and was read back.
package erase
