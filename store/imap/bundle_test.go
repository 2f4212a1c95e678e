package imap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"roost/mail"
	"roost/mailsync"
	"roost/peer"
	"roost/store/imap/imaptest"
	"roost/store/memory"
)

// outgoing are messages to append, by their bytes.
func outgoing(bodies ...[]byte) iter.Seq[mail.Outgoing] {
	return func(yield func(mail.Outgoing) bool) {
		for _, raw := range bodies {
			if !yield(mail.Outgoing{Open: func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(raw)), nil
			}}) {
				return
			}
		}
	}
}

// bodiesTo are the bodies numbered from 0 to n-1.
func bodiesTo(n int) [][]byte {
	var all [][]byte
	for i := range n {
		all = append(all, fiveBody(i))
	}
	return all
}

// appendAll appends all, and returns the answers and how the stream ended.
func appendAll(t *testing.T, s mail.BulkAppender, bodies [][]byte) (answers []mail.Appended, err error) {
	t.Helper()
	for a, err := range s.AppendAll(t.Context(), mail.Inbox, outgoing(bodies...)) {
		if err != nil {
			return answers, err
		}
		answers = append(answers, a)
	}
	return answers, nil
}

// emptyInbox is an account with an empty INBOX.
func emptyInbox() *imaptest.Account {
	account := imaptest.NewAccount()
	account.Create("INBOX")
	return account
}

// stored are the bodies in INBOX.
func stored(account *imaptest.Account) (bodies [][]byte) {
	for _, m := range account.Mailbox("INBOX").Messages() {
		bodies = append(bodies, m.Body)
	}
	return bodies
}

// bundleSizes are how many messages each APPEND had.
func bundleSizes(server *imaptest.Server) (sizes []int) {
	for _, c := range server.Commands() {
		if c.Name == "APPEND" {
			sizes = append(sizes, literals(c))
		}
	}
	return sizes
}

func literals(c imaptest.Command) (n int) {
	for _, a := range c.Args {
		if a.Kind == imaptest.Literal {
			n++
		}
	}
	return n
}

// holds tells whether an APPEND brings a message with that text.
func holds(c imaptest.Command, text string) bool {
	return c.Name == "APPEND" && slices.ContainsFunc(c.Args, func(a imaptest.Arg) bool { return strings.Contains(a.Text, text) })
}

// Where the server has MULTIAPPEND messages go in bundles, whatever it has for literals, and each gets the key that is its own.
func TestBundles(t *testing.T) {
	for name, test := range map[string]struct {
		without, with []string
		keys          bool
	}{
		"LITERAL+":         {keys: true},
		"LITERAL-":         {without: []string{"LITERAL+"}, with: []string{"LITERAL-"}, keys: true},
		"no such literals": {without: []string{"LITERAL+"}, keys: true},
		"without UIDPLUS":  {without: []string{"UIDPLUS"}},
	} {
		t.Run(name, func(t *testing.T) {
			account := emptyInbox()
			account.Mailbox("INBOX").Append(imaptest.Message{Body: fiveBody(99)})
			capabilities := imaptest.With(imaptest.Without(imaptest.Everything(), test.without...), test.with...)
			server, o := fake(t, account, imaptest.Dialect{Capabilities: capabilities})
			bodies := bodiesTo(150)
			bodies[7] = append(bodies[7], bytes.Repeat([]byte("a line that is long\r\n"), 400)...) // more than LITERAL- lets go unasked
			answers, err := appendAll(t, open(t, o), bodies)
			if err != nil || len(answers) != 150 {
				t.Fatalf("%d answers, %v; want 150, nil", len(answers), err)
			}
			if got := stored(account)[1:]; !slices.EqualFunc(got, bodies, bytes.Equal) {
				t.Errorf("%d messages are stored, or not in order", len(got))
			}
			if got, want := bundleSizes(server), []int{64, 64, 22}; !slices.Equal(got, want) {
				t.Errorf("bundles of %d messages, want %d", got, want)
			}
			for i, a := range answers {
				want := mail.Key("")
				if test.keys {
					want = mail.Key(fmt.Sprint(i + 2))
				}
				if a.Key != want || a.Err != nil {
					t.Errorf("answer %d = %q, %v; want %q", i, a.Key, a.Err, want)
				}
			}
		})
	}
}

// UIDs that are not as many as the messages are of no use: no message gets the key of another.
func TestBundleWithStrangeUIDs(t *testing.T) {
	account := emptyInbox()
	_, o := fake(t, account, rewriting(imaptest.Replace("APPEND", `APPENDUID (\d+) 1:3`, "APPENDUID $1 1:2")))
	answers, err := appendAll(t, open(t, o), bodiesTo(3))
	if err != nil || len(answers) != 3 || len(stored(account)) != 3 {
		t.Fatalf("%d answers, %v, %d messages stored; want 3, nil, 3", len(answers), err, len(stored(account)))
	}
	for i, a := range answers {
		if a.Key != "" || a.Err != nil {
			t.Errorf("answer %d = %q, %v; want no key", i, a.Key, a.Err)
		}
	}
}

// Bundles are bounded in octets, and what the server would not take anyway is not sent.
func TestBundlesAreBounded(t *testing.T) {
	account := emptyInbox()
	server, o := fake(t, account, imaptest.Dialect{Capabilities: imaptest.With(imaptest.Everything(), "APPENDLIMIT=5000000")})
	var bodies [][]byte
	for i, size := range []int{1 << 20, 1 << 20, 1 << 20, 1 << 20, 4_900_000, 100, 5_100_000, 100} {
		bodies = append(bodies, append(fiveBody(i), bytes.Repeat([]byte("0123456789abcdef\r\n"), size/18)...))
	}
	bodies = append(bodies, []byte("Subject: NUL\r\n\r\n\x00\r\n"), fiveBody(9))
	answers, err := appendAll(t, open(t, o), bodies)
	if err != nil || len(answers) != len(bodies) {
		t.Fatalf("%d answers, %v; want %d", len(answers), err, len(bodies))
	}
	if !errors.Is(answers[6].Err, mail.ErrTooBig) || !errors.Is(answers[8].Err, mail.ErrUnsupported) {
		t.Errorf("too big: %v; with NUL: %v", answers[6].Err, answers[8].Err)
	}
	if got, want := bundleSizes(server), []int{3, 1, 1, 3}; !slices.Equal(got, want) {
		t.Errorf("bundles of %d messages, want %d", got, want)
	}
	want := slices.Concat(bodies[:6], bodies[7:8], bodies[9:])
	if got := stored(account); !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%d messages are stored, want %d", len(got), len(want))
	}
}

// One message that the server refuses keeps no other out, and none from its place.
func TestRefusedBundle(t *testing.T) {
	account := emptyInbox()
	server, o := fake(t, account, imaptest.Dialect{Answers: []imaptest.Answer{func(s *imaptest.Session, c imaptest.Command) bool {
		if holds(c, "Subject: 70\r\n") {
			s.Tagged(c, "NO [TOOBIG] not this one")
			return true
		}
		return false
	}}})
	bodies := bodiesTo(200)
	answers, err := appendAll(t, open(t, o), bodies)
	if err != nil || len(answers) != 200 {
		t.Fatalf("%d answers, %v; want 200", len(answers), err)
	}
	for i, a := range answers {
		if errors.Is(a.Err, mail.ErrTooBig) != (i == 70) || i != 70 && (a.Err != nil || a.Key == "") {
			t.Errorf("answer %d = %q, %v", i, a.Key, a.Err)
		}
	}
	if got := stored(account); !slices.EqualFunc(got, slices.Delete(bodies, 70, 71), bytes.Equal) {
		t.Errorf("%d messages are stored, or not in order; want 199", len(got))
	}
	if got := bundleSizes(server); len(got) != 1+1+64+1+1 || got[len(got)-2] != 64 {
		t.Errorf("bundles of %d messages, want only the second taken apart", got)
	}
}

// A server that offers MULTIAPPEND and does not do it is asked once.
func TestBundlesNotTaken(t *testing.T) {
	account := emptyInbox()
	server, o := fake(t, account, imaptest.Dialect{Answers: []imaptest.Answer{func(s *imaptest.Session, c imaptest.Command) bool {
		if c.Name == "APPEND" && literals(c) > 1 {
			s.Tagged(c, "BAD one at a time")
			return true
		}
		return false
	}}})
	s := open(t, o)
	for range 2 {
		if answers, err := appendAll(t, s, bodiesTo(100)); err != nil || len(answers) != 100 {
			t.Fatalf("%d answers, %v; want 100", len(answers), err)
		}
	}
	if got := len(stored(account)); got != 200 {
		t.Errorf("%d messages are stored, want 200", got)
	}
	several := slices.DeleteFunc(bundleSizes(server), func(n int) bool { return n == 1 })
	if len(several) > 2 {
		t.Errorf("APPENDs of several messages: %d; want no more after the first was refused", several)
	}
}

// restoreNumbered restores numbered messages into the INBOX of a server, by mailsync, and tells how often each is there.
func restoreNumbered(t *testing.T, dialect imaptest.Dialect, n int) map[string]int {
	t.Helper()
	source := memory.New(memory.Options{})
	if err := source.Create(t.Context(), mail.Inbox); err != nil && !errors.Is(err, mail.ErrExist) {
		t.Fatal(err)
	}
	for i := range n {
		raw := fiveBody(i)
		if _, err := source.Append(t.Context(), mail.Inbox, mail.Message{Size: int64(len(raw))}, bytes.NewReader(raw)); err != nil {
			t.Fatal(err)
		}
	}
	account := emptyInbox()
	_, o := fake(t, account, dialect)
	report, err := mailsync.Restore(t.Context(), source, open(t, o), mailsync.Options{InPlace: true})
	if err != nil || !report.Ledger.Complete() {
		t.Errorf("Restore = %v, %v", report.Ledger.Rows, err)
	}
	times := map[string]int{}
	for _, body := range stored(account) {
		times[string(body)]++
	}
	return times
}

// A connection that breaks while a bundle is on its way, or after it was stored, leaves nothing out and nothing doubled. So
// does a server that stores a part of what it refuses.
func TestBrokenBundleIsNotDoubled(t *testing.T) {
	appends := func(count int32, then func(*imaptest.Session, imaptest.Command)) imaptest.Answer {
		var seen atomic.Int32
		return func(s *imaptest.Session, c imaptest.Command) bool {
			if c.Name != "APPEND" || literals(c) < 2 || seen.Add(1) != count {
				return false
			}
			then(s, c)
			return true
		}
	}
	store := func(s *imaptest.Session, c imaptest.Command, n int) {
		for _, a := range c.Args[1:] {
			if a.Kind == imaptest.Literal && n > 0 {
				s.Store("INBOX", imaptest.Message{Body: []byte(a.Text)})
				n--
			}
		}
	}
	for name, dialect := range map[string]imaptest.Dialect{
		"before it was stored": {Answers: []imaptest.Answer{appends(2, func(s *imaptest.Session, _ imaptest.Command) { s.Close() })}},
		"after it was stored": {Answers: []imaptest.Answer{appends(2, func(s *imaptest.Session, c imaptest.Command) {
			store(s, c, 64)
			s.Close()
		})}},
		"half of it stored, and refused": {Answers: []imaptest.Answer{appends(2, func(s *imaptest.Session, c imaptest.Command) {
			store(s, c, 32)
			s.Tagged(c, "NO [SERVERBUG] somewhere in it")
		})}},
		"throttled": {Answers: []imaptest.Answer{appends(2, func(s *imaptest.Session, c imaptest.Command) {
			s.Tagged(c, "NO [LIMIT] too many messages")
		})}},
		"cut in the middle of it": {Wire: func(n int, conn net.Conn) net.Conn {
			if n != 0 {
				return conn
			}
			return &deaf{Conn: conn, left: 5000}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			times := restoreNumbered(t, dialect, 200)
			for i := range 200 {
				if n := times[string(fiveBody(i))]; n != 1 {
					t.Errorf("message %d is there %d times", i, n)
				}
			}
		})
	}
}

// deaf is a connection that is cut when so many octets were read from it.
type deaf struct {
	net.Conn
	left int
}

func (d *deaf) Read(b []byte) (int, error) {
	n, err := d.Conn.Read(b[:min(len(b), d.left)])
	if d.left -= n; d.left == 0 {
		d.Conn.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

// Real servers give the keys of a bundle in its order, and a message that they refuse keeps no other out.
func TestBundlesOnRealServers(t *testing.T) {
	servers := map[string]func(*testing.T) (mail.Store, []byte){
		"Dovecot": func(t *testing.T) (mail.Store, []byte) {
			server := peer.Dovecot(t, peer.DovecotOptions{Extra: "plugin {\n  quota_max_mail_size = 100k\n}\n"})
			tooBig := append(fiveBody(70), bytes.Repeat([]byte("0123456789abcdef\r\n"), 10_000)...)
			return open(t, options(t, server.IMAPSAddr, "alice", authority(t, server.CertificatePath))), tooBig
		},
		"Cyrus": func(t *testing.T) (mail.Store, []byte) {
			server := peer.Cyrus(t)
			server.AddUser(t, "alice")
			return open(t, options(t, server.IMAPSAddr, "alice", authority(t, server.CertificatePath))), []byte("no header at all\r\n\r\nbody\r\n")
		},
	}
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, bad := start(t)
			bodies := bodiesTo(200)
			bodies[70] = bad
			answers, err := appendAll(t, s.(mail.BulkAppender), bodies)
			if err != nil || len(answers) != 200 {
				t.Fatalf("%d answers, %v; want 200", len(answers), err)
			}
			var keys []mail.Key
			for i, a := range answers {
				if i == 70 && name == "Dovecot" && !errors.Is(a.Err, mail.ErrTooBig) {
					t.Errorf("too big a message = %v, want %v", a.Err, mail.ErrTooBig)
				}
				if (a.Err != nil) != (i == 70) || (a.Key == "") != (i == 70) {
					t.Errorf("answer %d = %q, %v", i, a.Key, a.Err)
				}
				if a.Err == nil {
					keys = append(keys, a.Key)
				}
			}
			got := reading{Bodies: map[mail.Key]string{}, Failed: map[mail.Key]bool{}, Gone: map[mail.Key]bool{}}
			fetchInto(t, s, &got, keys, mail.Whole)
			for i, a := range answers {
				if i != 70 && got.Bodies[a.Key] != string(bodies[i]) {
					t.Errorf("message %d has key %q, which holds %q", i, a.Key, got.Bodies[a.Key])
				}
			}
			changes, err := s.Changes(t.Context(), mail.Inbox, "")
			if err != nil || len(changes.Messages) != 199 {
				t.Errorf("%d messages are there, %v; want 199", len(changes.Messages), err)
			}
		})
	}
}
