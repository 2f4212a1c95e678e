package sftp_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/blob"
	"roost/blob/blobtest"
	"roost/blob/location"
	"roost/blob/sftp"
	"roost/peer"
)

// start starts a server, and lets this process find the ssh that is let in there.
func start(t *testing.T) peer.Place {
	t.Helper()
	p := peer.SSHServer(t)
	for _, v := range p.Env {
		name, value, _ := strings.Cut(v, "=")
		t.Setenv(name, value)
	}
	return p
}

func open(t *testing.T, where string) location.Bucket {
	t.Helper()
	l, err := location.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	b, err := location.Open(l, location.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestSFTPKeepsTheContracts(t *testing.T) {
	p := start(t)
	n := 0
	blobtest.Run(t, func(t *testing.T) blob.Bucket {
		n++
		b := open(t, fmt.Sprintf("%s%d", p.Location, n))
		if n%2 == 0 { // Save makes folders that are missing
			return b
		}
		if err := b.Create(t.Context()); err != nil {
			t.Fatal(err)
		}
		return b
	})
	left, err := filepath.Glob(filepath.Join(p.Dir, "*", "*", "*", "*-tmp-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files are left behind: %v, %v", left, err)
	}
}

// A server that is not the one we know, and one that does not know us, are told from one that is not there.
func TestWhoIsThere(t *testing.T) {
	p := start(t)
	config := filepath.Join(filepath.Dir(p.Dir), "ssh_config")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, from, to string
		want           error
	}{
		{"unknown host key", "UserKnownHostsFile ", "UserKnownHostsFile none #", blob.ErrUntrusted},
		{"unknown user key", "IdentityFile ", "IdentityFile none\n#", blob.ErrAccess},
	} {
		if err := os.WriteFile(config, []byte(strings.Replace(string(text), c.from, c.to, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, p.Location+"a").Stat(t.Context(), blob.Handle{Kind: blob.Config}); !errors.Is(err, c.want) {
			t.Errorf("%s: Stat = %v, want %v", c.name, err, c.want)
		}
	}
}

// A connection that is cut, and one that goes dead, cost a call and no more: the next one is made over another.
func TestConnectionsThatEnd(t *testing.T) {
	p := start(t)
	l, err := location.Parse(p.Location + "a")
	if err != nil {
		t.Fatal(err)
	}
	command := sftp.Command(l.User, l.Host, l.Port)
	for _, c := range []struct {
		name, script string // which ends early, the first time
	}{
		{"ends at once", `exit 1`},
		{"never answers", `exec sleep 100`},
		{"ends in the middle", `dd bs=1 count=100000 status=none | "$@"; exit 1`},
		{"never answers, behind a script", `cat 3>&1 >/dev/null; exit 1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			once := filepath.Join(t.TempDir(), "once")
			script := "if [ ! -e " + once + " ]; then : >" + once + "; " + c.script + "; fi; exec \"$@\""
			argv := slices.Concat([]string{"/bin/sh", "-c", script, "sh"}, command)
			d := sftp.New(sftp.Place{Command: argv, Dir: l.Dir}, sftp.Options{Timeout: time.Second})
			r := blob.NewRemote(d, blob.RemoteOptions{})
			defer r.Close()
			body := []byte(strings.Repeat(c.name, 50_000))
			h := blobtest.Handle(blob.Pack, body)
			if err := r.Save(t.Context(), h, body); err != nil {
				t.Fatalf("Save = %v", err)
			}
			if got, err := r.Load(t.Context(), h, 1<<30); err != nil || string(got) != string(body) {
				t.Errorf("Load = %d octets, %v, want %d", len(got), err, len(body))
			}
		})
	}
}

func TestCommand(t *testing.T) {
	got := strings.Join(sftp.Command("alice", "host", "2222"), " ")
	if want := "ssh host -p 2222 -l alice -s sftp"; got != want {
		t.Errorf("Command = %q, want %q", got, want)
	}
}
