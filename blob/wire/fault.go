package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"roost/blob"
)

// Fault says what an error of a round trip, or of a body on its way, means to a bucket. That a context ended it is
// the caller's to see.
func Fault(err error) error {
	if err == nil {
		return nil
	}
	// The wrapper repeats method and URL, and the URL's text is for no one else.
	if u := (*url.Error)(nil); errors.As(err, &u) {
		err = u.Err
	}
	switch {
	case untrusted(err):
		return fmt.Errorf("%w: %w", blob.ErrUntrusted, err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return blob.Temporary(fmt.Errorf("%w: it was cut", blob.ErrConnect))
	}
	return blob.Temporary(fmt.Errorf("%w: %w", blob.ErrConnect, err))
}

// untrusted tells whether TLS found that the server is not the one we want to talk to.
func untrusted(err error) bool {
	var verify *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var alert tls.AlertError
	return errors.As(err, &verify) || errors.As(err, &authority) || errors.As(err, &name) || errors.As(err, &invalid) ||
		errors.As(err, &record) || errors.As(err, &alert) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client")
}

// Status says what the status of an answer that is no success means to a bucket; detail is what the server said, or "".
func Status(code int, detail string) error {
	text := fmt.Sprintf("%d %s", code, http.StatusText(code))
	if detail != "" {
		text += ": " + detail
	}
	switch code {
	case http.StatusNotFound:
		return blob.ErrNotExist
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return fmt.Errorf("%w: %s", blob.ErrAccess, text)
	case http.StatusInsufficientStorage:
		return fmt.Errorf("%w: %s", blob.ErrNoSpace, text)
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return blob.Temporary(fmt.Errorf("%w: %s", blob.ErrBusy, text))
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return errors.New(text)
	case http.StatusRequestTimeout, http.StatusTooEarly, 499:
		return blob.Temporary(errors.New(text))
	}
	if code >= 500 {
		return blob.Temporary(errors.New(text))
	}
	return errors.New(text)
}
