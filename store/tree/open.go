package tree

import (
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Open opens a file for reading that must be a regular one. To open a FIFO would wait for its writer, without end and deaf
// to signals; here it is an error at once.
func Open(root *os.Root, file string) (*os.File, error) {
	f, _, err := OpenStat(root, file)
	return f, err
}

// OpenStat is Open that also says how the file looks.
func OpenStat(root *os.Root, file string) (*os.File, fs.FileInfo, error) {
	f, err := root.OpenFile(file, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: file, Err: fmt.Errorf("is no regular file but %s", info.Mode().Type())}
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// ReadFile reads a whole file that must be a regular one.
func ReadFile(root *os.Root, file string) ([]byte, error) {
	f, err := Open(root, file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}
