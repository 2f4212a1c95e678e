package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/peer"
	"roost/store"
	"roost/store/memory"
)

// Through each pair of stores a snapshot carries every message octet by octet, with its flags, keywords and date, and a second
// restore adds nothing.
func TestEachPairOfStores(t *testing.T) {
	long(t)
	server := peer.Dovecot(t, peer.DovecotOptions{})
	r := newRoost(t)
	r.env["ROOST_STORE_PASSWORD"] = peer.Password
	dir := t.TempDir()
	url := func(kind, name string) string {
		if kind == "imap" {
			return fmt.Sprintf("imaps://%s@%s?pin=%s", name, server.IMAPSAddr, hex.EncodeToString(server.CertificateSHA256[:]))
		}
		driver, layout, _ := strings.Cut(kind, " ")
		return driver + ":" + filepath.Join(dir, name) + layout
	}
	at := func(url string) mail.Store {
		s, err := store.Open(t.Context(), url, store.Options{Make: true, Password: func(context.Context) (string, error) { return peer.Password, nil }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	sample := memory.New(memory.Options{})
	if _, err := fillSample(t.Context(), sample); err != nil {
		t.Fatal(err)
	}
	want, _ := lettersOf(t, sample)
	kinds := []string{"maildir", "maildir :LAYOUT=fs", "mbox", "eml", "imap"}
	for i, from := range kinds {
		source := url(from, fmt.Sprint("source", i))
		if _, err := fillSample(t.Context(), at(source)); err != nil {
			t.Fatalf("%s: %v", from, err)
		}
		account := fmt.Sprint("account", i)
		r.exits(exitOK, "backup", "--from", source, "-u", account)
		for j, to := range kinds {
			name := from + " to " + to
			destination := url(to, fmt.Sprintf("from%dto%d", i, j))
			r.exits(exitOK, "restore", "latest:"+account, "--to", destination, "--in-place")
			got, _ := lettersOf(t, at(destination))
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%s (-want +got):\n%s", name, d)
			}
			r.exits(exitOK, "restore", "latest:"+account, "--to", destination, "--in-place", "-q")
			if out := r.stdout.String(); !strings.Contains(out, "nothing changed") {
				t.Errorf("%s, again: %s", name, out)
			}
		}
	}
}
