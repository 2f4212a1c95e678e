package tree

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ReadDir calls each with every name in a directory, but "." and "..", until it
// fails. name is good until each returns. It looks at no file, where ReadDir of a
// file that was opened in an os.Root looks at each, and needs no memory.
func ReadDir(dir *os.File, each func(name []byte, kind fs.FileMode) error) error {
	// struct linux_dirent64: d_ino 8, d_off 8, d_reclen 2, d_type 1, d_name
	const reclenAt, typeAt, nameAt = 16, 18, 19
	buffer := make([]byte, 64<<10)
	for {
		n, err := unix.Getdents(int(dir.Fd()), buffer)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "getdents", Path: dir.Name(), Err: err}
		}
		if n == 0 {
			return nil
		}
		for rest := buffer[:n]; len(rest) > 0; {
			if len(rest) < nameAt {
				return &fs.PathError{Op: "getdents", Path: dir.Name(), Err: fs.ErrInvalid}
			}
			length := int(binary.NativeEndian.Uint16(rest[reclenAt:]))
			if length < nameAt || length > len(rest) {
				return &fs.PathError{Op: "getdents", Path: dir.Name(), Err: fs.ErrInvalid}
			}
			name, kind := rest[nameAt:length], rest[typeAt]
			rest = rest[length:]
			if i := bytes.IndexByte(name, 0); i >= 0 {
				name = name[:i]
			}
			if string(name) == "." || string(name) == ".." {
				continue
			}
			mode, err := typeOf(dir, name, kind)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err == nil {
				err = each(name, mode)
			}
			if err != nil {
				return err
			}
		}
	}
}

// typeOf is the type of an entry; it looks at the file where the file system does
// not tell.
func typeOf(dir *os.File, name []byte, kind byte) (fs.FileMode, error) {
	switch kind {
	case unix.DT_REG:
		return 0, nil
	case unix.DT_DIR:
		return fs.ModeDir, nil
	case unix.DT_LNK:
		return fs.ModeSymlink, nil
	case unix.DT_UNKNOWN:
		seen, err := LookAt(dir, string(name))
		switch {
		case err != nil:
			return 0, err
		case seen.Dir:
			return fs.ModeDir, nil
		case seen.Symlink:
			return fs.ModeSymlink, nil
		case seen.Regular:
			return 0, nil
		}
	}
	return fs.ModeIrregular, nil
}
