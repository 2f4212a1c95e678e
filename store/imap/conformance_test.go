package imap_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"roost/mail"
	"roost/peer"
	"roost/store/imap"
	"roost/store/imap/imaptest"
	"roost/store/storetest"

	wire "roost/imap"
)

// options reach a server at address over TLS from the first octet.
func options(t testing.TB, address, user string, roots *x509.CertPool) imap.Options {
	t.Helper()
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		t.Fatal(err)
	}
	return imap.Options{
		Host: host, Port: port, Roots: roots, User: user,
		Secret: func(context.Context) (string, error) { return peer.Password, nil },
	}
}

// open opens a store that is closed when the test ends.
func open(t *testing.T, o imap.Options) *imap.Store {
	t.Helper()
	s, err := imap.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("Open(%s) = %v, want nil", o.User, err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close() = %v, want nil", err)
		}
	})
	return s
}

// authority is the pool of one certificate, in PEM.
func authority(t testing.TB, path string) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		t.Fatalf("%s holds no certificate", path)
	}
	return pool
}

// fake serves an account in a dialect, and returns how to reach it.
func fake(t *testing.T, account *imaptest.Account, dialect imaptest.Dialect) (*imaptest.Server, imap.Options) {
	t.Helper()
	server := imaptest.Start(t, account, dialect)
	o := options(t, server.TLSAddr, "alice", nil)
	o.Fingerprint = server.CertificateSHA256
	o.Secret = func(context.Context) (string, error) { return imaptest.Secret, nil }
	return server, o
}

// crlf is what IMAP makes of a message.
func crlf(raw []byte) []byte {
	text := strings.ReplaceAll(string(raw), "\r\n", "\n")
	return []byte(strings.ReplaceAll(text, "\n", "\r\n"))
}

func holdsNUL(raw []byte) bool { return bytes.IndexByte(raw, 0) >= 0 }

// dovecotStores is what Dovecot makes of a message: it takes a CR before a line end, or at the end, for part of it.
func dovecotStores(raw []byte) []byte {
	return bytes.TrimSuffix(bytes.ReplaceAll(crlf(raw), []byte("\r\r\n"), []byte("\r\n")), []byte("\r"))
}

func dovecotRefuses(raw []byte) bool {
	return holdsNUL(raw) || len(raw) == 0 || bytes.HasPrefix(raw, []byte("\x1f\x8b"))
}

// isFuture reports whether Dovecot replaces a date by that of today.
func isFuture(date time.Time) bool { return date.After(time.Now()) }

// dovecotRefusesName reports whether Dovecot refuses a name.
func dovecotRefusesName(format, separator string) func(mail.Name) bool {
	refuses := refusesName(separator)
	return func(name mail.Name) bool {
		for i, c := range name.Components() {
			switch {
			case strings.ContainsFunc(c, unicode.IsControl), c == ".", c == "..", format == "maildir" && len(c) > 250, i == 0 && strings.HasPrefix(c, "~"):
				return true
			case format == "maildir" && strings.ContainsAny(c, "./"):
				return true
			}
		}
		return refuses(name)
	}
}

// cyrusStores is what Cyrus makes of a message: 8-bit octets in the header become "X".
func cyrusStores(raw []byte) []byte {
	raw = crlf(raw)
	header, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	for i := range header {
		if raw[i] >= 0x80 {
			raw[i] = 'X'
		}
	}
	return raw
}

// cyrusRefuses reports whether Cyrus does not take a message: its first line must be a field, or empty, and have an end.
func cyrusRefuses(raw []byte) bool {
	first, _, ended := bytes.Cut(raw, []byte("\n"))
	isField := bytes.Contains(first, []byte(":")) || bytes.HasPrefix(first, []byte("From ")) || len(bytes.TrimSpace(first)) == 0
	return holdsNUL(raw) || len(raw) == 0 || !isField || !ended
}

// cyrusRefusesName reports whether Cyrus refuses a name.
func cyrusRefusesName(name mail.Name) bool {
	return refusesName("/")(name) || strings.ContainsFunc(strings.Join(name.Components(), ""), func(r rune) bool {
		return unicode.IsControl(r) || strings.ContainsRune(`%\"`, r)
	})
}

// losesFlag reports whether a flag is one that IMAP cannot carry or no server lets us make.
func losesFlag(flag string) bool {
	return !wire.IsFlag(flag) || flag == `\X-Unknown`
}

// refusesName reports whether a name cannot be had where "/" parts the levels.
func refusesName(separator string) func(mail.Name) bool {
	return func(name mail.Name) bool {
		for _, c := range name.Components() {
			if c == "" || strings.Contains(c, separator) || strings.ToValidUTF8(c, "") != c || strings.ContainsRune(c, 0) {
				return true
			}
		}
		return false
	}
}

// The driver holds the contract on a server that can everything, and on one that can next to nothing.
func TestConformsOnDialects(t *testing.T) {
	t.Parallel()
	for name, capabilities := range map[string][]string{
		"everything":      imaptest.Everything(),
		"without QRESYNC": imaptest.Without(imaptest.Everything(), "QRESYNC"),
		"without CONDSTORE, LITERAL+ and LIST-STATUS": imaptest.Without(imaptest.Everything(),
			"QRESYNC", "CONDSTORE", "LITERAL+", "LIST-STATUS", "LIST-EXTENDED", "MOVE"),
		"compressed": imaptest.With(imaptest.Everything(), "COMPRESS=DEFLATE"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) mail.Store {
				account := imaptest.NewAccount()
				account.Create("INBOX")
				_, o := fake(t, account, imaptest.Dialect{Capabilities: capabilities})
				return open(t, o)
			}, storetest.Options{
				Stored: crlf, Refuses: holdsNUL, LosesFlag: losesFlag, RefusesName: refusesName("/"), Many: 200, Large: 3 << 20,
			})
		})
	}
}

// The driver holds the contract on Dovecot, in each of its formats.
func TestConformsOnDovecot(t *testing.T) {
	t.Parallel()
	for _, o := range []peer.DovecotOptions{
		{Format: "maildir"},
		{Format: "sdbox"},
		{Format: "mdbox"},
		{Format: "maildir", Separator: ".", Prefix: "INBOX."},
	} {
		separator := o.Separator
		if separator == "" {
			separator = "/"
		}
		t.Run(strings.TrimSpace(o.Format+" "+o.Prefix), func(t *testing.T) {
			if testing.Short() && o != (peer.DovecotOptions{Format: "maildir"}) {
				t.Skip("one format is enough for a short test")
			}
			t.Parallel()
			server := peer.Dovecot(t, o)
			roots := authority(t, server.CertificatePath)
			var users atomic.Int64
			storetest.Run(t, func(t *testing.T) mail.Store {
				return open(t, options(t, server.IMAPSAddr, fmt.Sprintf("user%d", users.Add(1)), roots))
			}, storetest.Options{
				Stored: dovecotStores, Refuses: dovecotRefuses, LosesFlag: losesFlag, LosesDate: isFuture,
				RefusesName: dovecotRefusesName(o.Format, separator), Many: 200, Large: 3 << 20,
			})
		})
	}
}

// The driver holds the contract on Cyrus.
func TestConformsOnCyrus(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	server := peer.Cyrus(t)
	roots := authority(t, server.CertificatePath)
	var users atomic.Int64
	storetest.Run(t, func(t *testing.T) mail.Store {
		user := fmt.Sprintf("user%d", users.Add(1))
		server.AddUser(t, user)
		return open(t, options(t, server.IMAPSAddr, user, roots))
	}, storetest.Options{
		Stored: cyrusStores, Refuses: cyrusRefuses, LosesFlag: losesFlag, RefusesName: cyrusRefusesName,
		KeepsParents: true, Many: 200, Large: 3 << 20,
	})
}

// openStore opens a store that is closed when the test ends, if it opens.
func openStore(t *testing.T, o imap.Options) (*imap.Store, error) {
	t.Helper()
	s, err := imap.Open(t.Context(), o)
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}
