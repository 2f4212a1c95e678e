package imap

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Security is how a connection is made safe.
type Security uint8

// The ways, the safest first.
const (
	TLS       Security = iota // from the first octet (RFC 8314)
	StartTLS                  // before anything else is said; a server that does not offer it is refused
	Plaintext                 // never
)

// Options adjust Dial; the zero value is TLS, verified, with the system's authorities.
type Options struct {
	Security    Security
	ServerName  string            // the name that the certificate must have; default: the host of the address
	Roots       *x509.CertPool    // authorities; default: the system's
	Fingerprint [sha256.Size]byte // if not zero: SHA-256 of the server's certificate, asked in place of all authorities
	Certificate *tls.Certificate  // shown to a server that asks who we are; nil: none
	Timeout     time.Duration     // without an answer for that long the connection is dead; default one minute
	NoCompress  bool              // do not ask for COMPRESS=DEFLATE, which Login else does where it is offered
	WireLog     io.Writer         // takes what is said, without secrets and messages; it may be shared; default: nobody
	Alert       func(text string) // takes what the server wants its users to read (ALERT)

	// MaxLiteral bounds what is skipped or buffered of a literal, in octets; a larger one ends the connection. Default 2 GiB.
	MaxLiteral int64
}

const (
	defaultTimeout    = time.Minute
	defaultMaxLiteral = 2 << 30
)

// Dial connects to a server at address (host:port), makes the connection safe and reads the greeting. Login is next.
func Dial(ctx context.Context, address string, o Options) (*Client, error) {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxLiteral <= 0 {
		o.MaxLiteral = defaultMaxLiteral
	}
	if o.ServerName == "" {
		o.ServerName, _, _ = net.SplitHostPort(address)
	}
	dialCtx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	var d net.Dialer
	raw, err := d.DialContext(dialCtx, "tcp", address)
	if err != nil {
		return nil, &Error{Op: "dial", Reason: ReasonConnection, Err: ownDeadline(ctx, dialCtx, o.Timeout, err)}
	}
	c := newClient(raw, o)
	if o.Security == TLS {
		if err := c.startTLS(ctx); err != nil {
			raw.Close()
			return nil, err
		}
	}
	if err := c.greet(ctx); err != nil {
		c.Close()
		return nil, err
	}
	if o.Security == StartTLS {
		if err := c.upgrade(ctx); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// NewClient makes a client of a connection that stands already, such as a pipe to a server that was started with
// PREAUTH, and reads the greeting. Options about TLS do not count.
func NewClient(ctx context.Context, conn net.Conn, o Options) (*Client, error) {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxLiteral <= 0 {
		o.MaxLiteral = defaultMaxLiteral
	}
	c := newClient(conn, o)
	if err := c.greet(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func newClient(raw net.Conn, o Options) *Client {
	c := &Client{opts: o, conn: &patientConn{Conn: raw, timeout: o.Timeout}}
	c.reader, c.writer = NewReader(c.conn), NewWriter(c.conn)
	var mu sync.Mutex
	c.reader.Log, c.writer.Log = wireLog(&mu, o.WireLog, "S:"), wireLog(&mu, o.WireLog, "C:")
	c.writer.Wait = c.awaitContinuation
	return c
}

// greet reads the greeting.
func (c *Client) greet(ctx context.Context) error {
	var greeting StatusResponse
	stop := c.watch(ctx)
	err := func() error {
		t, err := c.reader.Next()
		if err != nil {
			return err
		}
		if !t.IsAtom("*") {
			return fmt.Errorf("the server does not greet as an IMAP server does")
		}
		if t, err = c.reader.Next(); err != nil {
			return err
		}
		greeting.Type = upper(t.Bytes)
		text, err := c.reader.Text()
		greeting.Code, greeting.Text = parseStatusText(text)
		return err
	}()
	if stopped := stop(); stopped != nil {
		err = stopped
	}
	if err != nil {
		return c.fail("greeting", err)
	}
	switch greeting.Type {
	case "OK":
	case "PREAUTH":
		c.preauth = true
	default: // QUIRK: IceWarp greets with NO where others say BYE
		e := replyError("greeting", greeting)
		if e.Reason == ReasonNo || e.Reason == ReasonBad {
			e.Reason = ReasonConnection
		}
		c.err = e
		c.conn.Close()
		return e
	}
	c.takeCode(greeting.Code, greeting.Text, nil)
	return nil
}

// upgrade is STARTTLS. What the server said before counts for nothing afterwards, neither its capabilities nor what is
// left in a buffer: anybody on the way may have put it there (RFC 9051, 6.2.1).
func (c *Client) upgrade(ctx context.Context) error {
	if c.preauth {
		return &Error{Op: "STARTTLS", Reason: ReasonTLS, Err: errors.New("the server logs us in before TLS")}
	}
	if err := c.run(ctx, "STARTTLS", &Pending{}, nil); err != nil {
		var e *Error
		if errors.As(err, &e) && (e.Reason == ReasonNo || e.Reason == ReasonBad) {
			e.Reason = ReasonTLS
		}
		return err
	}
	c.caps = nil
	return c.startTLS(ctx)
}

// startTLS puts TLS on the connection.
func (c *Client) startTLS(ctx context.Context) error {
	config := &tls.Config{ServerName: c.opts.ServerName, RootCAs: c.opts.Roots, MinVersion: tls.VersionTLS12}
	if own := c.opts.Certificate; own != nil {
		// Whatever authorities the server names: it may name others than those that it takes.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
	}
	if pin := c.opts.Fingerprint; pin != [sha256.Size]byte{} {
		// The fingerprint takes the place of the chain; the handshake still proves that the server has the key.
		config.InsecureSkipVerify = true
		config.VerifyConnection = func(state tls.ConnectionState) error {
			got := sha256.Sum256(state.PeerCertificates[0].Raw)
			if subtle.ConstantTimeCompare(got[:], pin[:]) != 1 {
				return fmt.Errorf("the certificate has the fingerprint %x, not the pinned one", got)
			}
			return nil
		}
	}
	t := tls.Client(c.conn, config)
	handshake, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	if err := t.HandshakeContext(handshake); err != nil {
		reason := ReasonTLS
		var network *net.OpError
		if handshake.Err() != nil || errors.As(err, &network) && network.Op != "remote error" && network.Op != "local error" || errors.Is(err, io.EOF) {
			reason = ReasonConnection
		}
		c.err = &Error{Op: "TLS", Reason: reason, Err: ownDeadline(ctx, handshake, c.opts.Timeout, err)}
		c.conn.Close()
		return c.err
	}
	c.secure = true
	c.reader.Reset(t)
	c.writer.Reset(t)
	return nil
}

// ownDeadline is err, or if that came of our own deadline and not of the caller's, an error that says so: who finds a
// context's error in what we return takes it for his own.
func ownDeadline(ctx, own context.Context, timeout time.Duration, err error) error {
	if ctx.Err() == nil && own.Err() != nil {
		return fmt.Errorf("no answer within %v", timeout)
	}
	return err
}
