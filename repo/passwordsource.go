package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrNoPassword says that the environment names no password.
var ErrNoPassword = errors.New("no password is set")

// utf8BOM is what some editors put in front of a password file; restic passes it over, so do we.
const utf8BOM = "\xef\xbb\xbf"

// PasswordFromEnv finds the password as restic does, by the first of these variables that is not empty:
//
//	RESTIC_PASSWORD          the password
//	RESTIC_PASSWORD_FILE     a file whose contents, without white space around, are the password
//	RESTIC_PASSWORD_COMMAND  a command that prints it; split into words by SplitCommand and run without a shell
//
// Both file and command set is an error, as for restic. ErrNoPassword says that none is set.
func PasswordFromEnv(ctx context.Context, getenv func(string) string) (Password, error) {
	file, command := getenv("RESTIC_PASSWORD_FILE"), getenv("RESTIC_PASSWORD_COMMAND")
	if file != "" && command != "" {
		return Password{}, errors.New("both RESTIC_PASSWORD_FILE and RESTIC_PASSWORD_COMMAND are set")
	}
	switch {
	case command != "":
		return PasswordFromCommand(ctx, command)
	case file != "":
		return PasswordFromFile(file)
	}
	if p := getenv("RESTIC_PASSWORD"); p != "" {
		return NewPassword(p), nil
	}
	return Password{}, ErrNoPassword
}

// PasswordFromFile reads a password file. White space around the password does not count.
func PasswordFromFile(path string) (Password, error) {
	p, err := os.ReadFile(path)
	if err != nil {
		return Password{}, fmt.Errorf("read password file: %w", err)
	}
	secret := strings.TrimSpace(strings.TrimPrefix(string(p), utf8BOM))
	if !utf8.ValidString(secret) {
		return Password{}, fmt.Errorf("read password file %s: not UTF-8", path)
	}
	if secret == "" {
		return Password{}, fmt.Errorf("read password file %s: it is empty", path)
	}
	return NewPassword(secret), nil
}

// PasswordFromCommand runs a command and takes what it prints, without white space around, as password.
// The command may talk to the user: it has our standard input and error.
func PasswordFromCommand(ctx context.Context, command string) (Password, error) {
	words, err := SplitCommand(command)
	if err != nil {
		return Password{}, fmt.Errorf("password command: %w", err)
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, &out, os.Stderr
	if err := cmd.Run(); err != nil {
		return Password{}, fmt.Errorf("password command %s: %w", words[0], err)
	}
	secret := strings.TrimSpace(out.String())
	if secret == "" {
		return Password{}, fmt.Errorf("password command %s: it printed nothing", words[0])
	}
	return NewPassword(secret), nil
}

// SplitCommand splits a command line into words as restic does, which is not quite as a shell does: words end at white
// space, at quotes and, outside of quotes, at backslashes. Within quotes all characters are taken as they are; a
// quotation mark behind a backslash does not end the quotes, and the backslash stays. Nothing is expanded.
func SplitCommand(s string) ([]string, error) {
	var words []string
	var quote, last rune // the quotation mark that is open, or 0; the character before, unless it was such a mark
	begin := -1
	for i, c := range s {
		ends := false
		switch {
		case last != '\\' && quote != 0 && c == quote:
			quote, ends = 0, true
		case last != '\\' && quote == 0 && (c == '\'' || c == '"'):
			quote, ends = c, true
		default:
			last = c
			ends = quote == 0 && (c == '\\' || unicode.IsSpace(c))
		}
		if ends && begin >= 0 {
			words = append(words, s[begin:i])
			begin = -1
		} else if !ends && begin < 0 {
			begin = i
		}
	}
	if begin >= 0 {
		words = append(words, s[begin:])
	}
	if quote != 0 {
		return nil, fmt.Errorf("split command: %c is not closed", quote)
	}
	if len(words) == 0 {
		return nil, errors.New("split command: it is empty")
	}
	return words, nil
}
