package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/term"
)

// console is a terminal on which a program runs.
type console struct {
	t      *testing.T
	keys   *os.File // what is typed and what is shown
	screen *os.File // what the program has for its streams
	shown  strings.Builder
}

func newConsole(t *testing.T) *console {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals can be made: %v", err)
	}
	t.Cleanup(func() { keys.Close() })
	var number, locked int32
	for request, arg := range map[uintptr]*int32{syscall.TIOCGPTN: &number, syscall.TIOCSPTLCK: &locked} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, keys.Fd(), request, uintptr(unsafe.Pointer(arg))); errno != 0 {
			t.Fatalf("make a terminal: %v", errno)
		}
	}
	screen, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	return &console{t: t, keys: keys, screen: screen}
}

// start runs a program of which this is the controlling terminal.
func (c *console) start(program string, env []string, args ...string) *exec.Cmd {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), program, args...)
	cmd.Env = env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.screen, c.screen, c.screen
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	return cmd
}

// await reads what is shown until it holds text.
func (c *console) await(text string) {
	c.t.Helper()
	piece := make([]byte, 1024)
	for !strings.Contains(c.shown.String(), text) {
		n, err := c.keys.Read(piece)
		c.shown.Write(piece[:n])
		if err != nil {
			c.t.Fatalf("%q was not shown, but %q: %v", text, c.shown.String(), err)
		}
	}
}

// A signal at a question ends roost at once with the code of the signal, and the terminal echoes again.
func TestSignalAtPrompt(t *testing.T) {
	program := build(t)
	home := t.TempDir()
	env := []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	mail := "maildir:" + filepath.Join(home, "mail")
	if err := os.MkdirAll(filepath.Join(home, "mail", "cur"), 0o700); err != nil {
		t.Fatal(err)
	}
	made := exec.CommandContext(t.Context(), program, "backup", "--from", mail, "-u", "alice")
	made.Env = env
	if out, err := made.CombinedOutput(); err != nil {
		t.Fatalf("backup: %v\n%s", err, out)
	}
	elsewhere := filepath.Join(home, "elsewhere")
	other := exec.CommandContext(t.Context(), program, "init", "-r", elsewhere)
	other.Env = append(env, "ROOST_PASSWORD=secret")
	if out, err := other.CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	for _, tt := range []struct {
		name, prompt, keys string
		code               int
		args               []string
	}{
		{"a password", "password of the repository", "\x03", exitInterrupted, []string{"-r", elsewhere, "snapshots"}},
		{"half a password", "password of the repository", "sec\x03", exitInterrupted, []string{"-r", elsewhere, "snapshots"}},
		{"a password that is typed", "password of the repository", "secret\n", exitOK, []string{"-r", elsewhere, "snapshots"}},
		{"a new password", "password of the new repository", "\x03", exitInterrupted, []string{"-r", elsewhere + "2", "init"}},
		{"a question", "[yes/no]", "\x03", exitInterrupted, []string{"restore", "latest", "--to", mail, "--in-place", "--collisions", "replace"}},
		{"a question that is denied", "[yes/no]", "no\n", exitRefused, []string{"restore", "latest", "--to", mail, "--in-place", "--collisions", "replace"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newConsole(t)
			before := c.settings()
			cmd := c.start(program, env, tt.args...)
			c.await(tt.prompt)
			io.WriteString(c.keys, tt.keys)
			err := cmd.Wait()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if got := cmd.ProcessState.ExitCode(); got != tt.code {
				t.Errorf("exit code %d, want %d; shown: %q", got, tt.code, c.shown.String())
			}
			if after := c.settings(); *after != *before {
				t.Errorf("the terminal is not as it was: %v, want %v", after, before)
			}
		})
	}
}

func (c *console) settings() *term.State {
	c.t.Helper()
	s, err := term.GetState(int(c.screen.Fd()))
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}
