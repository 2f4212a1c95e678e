package peer

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Place is a server that keeps repositories: its location as restic writes it, and what the clients' environment must say.
type Place struct {
	Location        string   // ends so that a name can be appended, for a repository of its own
	Env             []string // "NAME=value"
	CertificatePath string   // of the authority of its certificate; "": it speaks in clear
	Dir             string   // where its files are
}

// RESTOptions adjusts RESTServer.
type RESTOptions struct {
	AppendOnly bool
	TLS        bool
}

// RESTServer starts a server of restic's REST protocol: rclone, with one user.
func RESTServer(t testing.TB, o RESTOptions) Place {
	t.Helper()
	program := lookup(t, "rclone")
	dir := serverDir(t, "rest")
	p := Place{Dir: filepath.Join(dir, "files"), Env: []string{"RESTIC_REST_USERNAME=alice", "RESTIC_REST_PASSWORD=" + Password}}
	if err := os.Mkdir(p.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	scheme, argv := "http", []string{program, "serve", "restic", "--config", filepath.Join(dir, "none"), "--user", "alice", "--pass", Password}
	if o.AppendOnly {
		argv = append(argv, "--append-only")
	}
	if o.TLS {
		c, err := makeCertificate(dir, account{})
		if err != nil {
			t.Fatal(err)
		}
		scheme, p.CertificatePath = "https", c.path
		argv = append(argv, "--cert", c.path, "--key", c.keyPath)
	}
	at := listen(t, dir, func(at string, _ int) []string { return append(argv, "--addr", at, p.Dir) })
	p.Location = "rest:" + scheme + "://" + at + "/"
	return p
}

// listen starts a server on a free port and returns its address once it takes connections there.
func listen(t testing.TB, dir string, argv func(at string, port int) []string) string {
	t.Helper()
	output := filepath.Join(dir, "output")
	showOnFailure(t, output)
	for range startTries {
		ports, err := freePorts(1)
		if err != nil {
			t.Fatal(err)
		}
		at := addr(ports[0])
		p, err := start(t, output, account{}, []string{"HOME=" + dir}, argv(at, ports[0])...)
		if err == nil {
			err = p.accepts(at)
		}
		if err == nil {
			return at
		}
		t.Logf("start a server: %v", err)
	}
	t.Fatalf("no server after %d tries", startTries)
	return ""
}

// accepts waits until the server takes connections at addr, and returns an error if it ended before.
func (p *process) accepts(addr string) error {
	deadline := time.Now().Add(startTimeout)
	tick := time.NewTicker(5 * time.Millisecond) // there is no event to wait on but the connection itself
	defer tick.Stop()
	for time.Now().Before(deadline) {
		if conn, err := net.DialTimeout("tcp", addr, startTimeout); err == nil {
			return conn.Close()
		}
		select {
		case <-p.exited:
			text, _ := os.ReadFile(p.output)
			return fmt.Errorf("server ended at once: %s", text)
		case <-tick.C:
		}
	}
	return fmt.Errorf("no connection to %s within %v", addr, startTimeout)
}
