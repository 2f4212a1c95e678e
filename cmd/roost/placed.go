package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"roost/mailsync"
)

// placedMap writes which message went where, a line each with tabs between the
// columns. The lines go to a temporary file, which takes the place of an older
// map when the run is over: a run that did nothing leaves that alone.
type placedMap struct {
	path string
	file *os.File
	text *bufio.Writer
}

// newPlacedMap begins a map. Its end must be called.
func newPlacedMap(path string) (*placedMap, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-") // mode 0600
	if err != nil {
		return nil, fmt.Errorf("write the map of messages: %w", err)
	}
	m := &placedMap{path: path, file: f, text: bufio.NewWriter(f)}
	m.text.WriteString("mailbox\tkey\tuidvalidity\tuid\tguid\tto\tto_key\twas_there\n")
	return m, nil
}

// add notes a message. An error shows at the end.
func (m *placedMap) add(p mailsync.Placed) {
	fmt.Fprintf(m.text, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t%v\n", printable(string(p.Mailbox)), p.Key, p.UIDValidity, p.UID, printable(p.GUID),
		printable(string(p.To)), printable(string(p.ToKey)), p.Known)
}

// end puts the map in its place, or with keep false drops it.
func (m *placedMap) end(keep bool) error {
	var err error
	if keep {
		err = errors.Join(m.text.Flush(), m.file.Sync())
	}
	err = errors.Join(err, m.file.Close())
	if keep && err == nil {
		err = os.Rename(m.file.Name(), m.path)
	}
	if err != nil || !keep {
		os.Remove(m.file.Name())
	}
	if err != nil {
		return fmt.Errorf("write the map of messages: %w", err)
	}
	return nil
}
