package imaptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// Server is a running server.
type Server struct {
	Addr    string // of IMAP, with STARTTLS if the dialect has it
	TLSAddr string // of IMAP over TLS from the first octet

	Certificate       *x509.Certificate // self-signed, for localhost and 127.0.0.1
	CertificateSHA256 [32]byte          // its fingerprint

	account *Account
	dialect Dialect
	tls     *tls.Config
	running sync.WaitGroup

	mu       sync.Mutex // guards what follows
	sessions map[*Session]bool
	accepted int
	most     int // sessions at the same time
	commands []Command
	closed   bool
}

// Start serves an account in a dialect until the test ends.
func Start(t testing.TB, account *Account, dialect Dialect) *Server {
	t.Helper()
	if dialect.Capabilities == nil {
		dialect.Capabilities = Everything()
	}
	if dialect.AfterLogin == nil {
		dialect.AfterLogin = dialect.Capabilities
	}
	s := &Server{account: account, dialect: dialect, sessions: map[*Session]bool{}}
	s.makeCertificate(t)
	var listeners []net.Listener
	for _, addr := range []*string{&s.Addr, &s.TLSAddr} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("start the IMAP server: %v", err)
		}
		*addr = l.Addr().String()
		listeners = append(listeners, l)
	}
	for i, l := range listeners {
		s.running.Go(func() { s.accept(l, i == 1) })
	}
	t.Cleanup(func() {
		for _, l := range listeners {
			l.Close()
		}
		s.CloseConnections()
		s.running.Wait()
		if t.Failed() {
			for _, c := range s.Commands() {
				t.Logf("connection %d: %s %.300s", c.Connection, c.Tag, c.Text)
			}
		}
	})
	return s
}

func (s *Server) makeCertificate(t testing.TB) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if s.Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	s.CertificateSHA256 = sha256.Sum256(der)
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

// accept takes connections until the listener is closed.
func (s *Server) accept(l net.Listener, encrypted bool) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		session := s.open(conn, encrypted)
		if session == nil {
			conn.Close()
			continue
		}
		s.running.Go(func() {
			session.serve()
			conn.Close()
			s.mu.Lock()
			delete(s.sessions, session)
			s.mu.Unlock()
		})
	}
}

// open makes the session of a connection, nil if the server is closing.
func (s *Server) open(conn net.Conn, encrypted bool) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	session := newSession(s, s.accepted, conn, encrypted)
	s.accepted++
	s.sessions[session] = true
	s.most = max(s.most, len(s.sessions))
	return session
}

// CloseConnections cuts every connection and turns new ones away.
func (s *Server) CloseConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for session := range s.sessions {
		session.base.Close()
	}
}

// count is the number of sessions now.
func (s *Server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Connections is how many connections were made so far, and how many at most at the same time.
func (s *Server) Connections() (all, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accepted, s.most
}

func (s *Server) record(c Command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, c)
}

// Commands is what the clients sent so far, in the order it arrived. Passwords are not hidden.
func (s *Server) Commands() []Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands)
}

// Forget empties the list of commands, for the next run of a client.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = nil
}
