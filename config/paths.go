package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Paths are the user's directories (XDG Base Directory Specification); "" where
// neither the XDG variable nor HOME is set.
type Paths struct {
	Config string // configuration and the generated key file
	Data   string // the default repository
	Cache  string // what can be made again
}

// PathsOf reads them from the environment.
func PathsOf(getenv func(string) string) Paths {
	dir := func(variable string, below ...string) string {
		if x := getenv(variable); filepath.IsAbs(x) { // a relative one is to be ignored
			return filepath.Join(x, "roost")
		}
		home := getenv("HOME")
		if home == "" {
			home = getenv("USERPROFILE") // Windows
		}
		if home != "" {
			return filepath.Join(append([]string{home}, append(below, "roost")...)...)
		}
		return ""
	}
	return Paths{
		Config: dir("XDG_CONFIG_HOME", ".config"),
		Data:   dir("XDG_DATA_HOME", ".local", "share"),
		Cache:  dir("XDG_CACHE_HOME", ".cache"),
	}
}

// Repository is the default repository, KeyFile the password generated for it.
func (p Paths) Repository() string { return filepath.Join(p.Data, "repository") }

// KeyFile is the file that holds the password generated for the default repository.
func (p Paths) KeyFile() string { return filepath.Join(p.Config, "repository.key") }

// MakeKeyFile generates a password of 256 random bits into file, mode 0600,
// unless the file is there already. It reports whether it made one.
func MakeKeyFile(file string) (made bool, err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return false, fmt.Errorf("make key file: %w", err)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("make key file: %w", err)
	}
	key := make([]byte, 32)
	rand.Read(key) // never fails
	_, err = f.WriteString(base64.RawURLEncoding.EncodeToString(key) + "\n")
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(file) // a cut-off key would lock the repository for ever
		return false, fmt.Errorf("make key file: %w", err)
	}
	return true, nil
}
