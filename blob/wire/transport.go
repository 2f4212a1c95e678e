// Package wire is the way of octets to a server and back: how fast they may go, whom they are given to, when the other side
// is taken for dead, and what an error on the way means to a bucket. It knows nothing of objects.
package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// DefaultTimeout is how long a request may stand still before it is given up. Servers in front of slow storage take their time
// to answer the last octet of an object.
const DefaultTimeout = 5 * time.Minute

// errStalled says that neither side sent an octet for too long.
var errStalled = errors.New("the server stopped to answer")

// Options adjusts a transport; the zero value is right for most.
type Options struct {
	Connections int           // kept open for the next request; default 5
	Up, Down    *Limit        // of bodies; nil: none
	Timeout     time.Duration // without an octet either way, a request is given up; default DefaultTimeout
	CA          string        // a file of authorities, in PEM, in place of the system's; "": those
	Insecure    bool          // take any certificate: whoever stands in the way can then read passwords and replace objects
	Certificate string        // a file of our certificate and its key, in PEM, for servers that want one; "": none
}

// NewTransport returns what makes HTTP requests. It speaks HTTP/1.1: several connections carry more than one that is shared.
func NewTransport(o Options) (http.RoundTripper, error) {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Connections == 0 {
		o.Connections = 5
	}
	secured, err := security(o)
	if err != nil {
		return nil, err
	}
	connect := min(o.Timeout, 30*time.Second)
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connect, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   connect,
		TLSClientConfig:       secured,
		MaxIdleConns:          2 * o.Connections, // locks come beside
		MaxIdleConnsPerHost:   2 * o.Connections,
		IdleConnTimeout:       90 * time.Second,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true, // objects are; and a length that the server says is then the object's
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        64 << 10,
		TLSNextProto:          map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	return &transport{t, o}, nil
}

// security is whom we trust, and who we are.
func security(o Options) (*tls.Config, error) {
	trust, err := authorities(o.CA)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{RootCAs: trust, MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.Insecure}
	if o.Certificate != "" {
		own, err := tls.LoadX509KeyPair(o.Certificate, o.Certificate)
		if err != nil {
			return nil, fmt.Errorf("read the client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}

// authorities reads a file of certificates; nil, the system's, for "".
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read the authorities: %s holds no certificate in PEM", file)
	}
	return pool, nil
}

// transport makes requests at the speed and with the patience of its options.
type transport struct {
	base *http.Transport
	o    Options
}

// CloseIdleConnections is what http.Client asks for.
func (t *transport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	w := &watch{timeout: t.o.Timeout, cancel: cancel}
	w.timer = time.AfterFunc(w.timeout, w.stall)
	req = req.Clone(ctx)
	if req.Body != nil {
		req.Body = &body{Reader: t.o.Up.Reader(req.Body), Closer: req.Body, watch: w}
	}
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		w.end()
		return nil, w.explain(err)
	}
	w.moved()
	resp.Body = &body{Reader: t.o.Down.Reader(resp.Body), Closer: resp.Body, watch: w, last: true}
	return resp, nil
}

// watch ends a request in which nothing moves.
type watch struct {
	timeout time.Duration
	timer   *time.Timer
	cancel  context.CancelCauseFunc
	stalled atomic.Bool
}

func (w *watch) stall() {
	w.stalled.Store(true)
	w.cancel(errStalled)
}

func (w *watch) moved() { w.timer.Reset(w.timeout) }

func (w *watch) end() {
	w.timer.Stop()
	w.cancel(nil)
}

// explain returns errStalled for what the transport says of a request that we ended.
func (w *watch) explain(err error) error {
	if w.stalled.Load() {
		return fmt.Errorf("%w for %v", errStalled, w.timeout)
	}
	return err
}

// body is one of a request's two bodies.
type body struct {
	io.Reader
	io.Closer
	watch *watch
	last  bool // the request ends with it
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if n > 0 {
		b.watch.moved()
	}
	if err != nil && err != io.EOF {
		err = b.watch.explain(err)
	}
	return n, err
}

func (b *body) Close() error {
	if b.last {
		defer b.watch.end()
	}
	return b.Closer.Close()
}
