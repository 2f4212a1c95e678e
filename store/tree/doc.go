// Package tree is what the drivers that keep mail in files share: how the name of
// a mailbox is spelled as a file, how the columns and the first line of a sidecar
// are written, how a file is replaced and made durable, and when two looks at it
// saw the same. It knows nothing of messages.
package tree
