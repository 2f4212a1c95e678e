package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roost/peer"
)

// newElsewhere is the desk of a repository at a server, which is not made yet.
func newElsewhere(t *testing.T, program string, p peer.Place) *desk {
	t.Helper()
	d := &desk{dir: t.TempDir(), program: program, rng: rand.New(rand.NewPCG(1, 1))}
	env := append([]string{"RESTIC_REPOSITORY=" + p.Location + "mail/", "RESTIC_PASSWORD=" + repoPassword}, p.Env...)
	d.restic = peer.Restic(t).With(env...)
	if p.CertificatePath != "" {
		// Debian's restic reads neither the variable for this nor those for the user.
		d.restic = d.restic.With("SSL_CERT_FILE=" + p.CertificatePath)
		env = append(env, "RESTIC_CACERT="+p.CertificatePath)
	}
	if at, ok := strings.CutPrefix(p.Location, "rest:"); ok {
		d.restic = d.restic.With("RESTIC_REPOSITORY=rest:" + strings.Replace(at, "://", "://alice:"+peer.Password+"@", 1) + "mail/")
	}
	d.env = append(env, "HOME="+d.dir, "TZ=UTC", "PATH="+os.Getenv("PATH"))
	d.env = append(d.env, p.Env...) // the last one of a name holds
	return d
}

// Wherever the repository lives, restic opens the same one: it checks, lists and adds to what roost wrote, and roost to that.
func TestRepositoryLivesElsewhere(t *testing.T) {
	long(t)
	program := build(t)
	for _, place := range []struct {
		name  string
		start func(t *testing.T) peer.Place
	}{
		{"rest", func(t *testing.T) peer.Place { return peer.RESTServer(t, peer.RESTOptions{}) }},
		{"sftp", func(t *testing.T) peer.Place { return peer.SSHServer(t) }},
		{"S3, with TLS", func(t *testing.T) peer.Place { return peer.S3Server(t, peer.S3Options{TLS: true}) }},
		{"rest, append-only, with TLS", func(t *testing.T) peer.Place {
			return peer.RESTServer(t, peer.RESTOptions{AppendOnly: true, TLS: true})
		}},
	} {
		t.Run(place.name, func(t *testing.T) { testElsewhere(t, newElsewhere(t, program, place.start(t))) })
	}
}

func testElsewhere(t *testing.T, d *desk) {
	w := newTree(t, filepath.Join(d.dir, "mail"), d.rng)
	w.deliver(t, 150)
	d.run(t, "init")
	d.run(t, "backup", "--from", "maildir:"+w.dir, "-u", "alice")
	w.deliver(t, 20)
	d.run(t, "backup", "--from", "maildir:"+w.dir, "-u", "alice", "--limit-upload", "20000")
	d.run(t, "check", "--read-data")
	d.restic.Run(t, "check", "--read-data")
	if list := d.restic.Run(t, "ls", "latest"); !strings.Contains(list, ".eml") {
		t.Errorf("restic ls shows no message:\n%s", list)
	}
	d.restic.Run(t, "backup", "--host", "other", w.dir)
	d.run(t, "check")
	if list := d.run(t, "ls", "latest:alice"); !strings.Contains(list, "INBOX") {
		t.Errorf("roost ls shows no mailbox:\n%s", list)
	}
	restored := filepath.Join(d.dir, "restored")
	d.run(t, "restore", "latest:alice", "--to", "maildir:"+restored, "--in-place")
	d.maildirHolds(t, restored, w)
	if locks := strings.TrimSpace(d.restic.Run(t, "list", "locks")); locks != "" {
		t.Errorf("locks were left behind: %s", locks)
	}
}

// What a server refuses ends with a code of its own and a hint; a password in a location is used, and shown nowhere.
func TestElsewhereRefuses(t *testing.T) {
	open, appendOnly := peer.RESTServer(t, peer.RESTOptions{}), peer.RESTServer(t, peer.RESTOptions{AppendOnly: true, TLS: true})
	f := newForger(t)
	as := func(p peer.Place, password string) string {
		return strings.Replace(p.Location, "://", "://alice:"+password+"@", 1) + "mail/"
	}
	closed := strings.Replace(as(open, peer.Password), "127.0.0.1:", "127.0.0.1:1", 1)
	f.env["ROOST_PASSWORD"], f.env["ROOST_CACERT"] = repoPassword, appendOnly.CertificatePath
	for _, c := range []struct {
		name, repo string
		code       int
		args       []string
	}{
		{"made", as(appendOnly, peer.Password), exitOK, []string{"init"}},
		{"made twice", as(appendOnly, peer.Password), exitFailed, []string{"init"}},
		{"none there", as(open, peer.Password), exitNoRepo, []string{"snapshots"}},
		{"not let in", as(open, "wr0ng"), exitAuth, []string{"snapshots"}},
		{"no location", "rest:https://alice:wr0ng@h%zz/", exitUsage, []string{"snapshots"}},
		{"shown", as(open, "wr0ng"), exitOK, []string{"config", "show"}},
		{"shown as JSON", closed, exitOK, []string{"config", "show", "--json"}},
		{"stored", as(appendOnly, peer.Password), exitOK, []string{"backup", "--from", "maildir:" + filepath.Join(f.dir, "alice"), "-u", "alice"}},
		{"not removed", as(appendOnly, peer.Password), exitRefused, []string{"erase", "alice", "--key", "INBOX:1", "--yes"}},
		{"still there", as(appendOnly, peer.Password), exitOK, []string{"check", "--read-data"}},
	} {
		f.env["ROOST_REPOSITORY"] = c.repo
		f.exits(c.code, c.args...)
		out := f.stdout.String() + f.stderr.String()
		for _, word := range []string{"wr0ng", ":" + peer.Password + "@"} {
			if strings.Contains(out, word) {
				t.Errorf("%s: the password is shown:\n%s", c.name, out)
			}
		}
	}
}
