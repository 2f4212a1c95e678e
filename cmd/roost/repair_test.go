package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roost/mail"
	"roost/store"
)

// letters are the messages in a Maildir, by mailbox and subject, with their bytes.
func letters(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	s, err := store.Open(t.Context(), "maildir:"+dir, store.Options{})
	if err != nil {
		return found // nothing was restored
	}
	defer s.Close()
	boxes, err := s.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, box := range boxes {
		if box.NoSelect {
			continue
		}
		ch, err := s.Changes(t.Context(), box.Name, "")
		if err != nil {
			t.Fatal(err)
		}
		var keys []mail.Key
		for _, m := range ch.Messages {
			keys = append(keys, m.Key)
		}
		for f, err := range s.Fetch(t.Context(), box.Name, keys, mail.Whole) {
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(f.Body)
			if err != nil {
				t.Fatal(err)
			}
			_, subject, _ := strings.Cut(string(body), "Subject: ")
			subject, _, _ = strings.Cut(subject, "\r\n")
			found[string(box.Name)+" "+subject] = string(body)
		}
	}
	return found
}

// named are the paths that check names behind the snapshot.
func (f *forger) named() (paths []string) {
	f.Helper()
	f.survives("check", "--read-data", "--json")
	for line := range strings.Lines(f.stdout.String()) {
		var p struct {
			Type  string   `json:"message_type"`
			Paths []string `json:"paths"`
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			f.Fatal(err)
		}
		for _, path := range p.Paths {
			if p.Type == "error" {
				_, path, _ = strings.Cut(path, ":")
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// hit reports whether one of the paths that check names is, or holds, the message.
func hit(paths []string, file string) bool {
	for _, p := range paths {
		if strings.HasPrefix(file, strings.TrimSuffix(p, "/")) {
			return true
		}
	}
	return false
}

// Wherever a pack is damaged, a restore brings every message but those that check names, octet by octet; repair changes nothing of
// that, and after it a backup makes the snapshot whole again.
func TestRestoreAroundDamage(t *testing.T) {
	f := newForger(t)
	want := letters(t, filepath.Join(f.dir, "alice"))
	files := map[string]string{"INBOX subject-0": "/alice/mail/INBOX/msg-0000000000/0000000000/0000000001.eml",
		"INBOX subject-1": "/alice/mail/INBOX/msg-0000000000/0000000000/0000000002.eml", "Work subject-2": "/alice/mail/Work/msg-0000000000/0000000000/0000000001.eml"}
	if len(want) != len(files) {
		t.Fatalf("%d messages, want %d", len(want), len(files))
	}
	step := 397
	if testing.Short() {
		step = 997
	}
	place := filepath.Join(f.env["HOME"], ".local/share/roost/repository")
	n := 0
	for _, pack := range packsIn(t, place) {
		clean, err := os.ReadFile(pack)
		if err != nil {
			t.Fatal(err)
		}
		for at := 7; at < len(clean); at += step {
			n++
			bad := bytes.Clone(clean)
			bad[at] ^= 4
			overwrite(t, pack, bad)
			paths := f.named()
			if !strings.Contains(f.stdout.String(), `"ok":false`) {
				t.Errorf("byte %d of %s: check finds nothing:\n%s", at, filepath.Base(pack), &f.stdout)
			}
			f.mustRestoreAround(fmt.Sprintf("byte %d of %s", at, filepath.Base(pack)), n, paths, want, files)
			overwrite(t, pack, clean)
		}
	}
	t.Logf("%d damages", n)
}

func (f *forger) mustRestoreAround(what string, n int, paths []string, want, files map[string]string) {
	f.Helper()
	dest := filepath.Join(f.dir, fmt.Sprint("around ", n))
	f.survives("restore", "latest:alice", "--to", "maildir:"+dest, "--in-place")
	got := letters(f.T, dest)
	for name, body := range want {
		dead := hit(paths, files[name]) || hit(paths, "/alice/account.json") || hit(paths, "/alice/mailboxes.jsonl")
		switch {
		case got[name] != "" && got[name] != body:
			f.Errorf("%s: %s is restored otherwise than it was", what, name)
		case got[name] == "" && !dead:
			f.Errorf("%s: %s is not restored, and not named in %v:\n%s%s", what, name, paths, &f.stdout, &f.stderr)
		}
	}
}

// Repair brings back a repository without any index, and after damage a full backup makes the snapshots whole.
func TestRepairThenBackup(t *testing.T) {
	f := newForger(t)
	place := filepath.Join(f.env["HOME"], ".local/share/roost/repository")
	if err := os.RemoveAll(filepath.Join(place, "index")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(place, "index"), 0o700); err != nil {
		t.Fatal(err)
	}
	f.exits(exitFailed, "ls", "latest:alice")
	f.exits(exitIncomplete, "repair", "--dry-run")
	f.exits(exitFailed, "ls", "latest:alice")
	f.exits(exitOK, "repair")
	f.exits(exitOK, "check", "--read-data")
	f.exits(exitOK, "ls", "latest:alice")
	for _, pack := range packsIn(t, place) {
		p, err := os.ReadFile(pack)
		if err != nil {
			t.Fatal(err)
		}
		p[100] ^= 1
		overwrite(t, pack, p)
	}
	f.exits(exitIncomplete, "repair", "--read-data")
	if out := f.stdout.String(); !strings.Contains(out, "lost") {
		t.Errorf("repair says\n%s", out)
	}
	f.exits(exitRefused, "repair", "--drop-lost")
	f.survives("repair", "--drop-lost", "--yes")
	if out := f.stdout.String(); !strings.Contains(out, "  lost: ") || !strings.Contains(out, "1 snapshot mended") {
		t.Errorf("repair --drop-lost says\n%s", out)
	}
	f.exits(exitOK, "check", "--read-data")
	f.survives("backup", "--from", "maildir:"+filepath.Join(f.dir, "alice"), "-u", "alice")
	f.exits(exitOK, "check", "--read-data")
	f.exits(exitOK, "restore", "latest:alice", "--to", "maildir:"+filepath.Join(f.dir, "back"), "--in-place")
	if got := letters(t, filepath.Join(f.dir, "back")); len(got) != 3 {
		t.Errorf("%d messages are restored, want 3", len(got))
	}
}

func packsIn(t *testing.T, place string) (packs []string) {
	t.Helper()
	all(t, func(path string, info fs.FileInfo) {
		if info.Mode().IsRegular() {
			packs = append(packs, path)
		}
	}, filepath.Join(place, "data"))
	if len(packs) < 2 {
		t.Fatal(packs)
	}
	return packs
}

// overwrite replaces a file that is read-only, as packs are.
func overwrite(t *testing.T, path string, body []byte) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

// all calls f for everything that is below the places.
func all(t *testing.T, f func(path string, info fs.FileInfo), places ...string) {
	t.Helper()
	for _, place := range places {
		err := filepath.WalkDir(place, func(path string, d fs.DirEntry, err error) error {
			if err != nil || path == place {
				return err
			}
			info, err := d.Info()
			if err == nil {
				f(path, info)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
