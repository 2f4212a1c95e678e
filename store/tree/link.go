package tree

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// What a symbolic link may not lead to. Neither is followed: what is outside the store was not given to us, and may be in it by
// another name. Whoever lists must tell of it, so that no mail is left out in silence.
var (
	ErrOutside  = errors.New("is a symbolic link that leads out of the store; give what it leads to as a store of its own")
	ErrDangling = errors.New("is a symbolic link that leads nowhere")
)

// Astray returns ErrOutside or ErrDangling for a symbolic link that leads out of root or nowhere, nil for others, and for one that
// leads out to something that does not concern the store. What cannot be looked at is an error of its own.
func Astray(root *os.Root, name string, concerns func(fs.FileInfo) bool) error {
	if _, err := root.Stat(name); err == nil {
		return nil
	}
	info, err := os.Stat(filepath.Join(root.Name(), filepath.FromSlash(name)))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrDangling
	case err != nil:
		return err
	case !concerns(info):
		return nil
	}
	return ErrOutside
}
