// Package message knows the bytes of one message: its header, its MIME parts, where to cut it for
// storage, its print, its line ends.
//
// It reads whatever stands there. There is no invalid message: no function here returns an error
// because of what a message holds, and none needs more memory, depth or time than its input is
// long. What it cuts, it cuts exactly: put together again, the pieces are the message, byte for
// byte.
//
// A line ends with LF; a CR before it belongs to the line end; a CR anywhere else is content, as
// Dovecot and Cyrus have it. Only a header without a single LF is read with CR as its line end.
package message
