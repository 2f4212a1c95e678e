package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
)

// Whatever roost writes, of keys, configuration, repository and restored mail, its user alone can read, though the umask allows
// everybody everything.
func TestFilesAreTheUsersOwn(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	f := newForger(t)
	dest := filepath.Join(f.dir, "restored")
	if err := os.Mkdir(dest, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"maildir", "eml", "mbox"} {
		f.exits(exitOK, "restore", "latest:alice", "--to", kind+":"+filepath.Join(dest, kind), "--in-place", "--map", filepath.Join(dest, kind+".map"))
	}
	f.exits(exitOK, "account", "add", "alice", "maildir:"+filepath.Join(f.dir, "alice"))
	files := 0
	all(t, func(path string, info fs.FileInfo) {
		files++
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
	}, f.env["HOME"], dest)
	if files < 20 {
		t.Errorf("%d files: this test shows nothing", files)
	}
}

// A link that leads out of a store is no message: who can write to the store cannot have other files backed up, by one who may
// read them.
func TestLinksOutOfAStoreAreNotFollowed(t *testing.T) {
	for _, kind := range []string{"maildir", "eml"} {
		f := newForger(t)
		outside := filepath.Join(f.dir, "shadow")
		if err := os.WriteFile(outside, []byte("Subject: the-secret\n\nthe-secret\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		place := filepath.Join(f.dir, "of "+kind)
		f.exits(exitOK, "restore", "latest:alice", "--to", kind+":"+place, "--in-place")
		link := map[string]string{"maildir": "cur/1700000000.M1P1.host:2,S", "eml": "INBOX/9.eml"}[kind]
		if err := os.Symlink(outside, filepath.Join(place, link)); err != nil {
			t.Fatal(err)
		}
		f.survives("backup", "--from", kind+":"+place, "-u", kind)
		f.exits(exitOK, "index", "latest:"+kind)
		if out := f.stdout.String(); strings.Contains(out, "the-secret") || !strings.Contains(out, "subject-1") {
			t.Errorf("%s: the index has\n%s", kind, out)
		}
	}
}

// A crash leaves no image of memory, in which keys are: whatever limit the shell gives, roost lowers it to nothing, also for the
// commands that it runs.
func TestNoCoreDump(t *testing.T) {
	dir := t.TempDir()
	script := filepath.Join(dir, "password")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nulimit -c >"+filepath.Join(dir, "limit")+"\necho secret\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `ulimit -S -c unlimited 2>/dev/null; exec "$0" init --repo "$1/repository" --password-command "$2"`, build(t), dir, script)
	cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("init: %v\n%s", err, out)
	}
	if limit, err := os.ReadFile(filepath.Join(dir, "limit")); err != nil || strings.TrimSpace(string(limit)) != "0" {
		t.Errorf("a command that roost runs may write %q of an image of memory, %v, want 0", limit, err)
	}
}

// A password is never an argument: everybody on the machine can read those.
func TestNoFlagTakesAPassword(t *testing.T) {
	found := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for _, flag := range regexp.MustCompile(`--[a-z-]*(?:password|secret|token)[a-z-]*`).FindAllString(c.UsageString(), -1) {
			found++
			if kind := flag[strings.LastIndexByte(flag, '-'):]; !slices.Contains([]string{"-file", "-command", "-env", "-credential", "-prompt"}, kind) {
				t.Errorf("%s has %s", c.CommandPath(), flag)
			}
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newApp(nil, nil, nil, func(string) string { return "" }).root())
	if found < 10 {
		t.Errorf("%d flags for passwords: this test shows nothing", found)
	}
}

// Where the key of the default repository is and the repository is not, somebody removed it, or its disk is not mounted: a run
// that made a new one and said that all is well would hide that.
func TestARemovedRepositoryIsNoticed(t *testing.T) {
	f := newForger(t)
	if err := os.RemoveAll(filepath.Join(f.env["HOME"], ".local/share/roost/repository")); err != nil {
		t.Fatal(err)
	}
	f.exits(exitNoRepo, "backup", "--from", "maildir:"+filepath.Join(f.dir, "alice"), "-u", "alice")
	f.exits(exitOK, "init")
	f.exits(exitOK, "backup", "--from", "maildir:"+filepath.Join(f.dir, "alice"), "-u", "alice")
}

// No command needs a place for temporary files, so none can leave mail there; and in the repository no file has a word of it.
func TestNoMailInTemporaryFiles(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "there is none"))
	f := newForger(t)
	f.exits(exitOK, "restore", "latest:alice", "--to", "eml:"+filepath.Join(f.dir, "restored"), "--in-place")
	f.exits(exitOK, "cat", "latest:alice", "INBOX", "2")
	f.exits(exitOK, "index", "latest:alice")
	f.exits(exitOK, "check", "--read-data")
	f.exits(exitOK, "erase", "alice", "--key", "INBOX:1", "--yes")
	f.exits(exitOK, "backup", "--from", "maildir:"+filepath.Join(f.dir, "alice"), "-u", "alice")
	files := 0
	all(t, func(path string, info fs.FileInfo) {
		if !info.Mode().IsRegular() {
			return
		}
		files++
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"subject-1", "bob@example.org", "INBOX", "alice"} {
			if bytes.Contains(text, []byte(word)) || strings.Contains(filepath.Base(path), word) {
				t.Errorf("%s has %q", path, word)
			}
		}
	}, filepath.Join(f.env["HOME"], ".local/share/roost/repository"))
	if files < 8 {
		t.Errorf("%d files: this test shows nothing", files)
	}
}
