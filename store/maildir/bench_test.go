package maildir

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"testing"
	"time"

	"roost/mail"
)

// bigMailbox is a Maildir with n messages and a uidlist, as Dovecot leaves it.
func bigMailbox(b *testing.B, n int) *Store {
	b.Helper()
	dir := b.TempDir()
	s := openStore(b, dir, Options{NoSync: true})
	if err := s.Create(b.Context(), mail.Inbox); err != nil {
		b.Fatal(err)
	}
	var list bytes.Buffer
	fmt.Fprintf(&list, "3 V1 N%d G8a5e3c2fb05e1c4f0e7300008b5f6c2d\n", n+1)
	for i := range n {
		base := fmt.Sprintf("1323785716.M%dP12Q3.mail.example.com,S=14,W=16", i)
		fmt.Fprintf(&list, "%d :%s\n", i+1, base)
		if err := os.WriteFile(filepath.Join(dir, "cur", base+":2,S"), []byte("Subject: x\n\nx\n"), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, uidlistFile), list.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	then := time.Now().Add(-time.Hour)
	for _, name := range []string{"cur", "new", uidlistFile} {
		if err := os.Chtimes(filepath.Join(dir, name), then, then); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func BenchmarkChanges(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprintf("%d messages", n), func(b *testing.B) {
			s := bigMailbox(b, n)
			b.ReportAllocs()
			for b.Loop() {
				ch, err := s.Changes(b.Context(), mail.Inbox, "")
				if err != nil || len(ch.Messages) != n || ch.Messages[n-1].UID != uint32(n) {
					b.Fatalf("%d messages, %v", len(ch.Messages), err)
				}
			}
		})
	}
}

func BenchmarkUnchanged(b *testing.B) {
	s := bigMailbox(b, 10_000)
	ch, err := s.Changes(b.Context(), mail.Inbox, "")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		list, err := s.Mailboxes(b.Context())
		if err != nil || list[0].Token != ch.Token {
			b.Fatalf("%+v, %v", list, err)
		}
	}
}

func BenchmarkMailboxes(b *testing.B) {
	s := openStore(b, b.TempDir(), Options{NoSync: true})
	for i := range 1000 {
		if err := s.Create(b.Context(), mail.NameOf(fmt.Sprint("box ", i))); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if list, err := s.Mailboxes(b.Context()); err != nil || len(list) != 1000 {
			b.Fatalf("%d mailboxes, %v", len(list), err)
		}
	}
}

func BenchmarkFetch(b *testing.B) {
	const n = 10_000
	s := bigMailbox(b, n)
	ch, err := s.Changes(b.Context(), mail.Inbox, "")
	if err != nil {
		b.Fatal(err)
	}
	keys := make([]mail.Key, n)
	for i, m := range ch.Messages {
		keys[i] = m.Key
	}
	b.ReportAllocs()
	for b.Loop() {
		for f, err := range s.Fetch(b.Context(), mail.Inbox, keys, mail.Whole) {
			if err != nil {
				b.Fatal(err)
			}
			io.Copy(io.Discard, f.Body)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/message")
}

// BenchmarkAppendAll makes 20,000 messages of 6 KB durable, with UIDs.
func BenchmarkAppendAll(b *testing.B) {
	const n = 20_000
	raw := append([]byte("Subject: x\r\n\r\n"), bytes.Repeat([]byte("some words of a letter, as they are\r\n"), 160)...)
	messages := func() iter.Seq[mail.Outgoing] {
		return func(yield func(mail.Outgoing) bool) {
			for i := range n {
				if !yield(mail.Outgoing{
					Message: mail.Message{UID: uint32(i + 1), Size: int64(len(raw)), InternalDate: time.Unix(1e9, 0), Flags: mail.Seen},
					Open:    func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil },
				}) {
					return
				}
			}
		}
	}
	for b.Loop() {
		s := openStore(b, b.TempDir(), Options{})
		if err := s.Create(b.Context(), mail.Inbox); err != nil {
			b.Fatal(err)
		}
		if err := s.Number(b.Context(), mail.Inbox, 7, n+1); err != nil {
			b.Fatal(err)
		}
		for a, err := range s.AppendAll(b.Context(), mail.Inbox, messages()) {
			if err != nil || a.Err != nil {
				b.Fatal(err, a.Err)
			}
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}
