package mbox

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	temporaryPrefix = ".roost-"
	temporarySuffix = ".tmp"

	// validityFile holds the last UIDVALIDITY given in a tree.
	validityFile = ".roost.validity"

	// slack is how many lines of a sidecar may be overruled before it is written
	// anew, beside as many as there are messages.
	slack = 1000
)

// temporary is a name for a file in dir that is being written.
func temporary(dir string) string {
	return join(dir, temporaryPrefix+rand.Text()+temporarySuffix)
}

// newSidecar is one for a mailbox without messages that have UIDs. The caller
// holds the gate.
func (s *Store) newSidecar() (sidecar, error) {
	validity := uint32(time.Now().Unix())
	if s.single == "" {
		text, err := s.root.ReadFile(validityFile)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return sidecar{}, err
		}
		last, _ := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32) // 0 if it is damaged
		validity = max(validity, uint32(last)+1)
		if err := s.root.WriteFile(validityFile, fmt.Appendln(nil, validity), 0o600); err != nil {
			return sidecar{}, err
		}
	}
	return sidecar{validity: validity, next: 1, id: rand.Text(), entries: make(map[uint32]entry)}, nil
}

// readID is the ID in the first line of a sidecar, "" if there is none.
func (s *Store) readID(file string) (string, error) {
	f, err := s.root.Open(sidecarOf(file))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	line, _, _ := readLine(bufio.NewReader(f)) // a damaged one is seen by those who need it
	var side sidecar
	if first, ok := strings.CutPrefix(string(line), sidecarMagic); ok {
		err = side.parseFirst(first)
	}
	return side.id, err
}

// rewriteSidecar replaces the sidecar of a file. The caller holds the gate.
func (s *Store) rewriteSidecar(file string, side *sidecar) (err error) {
	dir := path.Dir(file)
	written := temporary(dir)
	defer func() {
		if err != nil {
			s.root.Remove(written)
		}
	}()
	uids := make([]uint32, 0, len(side.entries))
	for uid := range side.entries {
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	f, err := s.root.OpenFile(written, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	w.WriteString(side.firstLine())
	for _, uid := range uids {
		w.WriteString(side.entries[uid].line(uid))
	}
	if err := errors.Join(w.Flush(), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := s.root.Rename(written, sidecarOf(file)); err != nil {
		return err
	}
	side.there, side.torn, side.lines = true, false, 1+len(uids)
	return s.syncDir(dir)
}

// addLines adds lines to the sidecar of a file and makes them durable. The caller
// holds the gate, and side is as the sidecar is.
func (s *Store) addLines(file string, side *sidecar, lines []string) (err error) {
	if len(lines) == 0 {
		return nil
	}
	if side.lines += len(lines); side.lines > 2*len(side.entries)+slack {
		return s.rewriteSidecar(file, side)
	}
	f, err := s.root.OpenFile(sidecarOf(file), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := f.WriteString(strings.Join(lines, "")); err != nil {
		f.Truncate(info.Size())
		return err
	}
	return f.Sync()
}

// ensureSidecar makes one if there is none that can be used.
func (s *Store) ensureSidecar(file string, v *view) error {
	if v.side.there && v.side.validity != 0 && !v.side.torn {
		return nil
	}
	if v.side.validity == 0 {
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
