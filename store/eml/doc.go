// Package eml is a mail.Store in a tree of .eml files: what other programs
// export and import, and what a restored snapshot looks like. It reads any such
// tree, and writes what any such program can read.
//
//	a/b        the directory a/b below the root
//	INBOX      the directory INBOX; the root itself if messages lie there and there is no INBOX
//	a message  a file NAME.eml, byte for byte; ours are called by their UID, ten digits
//
// A directory is a mailbox if it holds a message or a sidecar; other
// directories only hold mailboxes. Hidden files and directories, and files with
// other names, are not mail and are never touched.
//
// What a file cannot say (flags, UID, internal date, GUID) stands beside it in
// the directory's sidecar; see sidecar.go for its format. Without one, the
// internal date is the file's time of modification, keys are file names, and
// there are no flags and UIDs. A file that somebody else put beside ours is so
// too, until its flags are set; the others keep their UIDs.
//
// Writers exclude each other by a lock on .roost.lock in the root (flock, on
// Windows LockFileEx; on Solaris and AIX within one process only). Readers need no
// lock.
package eml
