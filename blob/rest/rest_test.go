package rest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"roost/blob"
	"roost/blob/blobtest"
	"roost/blob/location"
	"roost/peer"
)

// open opens a repository's place at a server, and makes it.
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
	if err := b.Create(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRESTKeepsTheContracts(t *testing.T) {
	p := peer.RESTServer(t, peer.RESTOptions{})
	n := 0
	blobtest.Run(t, func(t *testing.T) blob.Bucket {
		n++
		return open(t, fmt.Sprintf("%s%d/", p.Location, n), location.Options{})
	})
}

// A server that removes nothing lets locks go, and says of all else that it is append-only.
func TestAppendOnly(t *testing.T) {
	b := open(t, peer.RESTServer(t, peer.RESTOptions{AppendOnly: true}).Location+"a/", location.Options{})
	for _, kind := range append(blob.Kinds(), blob.Config) {
		h := blobtest.Handle(kind, []byte("body"))
		if err := b.Save(t.Context(), h, []byte("body")); err != nil {
			t.Fatal(err)
		}
		err := b.Remove(t.Context(), h)
		if kind == blob.Lock && err != nil {
			t.Errorf("Remove(%v) = %v, want nil", h, err)
		}
		if kind != blob.Lock && !errors.Is(err, blob.ErrAppendOnly) {
			t.Errorf("Remove(%v) = %v, want ErrAppendOnly", h, err)
		}
	}
}

// Who the server is, and who we are, is checked; no error shows the password.
func TestTrustAndAccess(t *testing.T) {
	p := peer.RESTServer(t, peer.RESTOptions{TLS: true})
	at := strings.TrimPrefix(p.Location, "rest:https://")
	open(t, p.Location, location.Options{CA: p.CertificatePath})
	open(t, p.Location, location.Options{Insecure: true})
	open(t, "rest:https://alice:"+peer.Password+"@"+at, location.Options{CA: p.CertificatePath, User: "other", Password: "wrong"})
	for _, c := range []struct {
		name, where string
		o           location.Options
		want        error
	}{
		{"unknown authority", p.Location, location.Options{}, blob.ErrUntrusted},
		{"wrong password", p.Location, location.Options{CA: p.CertificatePath, User: "alice", Password: "wr0ng"}, blob.ErrAccess},
		{"wrong password in the location", "rest:https://alice:wr0ng@" + at, location.Options{CA: p.CertificatePath}, blob.ErrAccess},
	} {
		l, err := location.Parse(c.where)
		if err != nil {
			t.Fatal(err)
		}
		b, err := location.Open(l, c.o)
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.Stat(t.Context(), blob.Handle{Kind: blob.Config})
		if !errors.Is(err, c.want) || strings.Contains(err.Error()+l.String(), "wr0ng") {
			t.Errorf("%s: Stat at %v = %v, want %v and no password", c.name, l, err, c.want)
		}
		b.Close()
	}
}

// A server that answers less than it announced, or breaks off, is asked again, and what comes in the end is whole.
func TestBrokenAnswers(t *testing.T) {
	body := strings.Repeat("octets ", 1000)
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(body)))
		switch calls.Add(1) {
		case 1:
			w.Write([]byte(body[:100])) // and the handler ends: the connection is cut
		case 2:
			w.Header().Set("Content-Length", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.Write([]byte(body))
		}
	}))
	defer s.Close()
	l, err := location.Parse("rest:" + s.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	b, err := location.Open(l, location.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Load(t.Context(), blobtest.Handle(blob.Pack, []byte(body)), 1<<20)
	if err != nil || string(got) != body || calls.Load() != 3 {
		t.Errorf("Load = %d octets, %v after %d calls, want %d after 3", len(got), err, calls.Load(), len(body))
	}
}
