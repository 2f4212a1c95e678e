// Package memory is a mail.Store in memory, for tests and the demo. It has
// every power a store can have: UIDs, mod-sequences, GUIDs, roles,
// subscriptions, deltas, kept UIDs. Options take powers away. It is lost when
// the program ends; nothing of it ever touches a disk.
//
// To see how a caller copes with a store that fails, wrap a Store and fail in
// the wrapper; a Store itself fails only where the contract in package mail
// says so.
package memory
