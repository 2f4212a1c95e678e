package peer

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// S3Options adjusts S3Server.
type S3Options struct {
	TLS    bool
	Region string // "": us-east-1
}

// S3Server starts versitygw, which speaks S3 and keeps objects as files. The place's location names a bucket that nobody has
// made yet, and a prefix in it.
func S3Server(t testing.TB, o S3Options) Place {
	t.Helper()
	program := versitygw(t)
	dir := serverDir(t, "s3")
	p := Place{Dir: filepath.Join(dir, "files"), Env: []string{"AWS_ACCESS_KEY_ID=alice", "AWS_SECRET_ACCESS_KEY=" + Password}}
	if err := os.Mkdir(p.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	scheme, argv := "http", []string{program, "--access", "alice", "--secret", Password, "--quiet"}
	if o.Region != "" {
		argv = append(argv, "--region", o.Region)
	}
	if o.TLS {
		c, err := makeCertificate(dir, account{})
		if err != nil {
			t.Fatal(err)
		}
		scheme, p.CertificatePath = "https", c.path
		argv = append(argv, "--cert", c.path, "--key", c.keyPath)
	}
	at := listen(t, dir, func(at string, _ int) []string {
		return append(argv, "--port", at, "posix", "--sidecar", sidecar(t, dir), p.Dir)
	})
	p.Location = "s3:" + scheme + "://" + at + "/roost/"
	return p
}

// sidecar makes the directory for what versitygw keeps beside files: extended attributes are not on every file system.
func sidecar(t testing.TB, dir string) string {
	t.Helper()
	at := filepath.Join(dir, "beside")
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	return at
}

// versitygw finds the program where script/setup builds it.
func versitygw(t testing.TB) string {
	t.Helper()
	dir, err := PeersDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, "/var/cache/roost-peers"} {
		if program, err := exec.LookPath(filepath.Join(dir, "bin", "versitygw")); err == nil {
			return program
		}
	}
	return lookup(t, "versitygw")
}
