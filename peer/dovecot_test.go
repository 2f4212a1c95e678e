package peer_test

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roost/peer"
)

// Every kind of Dovecot takes a message over IMAP and holds it where it says.
func TestDovecotFormats(t *testing.T) {
	for _, o := range []peer.DovecotOptions{
		{},
		{Format: "maildir", Layout: "fs"},
		{Format: "maildir", Separator: ".", Prefix: "INBOX."},
		{Format: "sdbox"},
		{Format: "mdbox", Compress: true},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			t.Parallel()
			s := peer.Dovecot(t, o)
			c := dial(t, s.IMAPAddr, nil)
			c.command("LOGIN alice " + peer.Password)
			c.send("a APPEND INBOX {11+}\r\nA: b\r\n\r\nc\r\n\r\n")
			c.until("a ")
			if got := s.Doveadm(t, "fetch", "-u", "alice", "hdr.a", "mailbox", "INBOX"); !strings.Contains(got, "hdr.a: b") {
				t.Errorf("doveadm fetch of the appended message = %q, want it to contain %q", got, "hdr.a: b")
			}
			if _, err := os.Stat(s.Mail("alice")); err != nil {
				t.Errorf("mail of alice: %v", err)
			}
		})
	}
}

// Each way to log in that the options promise lets the right user in.
func TestDovecotLogins(t *testing.T) {
	s := peer.Dovecot(t, peer.DovecotOptions{})
	plain := func(authz, authn, password string) string {
		return "AUTHENTICATE PLAIN " + base64.StdEncoding.EncodeToString([]byte(authz+"\x00"+authn+"\x00"+password))
	}
	xoauth2 := func(token string) string {
		return "AUTHENTICATE XOAUTH2 " + base64.StdEncoding.EncodeToString([]byte("user=alice\x01auth=Bearer "+token+"\x01\x01"))
	}
	for name, test := range map[string]struct {
		command string
		ok      bool
	}{
		"password":        {plain("", "alice", peer.Password), true},
		"wrong password":  {plain("", "alice", "wrong"), false},
		"master by name":  {plain("", "alice*"+peer.MasterUser, peer.MasterPassword), true},
		"master by authz": {plain("alice", peer.MasterUser, peer.MasterPassword), true},
		"wrong master":    {plain("alice", peer.MasterUser, peer.Password), false},
		"token":           {xoauth2(s.Token("alice")), true},
		"expired token":   {xoauth2(s.TokenUntil("alice", time.Now().Add(-time.Minute))), false},
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, s.IMAPAddr, nil)
			c.send("a " + test.command + "\r\n")
			line := c.until("a ", "+ ")
			if got := strings.HasPrefix(line, "a OK"); got != test.ok {
				t.Errorf("answer to the login = %q, want OK: %v", line, test.ok)
			}
		})
	}
}

// The certificate that the server shows is the one whose path and fingerprint it names.
func TestDovecotCertificate(t *testing.T) {
	s := peer.Dovecot(t, peer.DovecotOptions{})
	dial(t, s.IMAPSAddr, &tls.Config{RootCAs: roots(t, s.CertificatePath), ServerName: "localhost"})
	sum := certificateSum(t, s.IMAPSAddr)
	if sum != s.CertificateSHA256 {
		t.Errorf("fingerprint of the certificate = %x, want %x", sum, s.CertificateSHA256)
	}
}

// The log of a server that was never reached says where to look, and several servers do not meet.
func TestDovecotSeveral(t *testing.T) {
	a, b := peer.Dovecot(t, peer.DovecotOptions{}), peer.Dovecot(t, peer.DovecotOptions{})
	for _, s := range []*peer.DovecotServer{a, b} {
		c := dial(t, s.IMAPAddr, nil)
		c.command("LOGIN alice " + peer.Password)
		c.command("CREATE Only" + filepath.Base(s.Dir))
	}
	for _, s := range []*peer.DovecotServer{a, b} {
		list := s.Doveadm(t, "mailbox", "list", "-u", "alice", "Only*")
		if want := "Only" + filepath.Base(s.Dir) + "\n"; list != want {
			t.Errorf("mailboxes of %s = %q, want %q", s.Dir, list, want)
		}
	}
}

// conn is the least IMAP client that a test of a server needs.
type conn struct {
	t testing.TB
	net.Conn
	r *bufio.Reader
}

func dial(t testing.TB, addr string, config *tls.Config) *conn {
	t.Helper()
	var nc net.Conn
	var err error
	if config == nil {
		nc, err = net.Dial("tcp", addr)
	} else {
		nc, err = tls.Dial("tcp", addr, config)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	c := &conn{t: t, Conn: nc, r: bufio.NewReader(nc)}
	c.until("* OK")
	return c
}

func (c *conn) send(text string) {
	c.t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// until reads lines up to one that begins with one of the prefixes, and returns it.
func (c *conn) until(prefixes ...string) string {
	c.t.Helper()
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			c.t.Fatalf("read a line that begins with one of %q: %v", prefixes, err)
		}
		for _, p := range prefixes {
			if strings.HasPrefix(line, p) {
				return line
			}
		}
	}
}

// command sends a line that must be answered by OK.
func (c *conn) command(line string) {
	c.t.Helper()
	c.send("a " + line + "\r\n")
	if got := c.until("a "); !strings.HasPrefix(got, "a OK") {
		c.t.Fatalf("%s: %s", line, got)
	}
}
