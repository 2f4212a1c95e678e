package imap

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	wire "roost/imap"
	"roost/mail"
)

var (
	_ mail.Store        = (*Store)(nil)
	_ mail.BulkAppender = (*Store)(nil)
	_ mail.Subscriber   = (*Store)(nil)
	_ mail.RoleCreator  = (*Store)(nil)
	_ mail.Identifier   = (*Store)(nil)
)

// Options say which server, which account and how.
type Options struct {
	Host     string
	Port     int           // default 993, without TLS from the first octet 143
	Security wire.Security // the zero value is TLS from the first octet

	User      string                                    // who logs in; a master user in the server's own form, as "alice*master"
	ActAs     string                                    // authorisation identity: whose mail it is; "" is User's
	ProxyAuth string                                    // the same, by a PROXYAUTH command after the login
	Mechanism string                                    // of SASL; "" chooses
	Secret    func(ctx context.Context) (string, error) // password or token, asked for at each login but by EXTERNAL; nil: ""

	ServerName  string            // that the certificate must have; default Host
	Roots       *x509.CertPool    // authorities; default the system's
	Fingerprint [sha256.Size]byte // if not zero: SHA-256 of the server's certificate, asked in place of all authorities
	Certificate *tls.Certificate  // shown to a server that asks who we are, and what Mechanism EXTERNAL goes by; nil: none

	Connections int           // that fetch bodies, at most; default 3. What else is asked takes half as many more
	Timeout     time.Duration // without an answer for that long a connection is dead; default one minute
	NoCompress  bool          // do not ask for COMPRESS

	Shared  bool         // list the mailboxes of other users and shared ones too
	Log     *slog.Logger // takes what the server wants known, and retries; default nobody
	WireLog io.Writer    // takes the dialogue, without secrets and messages; default nobody
}

// Store is an account on a server. It is safe for concurrent use.
type Store struct {
	options Options
	bodies  slots // connections of Fetch: a slow reader of a Fetch must not keep others from asking
	control slots // connections of all else

	mu        sync.Mutex // guards what follows
	closed    bool
	idle      []*conn                  // logged in, nobody uses them
	noQResync bool                     // the server does not answer to ENABLE QRESYNC
	noBundles bool                     // the server does not take several messages by one command, whatever it says
	layout    *layout                  // how names are spelled; nil: not asked yet
	raw       map[mail.Name]string     // names as the server spells them, of the last list and what was created since
	validity  map[mail.Name]uint32     // UIDVALIDITY that keys refer to, from the last Changes
	permanent map[mail.Name]permission // which flags may be set, from the last SELECT
}

const defaultConnections = 3

// Open connects and logs in, so that what is wrong with either is known at once.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.Connections <= 0 {
		o.Connections = defaultConnections
	}
	if o.Port == 0 {
		o.Port = 993
		if o.Security != wire.TLS {
			o.Port = 143
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		options:   o,
		bodies:    newSlots(o.Connections),
		control:   newSlots(max(1, o.Connections/2)),
		raw:       make(map[mail.Name]string),
		validity:  make(map[mail.Name]uint32),
		permanent: make(map[mail.Name]permission),
	}
	err := s.ask(ctx, func(c *conn) error {
		_, err := s.namesOf(ctx, c)
		return err
	})
	if err != nil {
		s.Close()
		return nil, fault("open", "", err)
	}
	return s, nil
}

// Identity is the URL of the account, as "imap://alice@mail.example.com". The two ports of IMAP lead to the same mail, so only
// another one is named. Without a name the certificate's stands there.
func (s *Store) Identity() string {
	user := s.options.User
	for _, as := range []string{s.options.ActAs, s.options.ProxyAuth} {
		if as != "" {
			user = as
		}
	}
	if own := s.options.Certificate; user == "" && own != nil && own.Leaf != nil {
		user = own.Leaf.Subject.CommonName
	}
	where := s.address()
	if s.options.Port == 143 || s.options.Port == 993 {
		where = s.options.Host
	}
	return fmt.Sprintf("imap://%s@%s", user, where)
}

func (s *Store) address() string {
	return net.JoinHostPort(s.options.Host, strconv.Itoa(s.options.Port))
}

// Close closes all connections. Calls under way end with an error.
func (s *Store) Close() error {
	s.mu.Lock()
	idle := s.idle
	s.idle, s.closed = nil, true
	s.mu.Unlock()
	for _, c := range idle {
		c.Close()
	}
	return nil
}
