// Package imap is the wire of IMAP (RFC 3501, RFC 9051): a tolerant tokenizer, an encoder, and a client connection.
//
// It knows commands and responses and nothing of what a mail store is. Two rules hold throughout:
//
//   - What the other side sends is never trusted and never fatal without need. A response that cannot be understood is
//     skipped to the end of its line; only a broken framing (a literal cut short, a line without end) ends a connection.
//   - Names of mailboxes are the octets that stand on the wire. Decoding them (DecodeMailbox) is up to the caller, so that
//     a name in invalid modified UTF-7 can still be selected.
//
// The Reader and the Writer serve both ends of a connection; the Client is built on them.
package imap
