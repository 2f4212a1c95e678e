//go:build !linux

package maildir

import "os"

// syncAll makes files durable.
func syncAll(_ *os.File, files []*os.File) error {
	for _, f := range files {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// holdsFiles says that syncAll needs the files open.
const holdsFiles = true
