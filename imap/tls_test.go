package imap

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"testing"
	"time"
)

// certificate makes a self-signed certificate for localhost.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A certificate is believed if an authority, or the pinned fingerprint, vouches for it, and else not.
func TestTLS(t *testing.T) {
	cert := certificate(t)
	parsed, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	for _, c := range []struct {
		name string
		o    Options
		ok   bool
	}{
		{"unknown authority", Options{}, false},
		{"known authority", Options{Roots: roots}, true},
		{"other name", Options{Roots: roots, ServerName: "mail.example.com"}, false},
		{"pinned", Options{Fingerprint: sha256.Sum256(cert.Certificate[0])}, true},
		{"other pinned", Options{Fingerprint: sha256.Sum256(nil)}, false},
		{"other pinned, known authority", Options{Fingerprint: sha256.Sum256(nil), Roots: roots}, false},
	} {
		for _, security := range []Security{TLS, StartTLS} {
			t.Run(c.name, func(t *testing.T) {
				address := listen(t, func(s *scripted) {
					if security == StartTLS {
						s.send("* OK [CAPABILITY STARTTLS X-BEFORE] hello\r\n")
						// Whoever stands between puts an answer behind the last line in clear.
						s.play(step{"STARTTLS", "TAG OK go\r\n* CAPABILITY X-INJECTED\r\nr2 OK forged\r\n"})
					}
					secure := tls.Server(s.conn, &tls.Config{Certificates: []tls.Certificate{cert}})
					s.conn, s.in = secure, bufio.NewReader(secure)
					if security == TLS {
						s.send("* OK hello\r\n")
					}
					s.play(step{"CAPABILITY", "* CAPABILITY X-AFTER AUTH=EXTERNAL SASL-IR\r\nTAG OK\r\n"})
					s.play(step{"AUTHENTICATE EXTERNAL =", "TAG NO no\r\n"})
				})
				if !c.ok { // nobody will speak to the scripted server
					address = listen(t, func(s *scripted) {
						if security == StartTLS {
							s.send("* OK hello\r\n")
							s.play(step{"STARTTLS", "TAG OK go\r\n"})
						}
						tls.Server(s.conn, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
					})
				}
				c.o.Security = security
				client, err := Dial(t.Context(), address, c.o)
				if !c.ok {
					if reason, _ := ReasonOf(err); reason != ReasonTLS {
						t.Fatalf("dial = %v, want reason %d", err, ReasonTLS)
					}
					return
				}
				if err != nil {
					t.Fatalf("dial = %v", err)
				}
				defer client.Close()
				if reason, _ := ReasonOf(client.Login(t.Context(), Credentials{Mechanism: "EXTERNAL"})); reason != ReasonAuth {
					t.Errorf("login = reason %d, want %d", reason, ReasonAuth)
				}
				if client.caps["X-INJECTED"] || client.caps["X-BEFORE"] {
					t.Errorf("capabilities from before TLS count: %v", client.caps)
				}
			})
		}
	}
}

// A server that asks for a certificate is shown ours, whatever authorities it names; one that refuses it, in TLS 1.3 only
// after the handshake, is an error of TLS that nobody cures by trying again.
func TestClientCertificate(t *testing.T) {
	cert, own := certificate(t), certificate(t)
	parsed, err := x509.ParseCertificate(own.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	known, others := x509.NewCertPool(), x509.NewCertPool()
	known.AddCert(parsed)
	if other, err := x509.ParseCertificate(cert.Certificate[0]); err == nil {
		others.AddCert(other)
	}
	for name, test := range map[string]struct {
		show *tls.Certificate
		cas  *x509.CertPool
		auth tls.ClientAuthType
		ok   bool
	}{
		"known":               {&own, known, tls.RequireAndVerifyClientCert, true},
		"any, of another's":   {&own, others, tls.RequireAnyClientCert, true},
		"unknown":             {&own, others, tls.RequireAndVerifyClientCert, false},
		"none, though wanted": {nil, known, tls.RequireAndVerifyClientCert, false},
	} {
		t.Run(name, func(t *testing.T) {
			address := listen(t, func(s *scripted) {
				secure := tls.Server(s.conn, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: test.auth, ClientCAs: test.cas})
				if secure.Handshake() == nil {
					io.WriteString(secure, "* OK hello\r\n")
				}
			})
			o := Options{Fingerprint: sha256.Sum256(cert.Certificate[0]), Certificate: test.show}
			client, err := Dial(t.Context(), address, o)
			if err == nil {
				client.Close()
			}
			if reason, _ := ReasonOf(err); (err == nil) != test.ok || err != nil && reason != ReasonTLS {
				t.Errorf("dial = %v, want it to succeed: %v, or else reason %d", err, test.ok, ReasonTLS)
			}
		})
	}
}

// A server that does not offer STARTTLS, or that logs in before it, is refused: nothing is said in clear.
func TestStartTLSRefused(t *testing.T) {
	for _, greeting := range []string{"* OK hello", "* PREAUTH hello"} {
		address := listen(t, func(s *scripted) {
			s.send(greeting + "\r\n")
			if tag, command := s.command(); command == "STARTTLS" {
				s.send(tag + " BAD what\r\n")
				if _, more := s.command(); more != "end of connection" {
					t.Errorf("said in clear: %q", more)
				}
			}
		})
		_, err := Dial(t.Context(), address, Options{Security: StartTLS})
		if reason, _ := ReasonOf(err); reason != ReasonTLS {
			t.Errorf("after %q dial = %v, want reason %d", greeting, err, ReasonTLS)
		}
	}
}

// A server that accepts the connection and then says nothing is no connection, wherever it falls silent: neither a failure of
// TLS, nor the end of the caller's own time.
func TestSilentServer(t *testing.T) {
	silent := func(s *scripted) { io.Copy(io.Discard, s.conn) }
	for name, c := range map[string]struct {
		security Security
		serve    func(*scripted)
	}{
		"before TLS":           {TLS, silent},
		"before the greeting":  {Plaintext, silent},
		"behind STARTTLS":      {StartTLS, func(s *scripted) { s.send("* OK hello\r\n"); s.play(step{"STARTTLS", "TAG OK go\r\n"}); silent(s) }},
		"in place of STARTTLS": {StartTLS, func(s *scripted) { s.send("* OK hello\r\n"); silent(s) }},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Dial(t.Context(), listen(t, c.serve), Options{Security: c.security, Timeout: 100 * time.Millisecond})
			if reason, ok := ReasonOf(err); !ok || reason != ReasonConnection || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Dial = %v, reason %v; want reason %v, and no error of a context", err, reason, ReasonConnection)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if _, err := Dial(ctx, listen(t, c.serve), Options{Security: c.security}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Dial with a deadline of the caller's = %v, want %v", err, context.DeadlineExceeded)
			}
		})
	}
}
