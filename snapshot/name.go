package snapshot

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"roost/mail"
)

// longestName is the longest file name that is used as it is, in bytes. File
// systems take 255; restic adds suffixes while it restores.
const longestName = 200

// FileName is the file name of one component of a mailbox's or account's name
// (doc/format.md, "Mailbox paths"). Different components have different file
// names, none is empty, "." or "..", and none holds a separator of any system.
func FileName(component string) string {
	switch component {
	case "":
		return "%"
	case "%":
		return "%25"
	}
	escaped := string(mail.Name("").Child(component))
	if component != string(mail.Inbox) && escaped == string(mail.Inbox) {
		escaped = component // NameOf folds a top-level inbox; as a file name each spelling is its own
	}
	var b strings.Builder
	for i := 0; i < len(escaped); i++ {
		c := escaped[i]
		switch {
		case strings.IndexByte(`\:*?"<>|`, c) >= 0,
			i == 0 && c == '.',
			i == 0 && strings.HasPrefix(escaped, bucketPrefix),
			i == len(escaped)-1 && (c == '.' || c == ' '):
			b.WriteByte('%')
			b.WriteString(strings.ToUpper(hex.EncodeToString([]byte{c})))
		default:
			b.WriteByte(c)
		}
	}
	name := b.String()
	if len(name) <= longestName {
		return name
	}
	digest := sha256.Sum256([]byte(name))
	cut := longestName - 20
	for !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + "~" + hex.EncodeToString(digest[:8])
}

// boxPath is the directories that lead to a mailbox, below mail/ or meta/.
func boxPath(name mail.Name) []string {
	path := name.Components()
	for i, c := range path {
		path[i] = FileName(c)
	}
	return path
}
