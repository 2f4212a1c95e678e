package eml

import (
	"bufio"
	"crypto/rand"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"

	"roost/store/tree"
)

// slack is how many lines of a sidecar may be overruled before it is written
// anew, beside as many as there are files.
const slack = 1000

// tail is what Append must know of a sidecar, as it was left by our last write.
type tail struct {
	info fs.FileInfo
	tree.Header
}

// takeUID gives e the next UID, or the one it wants if the mailbox keeps UIDs. The
// caller holds the lock.
func (s *Store) takeUID(dir string, wanted uint32, e *entry) error {
	t, err := s.tail(dir)
	if err != nil {
		return err
	}
	e.uid = t.Next
	if t.Keeps && wanted > t.Last && wanted < math.MaxUint32 {
		e.uid = wanted
	}
	for { // somebody else may have put a file there
		if _, err := s.root.Lstat(tree.Join(dir, fileOfUID(e.uid))); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
		e.uid = max(e.uid+1, t.Next)
	}
	if e.uid >= math.MaxUint32-1 {
		return errors.New("no UIDs are left in this mailbox")
	}
	t.Next = max(t.Next, e.uid+1)
	t.Last = max(t.Last, e.uid)
	s.tails[dir] = t
	return nil
}

// tail is what is known of the sidecar, read anew if another process wrote it. A
// directory without one gets one. The caller holds the lock.
func (s *Store) tail(dir string) (tail, error) {
	info, err := s.root.Stat(tree.Join(dir, sidecarFile))
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.found(dir, ""); err != nil {
			return tail{}, err
		}
		return s.tails[dir], nil
	}
	if err != nil {
		return tail{}, err
	}
	if t, ok := s.tails[dir]; ok && os.SameFile(t.info, info) && t.info.Size() == info.Size() {
		return t, nil
	}
	side, err := s.readSidecar(dir)
	if err != nil {
		return tail{}, err
	}
	if side.Validity == 0 || side.torn { // its first or last line is damaged: write it anew
		return s.repair(dir, side)
	}
	t := tail{info, side.Header}
	s.tails[dir] = t
	return t, nil
}

// repair writes a damaged sidecar anew, with all lines that can be read. The
// caller holds the lock.
func (s *Store) repair(dir string, side sidecar) (tail, error) {
	if side.Validity == 0 {
		validity, err := s.newValidity()
		if err != nil {
			return tail{}, err
		}
		side.Validity, side.Next = validity, max(side.Next, 1)
		if side.ID == "" {
			side.ID = rand.Text()
		}
	}
	if err := s.rewrite(dir, &side); err != nil {
		return tail{}, err
	}
	return s.tails[dir], nil
}

// addLines adds lines to the sidecar and makes them durable. The caller holds the
// lock and has called tail.
func (s *Store) addLines(dir, lines string) (err error) {
	if lines == "" {
		return nil
	}
	t := s.tails[dir]
	delete(s.tails, dir) // until all is well
	if t.info, err = tree.Add(s.root, tree.Join(dir, sidecarFile), lines); err != nil {
		return err
	}
	s.tails[dir] = t
	return nil
}

// rewrite replaces the sidecar. The caller holds the lock.
func (s *Store) rewrite(dir string, side *sidecar) error {
	delete(s.tails, dir)
	info, err := tree.Replace(s.root, tree.Join(dir, sidecarFile), func(w *bufio.Writer) error {
		w.WriteString(sidecarMagic + side.Line()) // w keeps its first error
		for _, file := range slices.Sorted(maps.Keys(side.entries)) {
			w.WriteString(side.entries[file].line(file))
		}
		return nil
	})
	if err == nil {
		s.tails[dir] = tail{info, side.Header}
	}
	return err
}
