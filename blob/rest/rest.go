// Package rest reaches buckets on a server that speaks restic's REST protocol (https://restic.readthedocs.io, "REST Backend"):
// rest-server, and rclone serve restic.
//
//	POST   URL/?create=true       make the place
//	HEAD   URL/config             likewise GET, POST, DELETE
//	HEAD   URL/KIND/NAME          likewise GET, POST, DELETE; KIND is data, keys, locks, snapshots, index
//	GET    URL/KIND/              the list, in version 2: [{"name": NAME, "size": OCTETS}, ...]
package rest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"roost/blob"
	"roost/blob/wire"
)

// version2 is what a request for a list names, and its answer, if names come with sizes.
const version2 = "application/vnd.x.restic.rest.v2"

// Place is where the bucket is, and who we are there.
type Place struct {
	URL            *url.URL // http or https, without a user; its path ends with a slash
	User, Password string   // HTTP Basic; "": nobody
}

// Bucket is a blob.Driver.
type Bucket struct {
	place  Place
	client *http.Client
}

// New returns the bucket at p, without looking whether there is one.
func New(p Place, t http.RoundTripper) *Bucket {
	// A redirection would turn POST into GET, and send the password elsewhere.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Bucket{place: p, client: &http.Client{Transport: t, CheckRedirect: stay}}
}

// object is the URL of h.
func (b *Bucket) object(h blob.Handle) string {
	if h.Kind == blob.Config {
		return b.place.URL.JoinPath("config").String()
	}
	return b.place.URL.JoinPath(h.Kind.String(), h.Name).String()
}

// do makes a request. The answer's body is closed unless it is a success.
func (b *Bucket) do(ctx context.Context, method, target string, body []byte, header ...string) (*http.Response, error) {
	var content io.Reader
	if method == http.MethodPost {
		content = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, target, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", version2)
	req.Header.Set("User-Agent", "roost")
	if content != nil {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if b.place.User != "" || b.place.Password != "" {
		req.SetBasicAuth(b.place.User, b.place.Password)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, wire.Fault(err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	const most = 200 // of what the server has to say
	said, _ := io.ReadAll(io.LimitReader(resp.Body, most))
	return nil, &refusal{code: resp.StatusCode, server: resp.Header.Get("Server"), err: wire.Status(resp.StatusCode, oneLine(string(said)))}
}

// refusal is an answer that is no success.
type refusal struct {
	code   int
	server string
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// refused returns the status of the answer that err is; 0 if it is none.
func refused(err error) int {
	if r := (*refusal)(nil); errors.As(err, &r) {
		return r.code
	}
	return 0
}

// oneLine is what the server said if it adds anything to the status.
func oneLine(said string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(said), "\n")
	if strings.HasPrefix(line, "<") { // a page
		return ""
	}
	return line
}

// finish reads an answer to its end, so that its connection serves again.
func finish(resp *http.Response) error {
	defer resp.Body.Close()
	_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return wire.Fault(err)
}

// Create implements blob.Driver.
func (b *Bucket) Create(ctx context.Context) error {
	u := *b.place.URL
	u.RawQuery = "create=true"
	resp, err := b.do(ctx, http.MethodPost, u.String(), nil)
	if err != nil {
		return err
	}
	return finish(resp)
}

// Save implements blob.Driver. rest-server refuses a name that is there, as it refuses much else, by 403; rclone replaces
// what is there. So whether there is such an object is asked first.
func (b *Bucket) Save(ctx context.Context, h blob.Handle, body []byte) error {
	if _, err := b.Stat(ctx, h); !errors.Is(err, blob.ErrNotExist) {
		if err == nil {
			err = blob.ErrExist
		}
		return err
	}
	resp, err := b.do(ctx, http.MethodPost, b.object(h), body)
	switch refused(err) {
	case 0:
	case http.StatusForbidden:
		if _, again := b.Stat(ctx, h); again == nil {
			return blob.ErrExist // somebody else was faster
		}
		return err
	case http.StatusBadRequest:
		return blob.Temporary(err) // rest-server compares the bytes that came with their name: they were damaged on the way
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return fmt.Errorf("the server knows no repository of that path: %w", detail(err))
	}
	if err != nil {
		return err
	}
	if err := finish(resp); err != nil || h.Kind != blob.Config {
		return err
	}
	return blob.ConfirmConfig(ctx, b, body)
}

// detail is an answer as an error of no kind: a POST that is answered by 404 misses no object.
func detail(err error) error {
	return fmt.Errorf("%d %s", refused(err), http.StatusText(refused(err)))
}

// Load implements blob.Driver.
func (b *Bucket) Load(ctx context.Context, h blob.Handle, limit int64) ([]byte, error) {
	resp, err := b.do(ctx, http.MethodGet, b.object(h), nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.ContentLength > limit {
		return nil, fmt.Errorf("%d octets, the limit is %d", resp.ContentLength, limit)
	}
	return wire.ReadAll(resp.Body, resp.ContentLength, limit)
}

// ReadAt implements blob.Driver.
func (b *Bucket) ReadAt(ctx context.Context, h blob.Handle, p []byte, off int64) error {
	rng := "bytes=" + strconv.FormatInt(off, 10) + "-" + strconv.FormatInt(off+int64(len(p))-1, 10)
	resp, err := b.do(ctx, http.MethodGet, b.object(h), nil, "Range", rng)
	if refused(err) == http.StatusRequestedRangeNotSatisfiable {
		return io.ErrUnexpectedEOF
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	size := resp.ContentLength
	if resp.StatusCode != http.StatusPartialContent { // the server knows no ranges and sends all
		_, err := io.CopyN(io.Discard, resp.Body, off)
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return wire.Fault(err)
		}
		size = max(-1, size-off)
	}
	return wire.ReadRange(resp.Body, p, size)
}

// Stat implements blob.Driver.
func (b *Bucket) Stat(ctx context.Context, h blob.Handle) (int64, error) {
	resp, err := b.do(ctx, http.MethodHead, b.object(h), nil)
	if err != nil {
		return 0, err
	}
	if err := finish(resp); err != nil {
		return 0, err
	}
	if resp.ContentLength < 0 {
		return 0, errors.New("the server does not say how large it is")
	}
	return resp.ContentLength, nil
}

// Remove implements blob.Driver. An append-only server removes locks only.
func (b *Bucket) Remove(ctx context.Context, h blob.Handle) error {
	resp, err := b.do(ctx, http.MethodDelete, b.object(h), nil)
	if refused(err) == http.StatusForbidden {
		return fmt.Errorf("%w (%w)", blob.ErrAppendOnly, err)
	}
	if err != nil {
		return err
	}
	return finish(resp)
}

// Close implements blob.Driver.
func (b *Bucket) Close() error {
	b.client.CloseIdleConnections()
	return nil
}
