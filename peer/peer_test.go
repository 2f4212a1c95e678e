package peer_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roost/peer"
)

// Restic makes and checks a repository with nothing but the environment it is given.
func TestRestic(t *testing.T) {
	restic := peer.Restic(t).With("RESTIC_REPOSITORY="+filepath.Join(t.TempDir(), "repo"), "RESTIC_PASSWORD=secret")
	restic.Run(t, "init")
	restic.Run(t, "check")
	if _, err := restic.With("RESTIC_PASSWORD=wrong").Output(t.Context(), "check"); err == nil {
		t.Error("restic check with a wrong password succeeded")
	}
}

// Mbsync runs and is the program that we know.
func TestMbsync(t *testing.T) {
	if got := peer.Mbsync(t).Run(t, "--version"); !strings.HasPrefix(got, "isync ") {
		t.Errorf("mbsync --version = %q, want it to begin with %q", got, "isync ")
	}
}

func roots(t testing.TB, path string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("no certificate in %s", path)
	}
	return pool
}

// certificateSum is the SHA-256 of the certificate that a server shows.
func certificateSum(t testing.TB, addr string) (sum [32]byte) {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true}) // looked at, not trusted
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return sha256.Sum256(c.ConnectionState().PeerCertificates[0].Raw)
}
