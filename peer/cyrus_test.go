package peer_test

import (
	"crypto/tls"
	"strings"
	"testing"

	"roost/peer"
)

// Cyrus lets its users in, also those added later, and its administrator act for them.
func TestCyrus(t *testing.T) {
	t.Parallel()
	s := peer.Cyrus(t)
	s.AddUser(t, "u4")
	for _, user := range []string{"u1", "u4"} {
		c := dial(t, s.IMAPAddr, nil)
		c.command("LOGIN " + user + " " + peer.Password)
		c.send("a APPEND Archive {11+}\r\nA: b\r\n\r\nc\r\n\r\n")
		if got := c.until("a "); !strings.HasPrefix(got, "a OK") {
			t.Errorf("append for %s: %s", user, got)
		}
		s.Reconstruct(t, user)
		c.send("b STATUS Archive (MESSAGES)\r\n")
		if got := c.until("* STATUS"); !strings.Contains(got, "MESSAGES 1") {
			t.Errorf("status of the archive of %s = %q, want one message", user, got)
		}
	}
	dial(t, s.IMAPSAddr, &tls.Config{RootCAs: roots(t, s.CertificatePath), ServerName: "localhost"})
	if sum := certificateSum(t, s.IMAPSAddr); sum != s.CertificateSHA256 {
		t.Errorf("fingerprint of the certificate = %x, want %x", sum, s.CertificateSHA256)
	}
}

// Two servers run beside each other and each has its own mail.
func TestCyrusSeveral(t *testing.T) {
	t.Parallel()
	a, b := peer.Cyrus(t), peer.Cyrus(t)
	c := dial(t, a.IMAPAddr, nil)
	c.command("LOGIN u1 " + peer.Password)
	c.command("CREATE Here")
	c = dial(t, b.IMAPAddr, nil)
	c.command("LOGIN u1 " + peer.Password)
	c.send("a SELECT Here\r\n")
	if got := c.until("a "); !strings.HasPrefix(got, "a NO") {
		t.Errorf("select on the other server = %q, want NO", got)
	}
}
