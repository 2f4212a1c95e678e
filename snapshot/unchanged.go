package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"

	"roost/repo"
)

// ErrUnchanged says that a snapshot would hold what the one before it holds.
var ErrUnchanged = errors.New("nothing changed since the last snapshot")

// SkipUnchanged makes Save return ErrUnchanged, and store nothing, if all but when the run was and its books stands in the
// snapshot before.
func (t *Tree) SkipUnchanged() { t.lazy = true }

// holds reports whether files are those of the account's directory, and a says of the account what that does; but for the run's
// own time, and its books.
func (s *Source) holds(files map[string]repo.Node, a *Account) bool {
	if s.account.Layout != a.Layout || s.account.Name != a.Name || s.account.Identity != a.Identity || !sameJSON(s.account.Selection, a.Selection) {
		return false
	}
	held := 0
	for _, n := range s.root.Nodes {
		if n.Name == accountFile || n.Name == ledgerFile {
			continue
		}
		f, ok := files[n.Name]
		if !ok || f.Type != n.Type || !slices.Equal(f.Content, n.Content) || (f.Subtree == nil) != (n.Subtree == nil) ||
			f.Subtree != nil && *f.Subtree != *n.Subtree {
			return false
		}
		held++
	}
	return held == len(files)
}

func sameJSON(a, b []byte) bool {
	var left, right bytes.Buffer
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	return json.Compact(&left, a) == nil && json.Compact(&right, b) == nil && bytes.Equal(left.Bytes(), right.Bytes())
}
