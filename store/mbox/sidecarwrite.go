package mbox

import (
	"bufio"
	"crypto/rand"
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"roost/store/tree"
)

const (
	// validityFile holds the last UIDVALIDITY given in a tree.
	validityFile = ".roost.validity"

	// slack is how many lines of a sidecar may be overruled before it is written
	// anew, beside as many as there are messages.
	slack = 1000
)

// newSidecar is one for a mailbox without messages that have UIDs. The caller
// holds the gate.
func (s *Store) newSidecar() (side sidecar, err error) {
	validity := uint32(time.Now().Unix())
	if s.single == "" {
		if validity, err = tree.NextValidity(s.root, validityFile, time.Now().Unix()); err != nil {
			return sidecar{}, err
		}
	}
	return sidecar{Header: tree.Header{Validity: validity, Next: 1, ID: rand.Text()}, entries: make(map[uint32]entry)}, nil
}

// readHeader is the first line of a sidecar, zero if there is none.
func (s *Store) readHeader(file string) (tree.Header, error) {
	f, err := tree.Open(s.root, sidecarOf(file))
	if errors.Is(err, fs.ErrNotExist) {
		return tree.Header{}, nil
	}
	if err != nil {
		return tree.Header{}, err
	}
	defer f.Close()
	return tree.ReadHeader(f, sidecarMagic)
}

// rewriteSidecar replaces the sidecar of a file. The caller holds the gate.
func (s *Store) rewriteSidecar(file string, side *sidecar) error {
	_, err := tree.Replace(s.root, sidecarOf(file), func(w *bufio.Writer) error {
		w.WriteString(sidecarMagic + side.Line()) // w keeps its first error
		for _, uid := range slices.Sorted(maps.Keys(side.entries)) {
			w.WriteString(side.entries[uid].line(uid))
		}
		return nil
	})
	side.there, side.torn, side.lines = true, false, 1+len(side.entries)
	return err
}

// addLines adds lines to the sidecar of a file and makes them durable. The caller
// holds the gate, and side is as the sidecar is.
func (s *Store) addLines(file string, side *sidecar, lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	if side.lines += len(lines); side.lines > 2*len(side.entries)+slack {
		return s.rewriteSidecar(file, side)
	}
	_, err := tree.Add(s.root, sidecarOf(file), strings.Join(lines, ""))
	return err
}

// ensureSidecar makes one if there is none that can be used.
func (s *Store) ensureSidecar(file string, v *view) error {
	if v.side.there && v.side.Validity != 0 && !v.side.torn {
		return nil
	}
	if v.side.Validity == 0 {
		if err := checkLength(file); err != nil {
			return err
		}
		side, err := s.newSidecar()
		if err != nil {
			return err
		}
		v.side = side
	}
	if err := s.rewriteSidecar(file, &v.side); err != nil {
		return err
	}
	v.number()
	return nil
}
