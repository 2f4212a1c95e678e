package config

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Secret says where a password is; at most one of the five. It never holds
// the password.
type Secret struct {
	File       string   `toml:"password_file"`       // all of the file, without its last line end
	Command    []string `toml:"password_command"`    // program and arguments; what it prints; no shell
	Env        string   `toml:"password_env"`        // the name of an environment variable
	Credential string   `toml:"password_credential"` // a systemd credential: a file in $CREDENTIALS_DIRECTORY
	Prompt     bool     `toml:"password_prompt"`     // ask on the terminal
}

// ErrNoSecret says that no source of a secret is configured.
var ErrNoSecret = errors.New("no password is configured")

// maxSecret bounds a secret, in octets; long tokens have a few thousand.
const maxSecret = 64 << 10

// IsZero reports whether no source is set.
func (s Secret) IsZero() bool { return s.count() == 0 }

// IsStored reports whether the secret comes as text with a line end, from a file or a command. What is in a variable or
// typed is the secret to the letter.
func (s Secret) IsStored() bool {
	return s.File != "" || len(s.Command) > 0 || s.Credential != ""
}

func (s Secret) count() int {
	n := 0
	for _, set := range []bool{s.File != "", len(s.Command) > 0, s.Env != "", s.Credential != "", s.Prompt} {
		if set {
			n++
		}
	}
	return n
}

func (s Secret) check() error {
	switch {
	case s.count() > 1:
		return fmt.Errorf("more than one source of a password is set: %s", s)
	case len(s.Command) > 0 && s.Command[0] == "":
		return fmt.Errorf("password_command names no program")
	case s.Credential != filepath.Base(s.Credential) && s.Credential != "", s.Credential == "..":
		return fmt.Errorf("password_credential %q is no plain name", s.Credential)
	}
	return nil
}

// String names the source, never the secret.
func (s Secret) String() string {
	var words []string
	if s.File != "" {
		words = append(words, "file "+s.File)
	}
	if len(s.Command) > 0 {
		words = append(words, "command "+s.Command[0]) // its arguments may hold what is nobody's business
	}
	if s.Env != "" {
		words = append(words, "environment "+s.Env)
	}
	if s.Credential != "" {
		words = append(words, "systemd credential "+s.Credential)
	}
	if s.Prompt {
		words = append(words, "prompt")
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

// Asker is what a Secret may need of its surroundings.
type Asker struct {
	Getenv func(string) string                                     // nil: the process's
	Prompt func(ctx context.Context, label string) ([]byte, error) // nil: there is nobody to ask
	Note   func(note string)                                       // a warning for the user; nil: dropped
	Stderr io.Writer                                               // what a command says beside the password; nil: dropped
}

// Read reads the secret; label says what for, as in "the account alice". One
// line end is cut off the end of what a file or a command holds. Errors name
// the source and never what it held.
func (s Secret) Read(ctx context.Context, label string, ask Asker) (string, error) {
	if ask.Getenv == nil {
		ask.Getenv = os.Getenv
	}
	if ask.Note == nil {
		ask.Note = func(string) {}
	}
	var secret []byte
	var err error
	switch {
	case s.count() > 1:
		err = s.check()
	case s.File != "":
		secret, err = readSecretFile(expandHome(s.File, ask.Getenv), ask.Note)
	case len(s.Command) > 0:
		secret, err = runSecret(ctx, s.Command, ask.Stderr)
	case s.Env != "":
		if secret = []byte(ask.Getenv(s.Env)); len(secret) == 0 {
			err = fmt.Errorf("environment variable %s is not set", s.Env)
		}
	case s.Credential != "":
		dir := ask.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			err = errors.New("CREDENTIALS_DIRECTORY is not set; systemd sets it for LoadCredential=")
		} else {
			secret, err = readSecretFile(filepath.Join(dir, s.Credential), func(string) {})
		}
	case s.Prompt && ask.Prompt == nil:
		err = errors.New("there is no terminal to ask on")
	case s.Prompt:
		secret, err = ask.Prompt(ctx, label)
	default:
		err = ErrNoSecret
	}
	if err != nil {
		return "", fmt.Errorf("read the password of %s: %w", label, err)
	}
	if s.IsStored() {
		secret = bytes.TrimSuffix(bytes.TrimSuffix(secret, []byte("\n")), []byte("\r"))
	}
	if len(secret) == 0 {
		return "", fmt.Errorf("read the password of %s: %s is empty", label, s)
	}
	return string(secret), nil
}

func readSecretFile(file string, note func(string)) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", file)
	}
	if mode := info.Mode().Perm(); info.Mode().IsRegular() && mode&0o077 != 0 && runtime.GOOS != "windows" {
		note(fmt.Sprintf("others can read the password in %s (mode %04o); chmod 0600 it", file, mode))
	}
	return readLimited(f)
}

// runSecret runs the program and takes what it prints. Its standard input is the
// process's, so that it can ask for a passphrase.
func runSecret(ctx context.Context, argv []string, stderr io.Writer) ([]byte, error) {
	var secret limited
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, &secret, stderr
	cmd.WaitDelay = time.Second // for children of its own that keep its output open
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case secret.overflow:
		return nil, errTooLarge
	case err != nil:
		return nil, fmt.Errorf("run %s: %w", argv[0], err)
	}
	return secret.bytes, nil
}

var errTooLarge = fmt.Errorf("it is larger than %d octets", maxSecret)

// limited takes no more than a secret can have. It embeds no bytes.Buffer, whose
// ReadFrom would take everything.
type limited struct {
	bytes    []byte
	overflow bool
}

func (l *limited) Write(p []byte) (int, error) {
	if len(l.bytes)+len(p) > maxSecret {
		l.overflow = true
		return 0, errTooLarge
	}
	l.bytes = append(l.bytes, p...)
	return len(p), nil
}

func readLimited(r io.Reader) ([]byte, error) {
	secret, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	if err == nil && len(secret) > maxSecret {
		err = errTooLarge
	}
	return secret, err
}

func expandHome(path string, getenv func(string) string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	if home := getenv("HOME"); ok && home != "" {
		return filepath.Join(home, rest)
	}
	return path
}
