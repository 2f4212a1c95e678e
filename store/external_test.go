package store_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roost/mail"
	"roost/peer"
	"roost/store"
)

// issuer signs certificates of clients.
type issuer struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newIssuer makes an authority; its certificate is in dir/name.pem.
func newIssuer(t *testing.T, dir, name string) *issuer {
	t.Helper()
	i := &issuer{t: t, dir: dir}
	i.cert, i.key = i.issue(name, true)
	return i
}

// issue makes a certificate for a name, in name.pem and name.key.
func (i *issuer) issue(name string, authority bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	parent, signer := i.cert, i.key
	if authority {
		template.IsCA, template.KeyUsage, template.ExtKeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		i.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		i.t.Fatal(err)
	}
	i.write(name+".pem", &pem.Block{Type: "CERTIFICATE", Bytes: der})
	i.write(name+".key", &pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	i.write(name+".both", &pem.Block{Type: "CERTIFICATE", Bytes: der}, &pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		i.t.Fatal(err)
	}
	return cert, key
}

func (i *issuer) write(name string, blocks ...*pem.Block) {
	i.t.Helper()
	var text []byte
	for _, b := range blocks {
		text = append(text, pem.EncodeToMemory(b)...)
	}
	if err := os.WriteFile(filepath.Join(i.dir, name), text, 0o644); err != nil {
		i.t.Fatal(err)
	}
}

// On a Dovecot that asks for certificates EXTERNAL logs in as whom the certificate names, without a password; a password
// works beside one; and without one of the right authority there is no login.
func TestClientCertificates(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	good := newIssuer(t, dir, "authority")
	good.issue("alice", false)
	newIssuer(t, dir, "stranger").issue("mallory", false)
	server := peer.Dovecot(t, peer.DovecotOptions{Extra: `
auth_mechanisms = plain external
ssl_ca = <` + filepath.Join(dir, "authority.pem") + `
ssl_require_crl = no
ssl_verify_client_cert = yes
auth_ssl_require_client_cert = yes
auth_ssl_username_from_cert = yes
ssl_cert_username_field = commonName
passdb {
  driver = static
  mechanisms = external
  args = nopassword=y
}
`})
	file := func(name string) string { return url.QueryEscape(filepath.Join(dir, name)) }
	ca := "?ca=" + url.QueryEscape(server.CertificatePath)
	for name, test := range map[string]struct {
		location string
		password string
		want     error
		user     string
	}{
		"by the certificate alone":       {"imaps://" + server.IMAPSAddr + ca + "&mech=EXTERNAL&cert=" + file("alice.pem") + "&key=" + file("alice.key"), "", nil, "alice"},
		"by STARTTLS, both in one file":  {"imap://" + server.IMAPAddr + ca + "&mech=external&cert=" + file("alice.both"), "", nil, "alice"},
		"with a password beside it":      {"imaps://alice@" + server.IMAPSAddr + ca + "&mech=PLAIN&cert=" + file("alice.both"), peer.Password, nil, "alice"},
		"without a certificate":          {"imaps://alice@" + server.IMAPSAddr + ca + "&mech=PLAIN", peer.Password, mail.ErrAuth, ""},
		"with one of another authority":  {"imaps://" + server.IMAPSAddr + ca + "&mech=EXTERNAL&cert=" + file("mallory.both"), "", mail.ErrAuth, ""},
		"EXTERNAL without a certificate": {"imaps://alice@" + server.IMAPSAddr + ca + "&mech=EXTERNAL", "", errAny, ""},
		"a key of another certificate":   {"imaps://" + server.IMAPSAddr + ca + "&mech=EXTERNAL&cert=" + file("alice.pem") + "&key=" + file("mallory.key"), "", errAny, ""},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			s, err := store.Open(t.Context(), test.location, store.Options{Password: func(context.Context) (string, error) {
				asked++
				return test.password, nil
			}})
			if test.want != nil {
				if err == nil {
					s.Close()
				}
				if err == nil || test.want != errAny && !errors.Is(err, test.want) {
					t.Errorf("Open = %v, want %v", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatalf("Open = %v", err)
			}
			defer s.Close()
			if external := test.password == ""; external != (asked == 0) {
				t.Errorf("the password was asked for %d times", asked)
			}
			raw := "Subject: hello\r\n\r\n"
			if _, err := s.Append(t.Context(), mail.Inbox, mail.Message{Size: int64(len(raw))}, strings.NewReader(raw)); err != nil {
				t.Errorf("Append = %v", err)
			}
			if got := server.Doveadm(t, "search", "-u", test.user, "mailbox", "INBOX", "subject", "hello"); got == "" {
				t.Errorf("the message is not in the INBOX of %s", test.user)
			}
			if id := s.(mail.Identifier).Identity(); !strings.HasPrefix(id, "imap://"+test.user+"@") {
				t.Errorf("Identity() = %q, want it to name %s", id, test.user)
			}
		})
	}
}

var errAny = errors.New("any error")
