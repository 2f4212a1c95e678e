// Package mbox is a mail.Store over mbox files, as mutt, Dovecot, Thunderbird and
// exports write them. It reads mboxrd, mboxo, mboxcl and mboxcl2, and writes
// mboxrd that each of these programs can read.
//
// A path is one file, which is then the only mailbox, INBOX, or a tree of files,
// a mailbox each: NAME, with its children in the directory NAME or, as
// Thunderbird has it, NAME.sbd. See name.go for the spelling of names.
//
// Content is kept byte for byte: what stands between two From_ lines, without
// the quoting. The UID, the size and the internal date of a message that we
// wrote stand in its From_ line (format.go); flags and what else a file cannot
// say stand in a sidecar beside it (sidecar.go). Of messages that other programs
// wrote, flags are those of Status, X-Status and X-Keywords.
//
// Writers hold the locks that are the custom (lock.go). An append that fails is
// cut off again; a file is only ever rewritten as a whole, under another name
// that then takes its place.
package mbox
