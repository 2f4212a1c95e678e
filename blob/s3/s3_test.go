package s3_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"roost/blob"
	"roost/blob/blobtest"
	"roost/blob/location"
	"roost/blob/s3"
	"roost/peer"
)

// open opens a repository's place at a server.
func open(t *testing.T, where string, o location.Options) location.Bucket {
	t.Helper()
	l, err := location.Parse(where)
	if err != nil {
		t.Fatal(err)
	}
	if o.User == "" {
		o.User, o.Password = "alice", peer.Password
	}
	b, err := location.Open(l, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// made opens it and makes it.
func made(t *testing.T, where string, o location.Options) location.Bucket {
	t.Helper()
	b := open(t, where, o)
	if err := b.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestS3KeepsTheContracts(t *testing.T) {
	p := peer.S3Server(t, peer.S3Options{})
	n := 0
	blobtest.Run(t, func(t *testing.T) blob.Bucket {
		n++
		return made(t, fmt.Sprintf("%s%d/mail", p.Location, n), location.Options{})
	})
}

// A region that is not the usual one is asked from the server; a repository may fill a bucket alone, without a prefix.
func TestRegionAndRoot(t *testing.T) {
	p := peer.S3Server(t, peer.S3Options{Region: "eu-central-1"})
	body := []byte("body")
	h := blobtest.Handle(blob.Pack, body)
	if err := made(t, p.Location, location.Options{Region: "eu-central-1"}).Save(t.Context(), h, body); err != nil {
		t.Fatal(err)
	}
	b := open(t, p.Location, location.Options{})
	if got, err := b.Load(t.Context(), h, 10); err != nil || string(got) != "body" {
		t.Errorf("Load without a region = %q, %v, want the body", got, err)
	}
}

// A listing has as many pages as it needs, holds each object once, and goes on behind a name.
func TestListingsHavePages(t *testing.T) {
	p := peer.S3Server(t, peer.S3Options{})
	l, err := location.Parse(p.Location + "mail")
	if err != nil {
		t.Fatal(err)
	}
	d, err := s3.New(s3.Place{URL: l.URL, Vessel: l.Bucket, Prefix: l.Prefix, Key: "alice", Secret: peer.Password}, http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	const n = 1100 // a page has a thousand
	for i := range n {
		body := fmt.Appendf(nil, "%d", i)
		if err := d.Save(t.Context(), blobtest.Handle(blob.Pack, body), body); err != nil {
			t.Fatal(err)
		}
	}
	var names []string
	last := ""
	for e, err := range d.List(t.Context(), blob.Pack, "") {
		if err != nil {
			t.Fatal(err)
		}
		if e.Name <= last {
			t.Fatalf("List gave %s behind %s", e.Name, last)
		}
		last = e.Name
		names = append(names, e.Name)
	}
	rest := 0
	for e, err := range d.List(t.Context(), blob.Pack, names[499]) {
		if err != nil || e.Name != names[500+rest] {
			t.Fatalf("List behind %s gave %s, %v, want %s", names[499], e.Name, err, names[500+rest])
		}
		rest++
	}
	if len(names) != n || rest != n-500 {
		t.Errorf("List gave %d objects, and %d behind the 500th, want %d and %d", len(names), rest, n, n-500)
	}
}

// Who the server is, and who we are, is checked; a bucket that is not there is no repository; no error shows the key.
func TestTrustAndAccess(t *testing.T) {
	p := peer.S3Server(t, peer.S3Options{TLS: true})
	trusted := location.Options{CA: p.CertificatePath}
	made(t, p.Location+"mail", trusted)
	for _, c := range []struct {
		name, where string
		o           location.Options
		want        error
	}{
		{"nothing there", p.Location + "mail", trusted, blob.ErrNotExist},
		{"no bucket there", strings.Replace(p.Location, "/roost/", "/other/", 1), trusted, blob.ErrNotExist},
		{"unknown authority", p.Location, location.Options{}, blob.ErrUntrusted},
		{"any certificate", p.Location, location.Options{Insecure: true}, blob.ErrNotExist},
		{"wrong secret", p.Location, location.Options{CA: p.CertificatePath, User: "alice", Password: "wr0ng"}, blob.ErrAccess},
		{"unknown key", p.Location, location.Options{CA: p.CertificatePath, User: "other", Password: "wr0ng"}, blob.ErrAccess},
	} {
		_, err := open(t, c.where, c.o).Stat(t.Context(), blob.Handle{Kind: blob.Config})
		if !errors.Is(err, c.want) || strings.Contains(err.Error(), "wr0ng") {
			t.Errorf("%s: Stat = %v, want %v and no key", c.name, err, c.want)
		}
	}
	body := []byte("body")
	if err := open(t, strings.Replace(p.Location, "/roost/", "/other/", 1), trusted).Save(t.Context(), blobtest.Handle(blob.Pack, body), body); err == nil || errors.Is(err, blob.ErrNotExist) {
		t.Errorf("Save into a bucket that is not there = %v, want an error that is not ErrNotExist", err)
	}
}

// What the server says of its load, its rules and what came to it leads to another try, or to the error that fits.
func TestAnswers(t *testing.T) {
	refuse := func(status int, code string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
		}
	}
	body := []byte("body")
	h := blobtest.Handle(blob.Pack, body)
	for _, c := range []struct {
		name     string
		put, del http.HandlerFunc // the first one
		want     error
		puts     int32
	}{
		{name: "busy, then well", put: refuse(503, "SlowDown"), puts: 2},
		{name: "damaged on the way", put: refuse(400, "BadDigest"), puts: 2},
		{name: "no right to write", put: refuse(403, "AccessDenied"), want: blob.ErrAccess, puts: 1},
		{name: "no room", put: refuse(507, "XMinioStorageFull"), want: blob.ErrNoSpace, puts: 1},
		{name: "no right to remove", del: refuse(403, "AccessDenied"), want: blob.ErrAppendOnly, puts: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var puts atomic.Int32
			var there atomic.Bool
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodPut && puts.Add(1) == 1 && c.put != nil:
					c.put(w, r)
				case r.Method == http.MethodPut:
					there.Store(true)
				case r.Method == http.MethodDelete:
					c.del(w, r)
				case there.Load():
					w.Header().Set("Content-Length", "4")
					w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
				default:
					w.WriteHeader(http.StatusNotFound)
				}
			}))
			defer s.Close()
			u, err := url.Parse(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			b := open(t, "s3:"+u.String()+"/bucket", location.Options{Region: "us-east-1"})
			err = b.Save(t.Context(), h, body)
			if err == nil && c.del != nil {
				err = b.Remove(t.Context(), h)
			}
			if !errors.Is(err, c.want) || puts.Load() != c.puts {
				t.Errorf("got %v after %d uploads, want %v after %d", err, puts.Load(), c.want, c.puts)
			}
		})
	}
}
