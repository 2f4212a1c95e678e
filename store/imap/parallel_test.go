package imap_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/mail"
	"roost/store/imap/imaptest"
)

// crowd is an account whose INBOX holds so many messages that they are worth several connections, three of them large.
func crowd() (account *imaptest.Account, keys []mail.Key, bodies map[mail.Key]string) {
	account = imaptest.NewAccount()
	inbox := account.Create("INBOX")
	bodies = make(map[mail.Key]string)
	for i := range 2000 {
		text := fmt.Sprintf("Subject: %d\r\n\r\n%s\r\n", i, strings.Repeat("x", i%300))
		if i%700 == 1 {
			text += strings.Repeat("0123456789abcdef\r\n", 80_000)
		}
		key := mail.Key(fmt.Sprint(inbox.Append(imaptest.Message{Body: []byte(text)})))
		keys = append(keys, key)
		bodies[key] = text
	}
	return account, keys, bodies
}

// Many messages come over several connections, each once and whole, even if one of the connections is lost.
func TestFetchOverSeveralConnections(t *testing.T) {
	for name, dialect := range map[string]imaptest.Dialect{
		"sound":                   {},
		"a connection lost":       {Wire: imaptest.DropAfter(2, 50_000)},
		"lost in a large message": {Wire: imaptest.DropAfter(1, 400_000)},
	} {
		t.Run(name, func(t *testing.T) {
			account, keys, bodies := crowd()
			server, o := fake(t, account, dialect)
			s := open(t, o)
			keys = append(keys, "none of ours")
			answered := map[mail.Key]int{}
			for got, err := range s.Fetch(t.Context(), mail.Inbox, keys, mail.Whole) {
				key, about := mail.KeyOf(err)
				switch {
				case err != nil && !about:
					t.Fatalf("fetch: %v", err)
				case err != nil:
					if answered[key]++; key != "none of ours" || !errors.Is(err, mail.ErrGone) {
						t.Errorf("message %s: %v", key, err)
					}
					continue
				}
				answered[got.Key]++
				body, err := io.ReadAll(got.Body)
				if err != nil {
					if len(bodies[got.Key]) < 1<<20 {
						t.Errorf("message %s: %v", got.Key, err)
					}
					continue // it was on its way when the connection was lost, and may be asked for again
				}
				if string(body) != bodies[got.Key] || got.Size != int64(len(body)) {
					t.Errorf("message %s has %d octets, Size %d, want %d", got.Key, len(body), got.Size, len(bodies[got.Key]))
				}
			}
			for _, k := range keys {
				if answered[k] != 1 {
					t.Errorf("message %s was answered %d times", k, answered[k])
				}
			}
			if _, most := server.Connections(); most < 2 {
				t.Errorf("at most %d connections at a time, want several", most)
			}
			server.CheckReading(t)
			server.CheckLines(t, 2048)
		})
	}
}

// A reader who has enough, or whose context ends, gets no more, and the store can be used on.
func TestFetchBrokenOff(t *testing.T) {
	account, keys, bodies := crowd()
	_, o := fake(t, account, imaptest.Dialect{})
	s := open(t, o)
	for _, stop := range []int{1, 2, 100, 1500} {
		seen := 0
		for got, err := range s.Fetch(t.Context(), mail.Inbox, keys, mail.Whole) {
			if err != nil {
				t.Fatalf("fetch: %v", err)
			}
			if seen++; seen == stop {
				break
			}
			if stop == 2 {
				continue // without reading
			}
			if body, err := io.ReadAll(got.Body); err != nil || string(body) != bodies[got.Key] {
				t.Errorf("message %s has %d octets, %v, want %d", got.Key, len(body), err, len(bodies[got.Key]))
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		seen = 0
		var last error
		for _, err := range s.Fetch(ctx, mail.Inbox, keys, mail.Whole) {
			last = err
			if seen++; seen == stop {
				cancel()
			}
		}
		cancel()
		if !errors.Is(last, context.Canceled) {
			t.Errorf("a fetch cancelled after %d messages ends with %v after %d, want %v", stop, last, seen, context.Canceled)
		}
	}
	one := slices.Collect(func(yield func(string) bool) {
		for got, err := range s.Fetch(t.Context(), mail.Inbox, keys[:1], mail.Whole) {
			body, _ := io.ReadAll(got.Body)
			if !yield(fmt.Sprint(string(body) == bodies[got.Key], err)) {
				return
			}
		}
	})
	if !slices.Equal(one, []string{"true <nil>"}) {
		t.Errorf("afterwards a fetch yields %q", one)
	}
}

// A server that lets us have one connection gives as much over it, and is not asked for more of them again and again.
func TestFetchOverFewerConnections(t *testing.T) {
	account, keys, bodies := crowd()
	server, o := fake(t, account, imaptest.Dialect{MaxConnections: 1})
	s := open(t, o)
	tries := 0
	for range 2 {
		got := map[mail.Key]string{}
		for m, err := range s.Fetch(t.Context(), mail.Inbox, keys, mail.Whole) {
			if err != nil {
				t.Fatalf("fetch: %v", err)
			}
			body, err := io.ReadAll(m.Body)
			if err != nil {
				t.Errorf("message %s: %v", m.Key, err)
			}
			got[m.Key] = string(body)
		}
		if !maps.Equal(got, bodies) {
			t.Errorf("%d messages came, or other ones than the %d that are there", len(got), len(bodies))
		}
		all, _ := server.Connections()
		if tries != 0 && all != tries {
			t.Errorf("the second fetch tried %d more connections", all-tries)
		}
		tries = all
	}
}

// A server that offers QRESYNC and does not answer to ENABLE costs one time-out, and changes are told without it.
func TestUnansweredEnable(t *testing.T) {
	account := five()
	server, o := fake(t, account, imaptest.Dialect{Answers: []imaptest.Answer{imaptest.Hang("ENABLE")}})
	o.Timeout = 200 * time.Millisecond
	s := open(t, o)
	before, err := s.Changes(t.Context(), mail.Inbox, "")
	if err != nil {
		t.Fatal(err)
	}
	account.Mailbox("INBOX").Expunge(2)
	for range 2 {
		after, err := s.Changes(t.Context(), mail.Inbox, before.Token)
		if err != nil || after.Full || after.Present == nil || after.Present.String() != "1,3:5" {
			t.Errorf("changes = %+v, %v, want 1,3:5 to be present", after, err)
		}
	}
	if n := server.Count("ENABLE"); n != 1 {
		t.Errorf("ENABLE was sent %d times, want 1", n)
	}
}
