package config

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestSecretRead(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	closed, open := file("closed", " s3 cret \r\n", 0o600), file("open", "s3cret\n", 0o644)
	file("cred", "s3cret", 0o400)
	large := file("large", strings.Repeat("x", maxSecret+1), 0o600)
	empty := file("empty", "\n", 0o600)
	env := map[string]string{"MAIL_PW": "s3cret", "CREDENTIALS_DIRECTORY": dir}
	tests := []struct {
		name, want, wantErr, note string
		secret                    Secret
	}{
		{name: "file keeps its blanks", secret: Secret{File: closed}, want: " s3 cret "},
		{name: "file open to others", secret: Secret{File: open}, want: "s3cret", note: "mode 0644"},
		{name: "missing file", secret: Secret{File: dir + "/none"}, wantErr: "no such file"},
		{name: "large file", secret: Secret{File: large}, wantErr: "larger than"},
		{name: "empty file", secret: Secret{File: empty}, wantErr: "is empty"},
		{name: "directory", secret: Secret{File: dir}, wantErr: "is a directory"},
		{name: "environment", secret: Secret{Env: "MAIL_PW"}, want: "s3cret"},
		{name: "unset environment", secret: Secret{Env: "NONE"}, wantErr: "NONE is not set"},
		{name: "credential", secret: Secret{Credential: "cred"}, want: "s3cret"},
		{name: "prompt", secret: Secret{Prompt: true}, want: "s3cret"},
		{name: "none", wantErr: "no password is configured"},
		{name: "two", secret: Secret{Env: "MAIL_PW", Prompt: true}, wantErr: "more than one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if runtime.GOOS == "windows" && tt.note != "" {
				t.Skip("no such modes")
			}
			var notes []string
			got, err := tt.secret.Read(t.Context(), "the account alice", Asker{
				Getenv: func(k string) string { return env[k] },
				Prompt: func(context.Context, string) ([]byte, error) { return []byte("s3cret"), nil },
				Note:   func(n string) { notes = append(notes, n) },
			})
			switch {
			case tt.wantErr != "" && (err == nil || !strings.Contains(err.Error(), tt.wantErr)):
				t.Errorf("Read = %v, want an error with %q", err, tt.wantErr)
			case tt.wantErr == "" && (err != nil || got != tt.want):
				t.Errorf("Read = %q, %v, want %q", got, err, tt.want)
			}
			if joined := strings.Join(notes, "\n"); (tt.note == "") != (joined == "") || !strings.Contains(joined, tt.note) {
				t.Errorf("notes %q, want %q", notes, tt.note)
			}
			if err != nil && strings.Contains(err.Error(), "s3") {
				t.Errorf("the error shows the password: %v", err)
			}
		})
	}
}

// A command is run without a shell, and what it says on its standard error is
// not taken for the password.
func TestSecretCommand(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs sh")
	}
	var stderr bytes.Buffer
	ask := Asker{Stderr: &stderr}
	got, err := Secret{Command: []string{"sh", "-c", "echo hello >&2; printf '%s\\n' \"$0\"", "$HOME; x"}}.Read(t.Context(), "x", ask)
	if err != nil || got != "$HOME; x" || stderr.String() != "hello\n" {
		t.Errorf("Read = %q, %v, standard error %q", got, err, stderr.String())
	}
	_, err = Secret{Command: []string{"sh", "-c", "echo s3cret; exit 3"}}.Read(t.Context(), "x", ask)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Read of a failing command = %v", err)
	}
	if _, err = (Secret{Command: []string{"yes"}}).Read(t.Context(), "x", ask); err == nil {
		t.Errorf("a command that prints for ever was taken for a password")
	}
}

func TestSecretPromptNeedsTerminal(t *testing.T) {
	if _, err := (Secret{Prompt: true}).Read(t.Context(), "x", Asker{}); err == nil {
		t.Error("Read without a terminal succeeded")
	}
	if _, err := (Secret{}).Read(t.Context(), "x", Asker{}); !errors.Is(err, ErrNoSecret) {
		t.Errorf("Read of no source = %v, want ErrNoSecret", err)
	}
}

// A key file is made once, is closed to others, and is never made anew over an
// old one: that would lock the repository for ever.
func TestMakeKeyFile(t *testing.T) {
	file := PathsOf(func(k string) string { return map[string]string{"HOME": t.TempDir()}[k] }).KeyFile()
	made, err := MakeKeyFile(file)
	if err != nil || !made {
		t.Fatalf("MakeKeyFile = %v, %v", made, err)
	}
	first, err := Secret{File: file}.Read(t.Context(), "x", Asker{Note: func(n string) { t.Errorf("note: %s", n) }})
	if err != nil || len(first) != 43 {
		t.Fatalf("the key is %d characters, %v, want 43", len(first), err)
	}
	if made, err := MakeKeyFile(file); made || err != nil {
		t.Errorf("MakeKeyFile again = %v, %v", made, err)
	}
	if again, err := (Secret{File: file}).Read(t.Context(), "x", Asker{}); again != first {
		t.Errorf("the key has changed, %v", err)
	}
}

func FuzzSplitCommand(f *testing.F) {
	for _, seed := range []string{`a "b c" 'd\'`, `a\ b`, `"`, ` `} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		words, err := SplitCommand(text)
		if (err == nil) != (len(words) > 0) {
			t.Fatalf("SplitCommand(%q) = %q, %v", text, words, err)
		}
	})
}
