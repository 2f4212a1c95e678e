package mbox

import (
	"strings"

	"roost/mail"
	"roost/store/tree"
)

// spelling is how a file is called after a component of a name.
var spelling = tree.Spelling{Reserved: isReserved}

// isReserved reports whether a file with this extension is no mailbox.
func isReserved(extension string) bool {
	switch strings.ToLower(extension) {
	case directorySuffix, lockSuffix, ".msf", ".dat":
		return true
	}
	return false
}

const (
	directorySuffix = ".sbd"
	lockSuffix      = ".lock"

	// maxComponent is how many octets of a file name are left when the name of the
	// sidecar or a temporary file is made of it.
	maxComponent = 255 - len(".") - len(sidecarSuffix)
)

// dirs are the directories in which the file of a mailbox may stand, those of its
// parents first: there is more than one if somebody uses both a.sbd and a. made
// is the one to make if there is none.
func (s *Store) dirs(parents []string) (dirs []string, made string) {
	dirs, made = []string{"."}, "."
	for i, component := range parents {
		spellings := s.spellings(component, i == 0)
		var below []string
		for _, dir := range dirs {
			for _, file := range spellings {
				for _, d := range []string{tree.Join(dir, file+directorySuffix), tree.Join(dir, file)} {
					if s.isDir(d) {
						below = append(below, d)
					}
				}
			}
		}
		made = tree.Join(made, spelling.Encode(component)+directorySuffix)
		if len(below) > 0 {
			made = below[0]
		}
		dirs = below
	}
	return dirs, made
}

// spellings are the files that a component may be: ours, somebody else's, and
// INBOX in any case.
func (s *Store) spellings(component string, first bool) []string {
	all := []string{spelling.Encode(component)}
	if component != all[0] && component != "" && component[0] != '.' && !strings.ContainsAny(component, "/\x00") && spelling.Decode(component) == component {
		all = append(all, component)
	}
	if !first || component != string(mail.Inbox) {
		return all
	}
	entries, _ := s.readDir(".") // that it cannot be read is seen when it is listed
	for _, e := range entries {
		if name := strings.TrimSuffix(e.Name(), directorySuffix); name != all[0] && strings.EqualFold(name, component) {
			all = append(all, name)
		}
	}
	return all
}

// find is the file of a mailbox, and whether it is there. If it is not, it is the
// one to be made.
func (s *Store) find(name mail.Name) (file string, there bool) {
	if s.single != "" {
		return s.single, name == mail.Inbox
	}
	components := name.Components()
	if len(components) == 0 {
		return "", false
	}
	dirs, made := s.dirs(components[:len(components)-1])
	last := components[len(components)-1]
	for _, dir := range dirs {
		for _, spelling := range s.spellings(last, len(components) == 1) {
			if info, err := s.root.Lstat(tree.Join(dir, spelling)); err == nil && info.Mode().IsRegular() {
				return tree.Join(dir, spelling), true
			}
		}
	}
	return tree.Join(made, spelling.Encode(last)), false
}

// below are the directories that hold what is below a mailbox.
func (s *Store) below(name mail.Name) []string {
	if s.single != "" {
		return nil
	}
	dirs, _ := s.dirs(name.Components())
	return dirs
}

func (s *Store) isDir(dir string) bool {
	info, err := s.root.Lstat(dir)
	return err == nil && info.IsDir()
}
