// Package mailsync makes a store agree with a source: restore, export and
// migrate are this one act. What to do is decided by package plan; here it is
// done, and every message of the source ends in the ledger.
//
// No journal is kept. A run that was cut short costs work, not mail: the next
// one recognises by identity what has arrived. The same holds within a run, if
// a connection breaks and leaves open whether a message was stored: the
// destination is listed again, and only what is not there is sent again.
package mailsync
