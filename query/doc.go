// Package query says which mailboxes and messages are meant: masks and roles
// for mailboxes; a period, a size and attachments for messages; the language in
// which users ask for messages (doc/query.md); and the texts in which they write
// times and sizes. It is pure. A selection is a view: what
// it leaves out was not looked at, and is never taken for deleted.
package query
