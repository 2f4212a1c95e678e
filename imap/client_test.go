package imap_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/imap"
	"roost/peer"
	"roost/store/imap/imaptest"
)

// account is one with an INBOX of three messages.
func account() *imaptest.Account {
	a := imaptest.NewAccount()
	inbox := a.Create("INBOX")
	for _, body := range []string{"Subject: one\r\n\r\n1\r\n", "Subject: two\r\n\r\n22\r\n", "Subject: three\r\n\r\n333\r\n"} {
		inbox.Append(imaptest.Message{Body: []byte(body)})
	}
	return a
}

// dial connects over TLS; the connection is closed when the test ends.
func dial(t *testing.T, server *imaptest.Server, o imap.Options) *imap.Client {
	t.Helper()
	address := server.TLSAddr
	if o.Security != imap.TLS {
		address = server.Addr
	}
	if o.Roots == nil && o.Security != imap.Plaintext {
		o.Fingerprint = server.CertificateSHA256
	}
	c, err := imap.Dial(t.Context(), address, o)
	if err != nil {
		t.Fatalf("Dial = %v, want nil", err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// login is dial and Login.
func login(t *testing.T, server *imaptest.Server, o imap.Options) *imap.Client {
	t.Helper()
	c := dial(t, server, o)
	if err := c.Login(t.Context(), imap.Credentials{User: "alice", Secret: imaptest.Secret}); err != nil {
		t.Fatalf("Login = %v, want nil", err)
	}
	return c
}

// Each mechanism logs in, with and without an initial response, and says who acts as whom.
func TestMechanisms(t *testing.T) {
	for _, sasl := range [][]string{imaptest.Everything(), imaptest.Without(imaptest.Everything(), "SASL-IR")} {
		for mechanism, want := range map[string]imaptest.Login{
			"":              {Mechanism: "PLAIN", User: "alice", Secret: "secret", TLS: true},
			"PLAIN":         {Mechanism: "PLAIN", User: "alice", As: "bob", Secret: "secret", TLS: true},
			"LOGIN":         {Mechanism: "LOGIN", User: "alice", Secret: "secret", TLS: true},
			"LOGIN-COMMAND": {Mechanism: "LOGIN", User: "alice", Secret: "secret", TLS: true},
			"XOAUTH2":       {Mechanism: "XOAUTH2", User: "alice", Secret: "secret", TLS: true},
		} {
			var got imaptest.Login
			server := imaptest.Start(t, account(), imaptest.Dialect{Capabilities: sasl, Login: func(l imaptest.Login) string {
				got = l
				return ""
			}})
			who := imap.Credentials{User: "alice", ActAs: want.As, Mechanism: mechanism, Secret: "secret"}
			if err := dial(t, server, imap.Options{}).Login(t.Context(), who); err != nil {
				t.Errorf("Login by %q = %v, want nil", mechanism, err)
			}
			if got != want {
				t.Errorf("Login by %q arrives as %+v, want %+v", mechanism, got, want)
			}
		}
	}
}

// Real servers accept each mechanism that they offer, and refuse a wrong secret by each.
func TestMechanismsOfRealServers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	dovecot, cyrus := peer.Dovecot(t, peer.DovecotOptions{}), peer.Cyrus(t)
	for _, test := range []struct {
		mechanism, address string
		fingerprint        [32]byte
		who                imap.Credentials
	}{
		{"PLAIN", dovecot.IMAPSAddr, dovecot.CertificateSHA256, imap.Credentials{User: "alice", Secret: peer.Password}},
		{"PLAIN", dovecot.IMAPSAddr, dovecot.CertificateSHA256, imap.Credentials{User: peer.MasterUser, ActAs: "alice", Secret: peer.MasterPassword}},
		{"XOAUTH2", dovecot.IMAPSAddr, dovecot.CertificateSHA256, imap.Credentials{User: "alice", Secret: dovecot.Token("alice")}},
		{"OAUTHBEARER", dovecot.IMAPSAddr, dovecot.CertificateSHA256, imap.Credentials{User: "alice", Secret: dovecot.Token("alice")}},
		{"PLAIN", cyrus.IMAPSAddr, cyrus.CertificateSHA256, imap.Credentials{User: peer.CyrusAdmin, ActAs: "u1", Secret: peer.Password}},
		{"LOGIN", cyrus.IMAPSAddr, cyrus.CertificateSHA256, imap.Credentials{User: "u1", Secret: peer.Password}},
		{"SCRAM-SHA-1", cyrus.IMAPSAddr, cyrus.CertificateSHA256, imap.Credentials{User: "u1", Secret: peer.Password}},
		{"SCRAM-SHA-256", cyrus.IMAPSAddr, cyrus.CertificateSHA256, imap.Credentials{User: "u1", Secret: peer.Password}},
	} {
		t.Run(test.mechanism+" of "+test.who.User, func(t *testing.T) {
			try := func(who imap.Credentials) error {
				c, err := imap.Dial(t.Context(), test.address, imap.Options{Fingerprint: test.fingerprint})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				who.Mechanism = test.mechanism
				if err := c.Login(t.Context(), who); err != nil {
					return err
				}
				if who.User == peer.MasterUser {
					return c.Noop(t.Context()) // its rights in the mailboxes are the ACL's matter
				}
				_, err = c.Select(t.Context(), "INBOX", imap.SelectOptions{ReadOnly: true})
				return err
			}
			if err := try(test.who); err != nil {
				t.Errorf("log in = %v, want nil", err)
			}
			wrong := test.who
			wrong.Secret = "wrong"
			if reason, ok := imap.ReasonOf(try(wrong)); !ok || reason != imap.ReasonAuth {
				t.Errorf("log in with a wrong secret has reason %v, want %v", reason, imap.ReasonAuth)
			}
		})
	}
}

// A refused login has the reason that the caller must act on.
func TestLoginReasons(t *testing.T) {
	for line, want := range map[string]imap.Reason{
		"NO [AUTHENTICATIONFAILED] wrong":   imap.ReasonAuth,
		"NO no":                             imap.ReasonAuth,
		"NO [UNAVAILABLE] later":            imap.ReasonThrottled,
		"NO [EXPIRED] change your password": imap.ReasonHuman,
		"NO [WEBALERT https://example.com] Web login required.":            imap.ReasonHuman,
		"NO [ALERT] Too many simultaneous connections. (Failure)":          imap.ReasonThrottled,
		"NO [PRIVACYREQUIRED] not in clear":                                imap.ReasonTLS,
		"BAD User is authenticated but not connected.":                     imap.ReasonThrottled,
		"NO Request is throttled. Suggested Backoff Time: 90 milliseconds": imap.ReasonThrottled,
	} {
		server := imaptest.Start(t, account(), imaptest.Dialect{Login: func(imaptest.Login) string { return line }})
		err := dial(t, server, imap.Options{}).Login(t.Context(), imap.Credentials{User: "alice", Secret: "x"})
		if got, ok := imap.ReasonOf(err); !ok || got != want {
			t.Errorf("%s: reason %v of %v, want %v", line, got, err, want)
		}
		var e *imap.Error
		if strings.Contains(line, "90 milli") && (!errors.As(err, &e) || e.Backoff != 90*time.Millisecond) {
			t.Errorf("%s: %+v, want a back-off of 90 ms", line, e)
		}
	}
}

// STARTTLS encrypts before the login, and is refused where the server does not offer it or sends more than it may.
func TestStartTLS(t *testing.T) {
	roots := func(s *imaptest.Server) *x509.CertPool {
		pool := x509.NewCertPool()
		pool.AddCert(s.Certificate)
		return pool
	}
	t.Run("encrypts", func(t *testing.T) {
		var got imaptest.Login
		server := imaptest.Start(t, account(), imaptest.Dialect{Login: func(l imaptest.Login) string { got = l; return "" }})
		login(t, server, imap.Options{Security: imap.StartTLS, Roots: roots(server)})
		if !got.TLS {
			t.Errorf("the login came in clear")
		}
	})
	for name, dialect := range map[string]imaptest.Dialect{
		"not offered": {Capabilities: imaptest.Without(imaptest.Everything(), "STARTTLS")},
		"refused":     {Answers: []imaptest.Answer{imaptest.Refuse("STARTTLS", "NO not today")}},
	} {
		t.Run(name, func(t *testing.T) {
			server := imaptest.Start(t, account(), dialect)
			c, err := imap.Dial(t.Context(), server.Addr, imap.Options{Security: imap.StartTLS, Roots: roots(server)})
			if err == nil {
				c.Close()
			}
			if reason, ok := imap.ReasonOf(err); !ok || reason != imap.ReasonTLS {
				t.Errorf("Dial = %v, want reason %v", err, imap.ReasonTLS)
			}
		})
	}
	t.Run("X-14 what was said in clear does not count", func(t *testing.T) {
		injected := imaptest.Insert("STARTTLS", "")
		server := imaptest.Start(t, account(), imaptest.Dialect{Rewrites: []imaptest.Rewrite{injected,
			func(_ *imaptest.Session, c imaptest.Command, response string) string {
				if c.Name == "STARTTLS" && strings.HasPrefix(response, c.Tag) {
					return response + "* CAPABILITY IMAP4rev1 AUTH=EVIL\r\n"
				}
				return response
			}}})
		c := dial(t, server, imap.Options{Security: imap.StartTLS, Roots: roots(server)})
		if err := c.Login(t.Context(), imap.Credentials{User: "alice", Secret: imaptest.Secret}); err != nil {
			t.Fatal(err)
		}
		if c.Capabilities().Has("AUTH=EVIL") {
			t.Errorf("capabilities injected before TLS are believed")
		}
	})
}

// Commands in flight are answered each by its own, in any layer below.
func TestPipelinedFetch(t *testing.T) {
	for name, test := range map[string]struct {
		capabilities []string
		wire         func(int, net.Conn) net.Conn
	}{
		"plain":      {capabilities: imaptest.Everything()},
		"compressed": {capabilities: imaptest.With(imaptest.Everything(), "COMPRESS=DEFLATE")},
		"fragments":  {capabilities: imaptest.Everything(), wire: imaptest.Fragment(1)},
	} {
		t.Run(name, func(t *testing.T) {
			server := imaptest.Start(t, account(), imaptest.Dialect{Capabilities: test.capabilities, Wire: test.wire})
			c := login(t, server, imap.Options{})
			if _, err := c.Select(t.Context(), "INBOX", imap.SelectOptions{ReadOnly: true}); err != nil {
				t.Fatal(err)
			}
			got := make([]string, 3)
			var flight []*imap.Pending
			for i, set := range []string{"1", "2", "3"} {
				flight = append(flight, c.StartFetch(t.Context(), set, "UID BODY.PEEK[]", imap.FetchOptions{}, func(f *imap.Fetch) error {
					body, err := io.ReadAll(f.Body)
					got[i] += string(body)
					return err
				}))
			}
			for _, p := range slices.Backward(flight) { // in any order
				if err := p.Wait(t.Context()); err != nil {
					t.Error(err)
				}
			}
			want := []string{"Subject: one\r\n\r\n1\r\n", "Subject: two\r\n\r\n22\r\n", "Subject: three\r\n\r\n333\r\n"}
			if !slices.Equal(got, want) {
				t.Errorf("fetched %q, want %q", got, want)
			}
		})
	}
}

// When the context of a call ends, the call ends with its error, and so does the connection.
func TestCancel(t *testing.T) {
	server := imaptest.Start(t, account(), imaptest.Dialect{Answers: []imaptest.Answer{imaptest.Hang("NOOP")}})
	c := login(t, server, imap.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	p := make(chan error)
	go func() { p <- c.Noop(ctx) }()
	cancel()
	if err := <-p; !errors.Is(err, context.Canceled) {
		t.Errorf("Noop = %v, want %v", err, context.Canceled)
	}
	if c.Err() == nil {
		t.Errorf("the connection goes on after a call that was cancelled")
	}
	if err := c.Noop(t.Context()); err == nil {
		t.Errorf("Noop on a lost connection = nil, want an error")
	}
}

// A server that says nothing for longer than the time-out is given up.
func TestTimeout(t *testing.T) {
	server := imaptest.Start(t, account(), imaptest.Dialect{Answers: []imaptest.Answer{imaptest.Hang("NOOP")}})
	c := login(t, server, imap.Options{Timeout: 50 * time.Millisecond})
	if reason, _ := imap.ReasonOf(c.Noop(t.Context())); reason != imap.ReasonConnection {
		t.Errorf("Noop has reason %v, want %v", reason, imap.ReasonConnection)
	}
}

// The wire log shows the dialogue, and neither passwords nor the octets of messages.
func TestWireLogHoldsNoSecret(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "LOGIN", "LOGIN-COMMAND", "XOAUTH2"} {
		var log bytes.Buffer
		server := imaptest.Start(t, account(), imaptest.Dialect{})
		c := dial(t, server, imap.Options{WireLog: &log})
		if err := c.Login(t.Context(), imap.Credentials{User: "alice", Secret: imaptest.Secret, Mechanism: mechanism}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Select(t.Context(), "INBOX", imap.SelectOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := c.UIDFetch(t.Context(), "1:*", "UID BODY.PEEK[]", imap.FetchOptions{}, func(*imap.Fetch) error { return nil }); err != nil {
			t.Fatal(err)
		}
		text := log.String()
		for _, secret := range []string{imaptest.Secret, "c2VjcmV0", "AGFsaWNlAHNlY3JldA", "Subject: one"} {
			if strings.Contains(text, secret) {
				t.Errorf("the log of %s holds %q:\n%s", mechanism, secret, text)
			}
		}
		if !strings.Contains(text, "UID FETCH") {
			t.Errorf("the log of %s does not hold the dialogue:\n%s", mechanism, text)
		}
	}
}

// FuzzClient lets a server say anything: the client neither panics nor hangs, nor holds more than what was sent.
func FuzzClient(f *testing.F) {
	for _, seed := range []string{
		"* OK hi\r\nr1 OK\r\n",
		"* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n* 3 EXISTS\r\n* FLAGS (\\Seen)\r\n* OK [UIDVALIDITY 3]\r\nr1 OK done\r\n",
		"* OK x\r\n* 1 FETCH (UID 1 FLAGS (\\Seen a[) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" BODY[] {3}\r\nabc)\r\nr1 OK\r\nr2 OK\r\nr3 OK\r\n",
		"* OK x\r\n* 1 FETCH (BODY[] {2}\r\nab UID 5 X-GM-LABELS (\"\\\\Inbox\" {1}\r\na))\r\nr1 OK\r\n* VANISHED (EARLIER) 1:3\r\nr2 OK\r\n",
		"* OK x\r\n* LIST (\\Sent) \"/\" {3}\r\na/b\r\n* STATUS a (MESSAGES 1 MAILBOXID (x))\r\n* ESEARCH (TAG \"r1\") UID ALL 1:4\r\nr1 NO [X",
		"* BYE gone\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, said string) {
		ours, theirs := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			go io.Copy(io.Discard, theirs)
			io.WriteString(theirs, said)
			theirs.Close()
		}()
		defer func() { <-done }()
		defer ours.Close()
		ctx := t.Context()
		c, err := imap.NewClient(ctx, ours, imap.Options{Timeout: time.Second})
		if err != nil {
			return
		}
		defer c.Close()
		each := func(f *imap.Fetch) error {
			if f.Body != nil {
				n, err := io.Copy(io.Discard, f.Body)
				if err == nil && n != f.BodySize {
					t.Errorf("a body of %d octets has BodySize %d", n, f.BodySize)
				}
			}
			return nil
		}
		c.Select(ctx, "INBOX", imap.SelectOptions{ReadOnly: true})
		c.UIDFetch(ctx, "1:*", "UID", imap.FetchOptions{Vanished: func(imap.Set) {}}, each)
		c.List(ctx, "*", imap.ListOptions{EachStatus: func(imap.MailboxStatus) {}})
		c.UIDSearch(ctx, "ALL", func(uint32) {})
	})
}
