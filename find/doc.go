// Package find finds the messages that a query means, in one snapshot or in all of an account: it
// follows each message from the first snapshot that holds it to the last, and reads of each part of a
// mailbox that did not change between two snapshots once. It uses no index, holds one part of a
// mailbox per core, and changes nothing. What cannot be looked at is said, and never taken for "not meant".
package find
