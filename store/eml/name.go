package eml

import (
	"strings"

	"roost/mail"
	"roost/store/tree"
)

// spelling is how a directory is called after a component of a name.
var spelling = tree.Spelling{}

// find is the directory of a mailbox below the root, and whether it is there.
// If it is not, it is the one to be made.
func (s *Store) find(name mail.Name) (dir string, there bool) {
	if name == "" {
		return "", false
	}
	there = true
	for i, component := range name.Components() {
		if i == 0 && component == string(mail.Inbox) {
			dir, there = s.inbox()
			if !there && name == mail.Inbox && s.holdsMail(".") {
				return ".", true
			}
			continue
		}
		at := tree.Join(dir, spelling.Encode(component))
		if there && !s.isDir(at) {
			// Perhaps somebody else made it, with other escapes.
			odd := component
			if odd == "" || strings.ContainsAny(odd, "/\x00") || odd[0] == '.' || spelling.Decode(odd) != odd || !s.isDir(tree.Join(dir, odd)) {
				there = false
			} else {
				at = tree.Join(dir, odd)
			}
		}
		dir = at
	}
	return dir, there
}

// inbox is the directory called INBOX in any case, and whether it is there.
func (s *Store) inbox() (dir string, there bool) {
	if s.isDir(string(mail.Inbox)) {
		return string(mail.Inbox), true
	}
	entries, _ := s.readDir(".") // that it cannot be read is seen when it is listed
	for _, e := range entries {
		if e.IsDir() && strings.EqualFold(e.Name(), string(mail.Inbox)) {
			return e.Name(), true
		}
	}
	return string(mail.Inbox), false
}

func (s *Store) isDir(dir string) bool {
	info, err := s.root.Lstat(dir)
	return err == nil && info.IsDir()
}
