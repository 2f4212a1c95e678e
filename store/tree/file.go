package tree

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

const (
	temporaryPrefix = ".roost-"
	temporarySuffix = ".tmp"
)

// Temporary is a name for a file in dir that is being written.
func Temporary(dir string) string {
	return Join(dir, temporaryPrefix+rand.Text()+temporarySuffix)
}

// IsTemporary reports whether Temporary makes names like that of file.
func IsTemporary(file string) bool {
	return strings.HasPrefix(file, temporaryPrefix) && strings.HasSuffix(file, temporarySuffix)
}

// Replace puts what write writes in the place of a file, whole or not at all, and
// makes it durable. It returns how the file looks then.
func Replace(root *os.Root, file string, write func(w *bufio.Writer) error) (info fs.FileInfo, err error) {
	written := Temporary(path.Dir(file))
	f, err := root.OpenFile(written, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			root.Remove(written)
		}
	}()
	w := bufio.NewWriter(f)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	info, errStat := f.Stat()
	if err := errors.Join(err, errStat, f.Close()); err != nil {
		return nil, err
	}
	if err := root.Rename(written, file); err != nil {
		return nil, err
	}
	return info, SyncDir(root, path.Dir(file))
}

// Add adds text to the end of a file that is there and makes it durable. If that
// fails, the file is as it was. It returns how the file looks then.
func Add(root *os.Root, file, text string) (info fs.FileInfo, err error) {
	f, err := root.OpenFile(file, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	before, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if _, err = io.WriteString(f, text); err == nil {
		err = f.Sync()
	}
	if err != nil {
		return nil, errors.Join(err, f.Truncate(before.Size()))
	}
	return f.Stat()
}

// NextValidity is a UIDVALIDITY greater than any before: now, in seconds since
// 1970, or one more than the last that was given, which stands in file. It is
// durable before it is returned. The caller holds a lock against others who ask.
func NextValidity(root *os.Root, file string, now int64) (uint32, error) {
	text, err := ReadFile(root, file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	last, _ := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32) // 0 if it is damaged
	validity := max(uint32(now), uint32(last)+1, 1)
	_, err = Replace(root, file, func(w *bufio.Writer) error {
		_, err := fmt.Fprintln(w, validity)
		return err
	})
	return validity, err
}
