// Package mbox is a mail.Store over mbox files.
//
// FIXME: the package comment that stood here (20 lines) was overwritten by mistake
// at 11:33:12 and is lost. Write it again before this is committed.
package mbox
