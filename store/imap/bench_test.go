package imap_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	wire "roost/imap"
	"roost/mail"
	"roost/peer"
	"roost/store/imap"
)

// fillMaildir puts messages of about 6 KB into a user's INBOX on a Dovecot, as a delivery would.
func fillMaildir(tb testing.TB, server *peer.DovecotServer, user string, count int) {
	tb.Helper()
	dir := server.Mail(user)
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			tb.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	line := strings.Repeat("All work and no play makes a dull message. ", 2)[:76] + "\r\n"
	for i := range count {
		text := fmt.Sprintf("From: alice@example.com\r\nSubject: message %d\r\nMessage-ID: <%d@example.com>\r\n\r\n%s", i, i, strings.Repeat(line, 20+random.IntN(120)))
		if err := os.WriteFile(filepath.Join(dir, "cur", fmt.Sprintf("%d.M%d.host:2,S", 1_700_000_000+i, i)), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	server.Own(tb, server.Home(user))
}

// A first copy of a mailbox from Dovecot, beside the same commands on as many connections with nothing done to the answers.
func BenchmarkFirstCopy(b *testing.B) {
	const count, connections = 20_000, 3
	server := peer.Dovecot(b, peer.DovecotOptions{})
	fillMaildir(b, server, "alice", count)
	o := options(b, server.IMAPSAddr, "alice", authority(b, server.CertificatePath))
	o.Connections, o.NoCompress = connections, true
	s, err := imap.Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	ch, err := s.Changes(b.Context(), mail.Inbox, "") // Dovecot indexes now, for both
	if err != nil || len(ch.Messages) != count {
		b.Fatalf("%d messages, %v", len(ch.Messages), err)
	}
	keys := make([]mail.Key, count)
	for i := range keys {
		keys[i] = ch.Messages[i].Key
	}
	b.Run("raw", func(b *testing.B) {
		for b.Loop() {
			rawFetch(b, o, count, connections)
		}
		b.ReportMetric(float64(count)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	})
	b.Run("driver", func(b *testing.B) {
		for b.Loop() {
			seen := 0
			for got, err := range s.Fetch(b.Context(), mail.Inbox, keys, mail.Whole) {
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, got.Body); err != nil {
					b.Fatal(err)
				}
				seen++
			}
			if seen != count {
				b.Fatalf("%d messages, want %d", seen, count)
			}
		}
		b.ReportMetric(float64(count)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	})
}

// rawFetch asks for all bodies in equal shares, each by one command.
func rawFetch(b *testing.B, o imap.Options, count, connections int) {
	var group sync.WaitGroup
	for i := range connections {
		group.Go(func() {
			c, err := wire.Dial(b.Context(), fmt.Sprintf("%s:%d", o.Host, o.Port), wire.Options{Roots: o.Roots, NoCompress: true})
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			if err := c.Login(b.Context(), wire.Credentials{User: o.User, Secret: peer.Password}); err != nil {
				b.Error(err)
				return
			}
			if _, err := c.Select(b.Context(), "INBOX", wire.SelectOptions{ReadOnly: true}); err != nil {
				b.Error(err)
				return
			}
			set := fmt.Sprintf("%d:%d", i*count/connections+1, (i+1)*count/connections)
			seen := 0
			err = c.UIDFetch(b.Context(), set, "UID BODY.PEEK[]", wire.FetchOptions{}, func(f *wire.Fetch) error {
				seen++
				return nil
			})
			if err != nil || seen < count/connections {
				b.Errorf("%d messages, %v", seen, err)
			}
		})
	}
	group.Wait()
}
