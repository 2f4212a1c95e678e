// Package query says which mailboxes and messages are meant: masks and roles
// for mailboxes; a period, a size and attachments for messages; and the texts
// in which users write times and sizes. It is pure. A selection is a view: what
// it leaves out was not looked at, and is never taken for deleted.
package query
