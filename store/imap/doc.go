// Package imap is the mail.Store on any IMAP server. It uses what the server has of CONDSTORE, QRESYNC, LIST-STATUS,
// UIDPLUS, MOVE and the like, and gives the same result without.
//
// Reading changes nothing on the server: mailboxes are opened by EXAMINE, bodies are fetched by BODY.PEEK. What is listed
// is held against the number of messages that the server says it has. Nothing is concluded from an answer that did not
// come: a message is gone only if the server, asked for its UID again, does not know it.
package imap
