package imap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/mail"
	"roost/mailsync"
	"roost/store/imap/imaptest"
	"roost/store/memory"
)

// What a server refuses to store reaches the caller as the word of package mail for it, and nothing is stored.
func TestAppendErrors(t *testing.T) {
	for name, test := range map[string]struct {
		dialect imaptest.Dialect
		want    error
	}{
		"over quota":   {imaptest.Dialect{Answers: []imaptest.Answer{imaptest.Refuse("APPEND", "NO [OVERQUOTA] full")}}, mail.ErrQuota},
		"denied":       {imaptest.Dialect{Answers: []imaptest.Answer{imaptest.Refuse("APPEND", "NO [NOPERM] not yours")}}, mail.ErrDenied},
		"too big":      {imaptest.Dialect{Answers: []imaptest.Answer{imaptest.Refuse("APPEND", "NO [TOOBIG] no")}}, mail.ErrTooBig},
		"beyond limit": {imaptest.Dialect{Capabilities: imaptest.With(imaptest.Everything(), "APPENDLIMIT=10")}, mail.ErrTooBig},
		"lost":         {imaptest.Dialect{Answers: []imaptest.Answer{imaptest.Bye("APPEND", "")}}, mail.ErrConnect},
	} {
		t.Run(name, func(t *testing.T) {
			account := five()
			server, o := fake(t, account, test.dialect)
			s := open(t, o)
			raw := fiveBody(6)
			key, err := s.Append(t.Context(), mail.Inbox, mail.Message{Size: int64(len(raw))}, bytes.NewReader(raw))
			if key != "" || !errors.Is(err, test.want) {
				t.Errorf("Append = %q, %v; want none, %v", key, err, test.want)
			}
			if got := len(account.Mailbox("INBOX").Messages()); got != 5 {
				t.Errorf("INBOX holds %d messages, want 5", got)
			}
			appends := 0
			for _, c := range server.Commands() {
				if c.Name == "APPEND" {
					appends++
				}
			}
			if appends > 1 {
				t.Errorf("APPEND was sent %d times, want at most once: a message must not come twice", appends)
			}
		})
	}
}

// However a server says that there is no room, it is ErrQuota, of one message and of several at once, and the first message
// that does not fit ends the run of a restore: thousands behind it are not tried. Row X-16.
func TestOverQuota(t *testing.T) {
	for _, line := range []string{
		"NO [OVERQUOTA] Quota exceeded (mailbox for user is full)", "NO Quota exceeded", "NO [TRYAGAIN] Over quota",
		"NO APPEND failed: mailbox exceeded quota", "NO MapiExceptionShutoffQuotaExceeded: Unable to save changes. (hr=0x80004005, ec=1245)",
		"BAD Mailbox is full", "NO [ALERT] Account is out of storage space. (Failure)", "NO [OVERQUOTA] You are out of storage",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			account := emptyInbox()
			room := 100
			var mu sync.Mutex
			full := func(s *imaptest.Session, c imaptest.Command) bool {
				if c.Name != "APPEND" {
					return false
				}
				mu.Lock()
				defer mu.Unlock()
				if n := literals(c); n <= room {
					room -= n
					return false
				}
				s.Tagged(c, line)
				return true
			}
			server, o := fake(t, account, imaptest.Dialect{Answers: []imaptest.Answer{full}})
			s := open(t, o)
			answers, err := appendAll(t, s, bodiesTo(130))
			if err != nil || len(answers) != 130 {
				t.Fatalf("%d answers, %v; want 130", len(answers), err)
			}
			for i, a := range answers {
				if (a.Err == nil) != (i < 100) || i >= 100 && !errors.Is(a.Err, mail.ErrQuota) {
					t.Errorf("answer %d = %v", i, a.Err)
				}
			}
			server.Forget()
			source := memory.New(memory.Options{})
			for _, name := range []mail.Name{"one", "two", "three", "four", "five", "six"} {
				if err := source.Create(t.Context(), name); err != nil {
					t.Fatal(err)
				}
				for i := range 300 {
					raw := fiveBody(1000 + i)
					if _, err := source.Append(t.Context(), name, mail.Message{Size: int64(len(raw))}, bytes.NewReader(raw)); err != nil {
						t.Fatal(err)
					}
				}
			}
			report, err := mailsync.Restore(t.Context(), source, s, mailsync.Options{InPlace: true, Parallel: 1})
			if !errors.Is(err, mail.ErrQuota) || report.Ledger.Complete() {
				t.Errorf("Restore = %v, complete %v; want %v", err, report.Ledger.Complete(), mail.ErrQuota)
			}
			if n := server.Count("APPEND"); n > 1+64 {
				t.Errorf("APPEND was sent %d times, want those of one bundle at most", n)
			}
		})
	}
}

// Flags that a mailbox does not keep are left out, and told.
func TestAppendTellsLostFlags(t *testing.T) {
	account := five()
	_, o := fake(t, account, imaptest.Dialect{PermanentFlags: `(\Seen \Flagged Work)`})
	s := open(t, o)
	raw := fiveBody(6)
	m := mail.Message{Flags: mail.FlagsOf(mail.Seen, mail.Draft, "Work", "Play"), Size: int64(len(raw))}
	key, err := s.Append(t.Context(), mail.Inbox, m, bytes.NewReader(raw))
	var loss *mail.Loss
	if want := mail.FlagsOf(mail.Draft, "Play"); key != "6" || !errors.As(err, &loss) || loss.Flags != want {
		t.Fatalf("Append = %q, %v; want 6 and a loss of %q", key, err, want)
	}
	got := account.Mailbox("INBOX").Messages()[5]
	if want := mail.FlagsOf(mail.Seen, "Work"); mail.FlagsOf(got.Flags...) != want {
		t.Errorf("stored with flags %q, want %q", got.Flags, want)
	}
}

// AppendAll has several messages in flight where the server has LITERAL+, and answers each in its place.
func TestAppendAllAnswersInOrder(t *testing.T) {
	for name, capabilities := range map[string][]string{
		"MULTIAPPEND": imaptest.Everything(), "LITERAL+": imaptest.Without(imaptest.Everything(), "MULTIAPPEND"), "bare": imaptest.Bare(),
	} {
		t.Run(name, func(t *testing.T) {
			refuseThird := func(s *imaptest.Session, c imaptest.Command) bool {
				if holds(c, "Subject: 3\r\n") {
					s.Tagged(c, "NO [TOOBIG] not this one")
					return true
				}
				return false
			}
			account := imaptest.NewAccount()
			account.Create("INBOX")
			_, o := fake(t, account, imaptest.Dialect{Capabilities: capabilities, Answers: []imaptest.Answer{refuseThird}})
			s := open(t, o)
			all := func(yield func(mail.Outgoing) bool) {
				for i := range 100 {
					raw := fiveBody(i)
					if !yield(mail.Outgoing{Open: func(context.Context) (io.ReadCloser, error) {
						return io.NopCloser(bytes.NewReader(raw)), nil
					}}) {
						return
					}
				}
			}
			n := 0
			for a, err := range s.AppendAll(t.Context(), mail.Inbox, all) {
				if err != nil {
					t.Fatal(err)
				}
				if want := n == 3; errors.Is(a.Err, mail.ErrTooBig) != want || !want && a.Err != nil {
					t.Errorf("message %d: %v", n, a.Err)
				}
				n++
			}
			if got := len(account.Mailbox("INBOX").Messages()); n != 100 || got != 99 {
				t.Errorf("%d answers, %d messages stored; want 100, 99", n, got)
			}
		})
	}
}

// Without UIDPLUS nothing can be expunged but by chance others with it, so nothing is.
func TestExpungeNeedsUIDPLUS(t *testing.T) {
	account := five()
	_, o := fake(t, account, imaptest.Dialect{Capabilities: imaptest.Without(imaptest.Everything(), "UIDPLUS", "MOVE")})
	account.Create("other")
	s := open(t, o)
	if err := s.Expunge(t.Context(), mail.Inbox, []mail.Key{"1"}); !errors.Is(err, mail.ErrUnsupported) {
		t.Errorf("Expunge = %v, want %v", err, mail.ErrUnsupported)
	}
	if _, err := s.Move(t.Context(), mail.Inbox, []mail.Key{"1"}, "other"); !errors.Is(err, mail.ErrUnsupported) {
		t.Errorf("Move = %v, want %v", err, mail.ErrUnsupported)
	}
	for _, m := range account.Mailbox("INBOX").Messages() {
		if slices.Contains(m.Flags, mail.Deleted) {
			t.Errorf("message %d is marked \\Deleted", m.UID)
		}
	}
	if got := len(account.Mailbox("other").Messages()); got != 0 {
		t.Errorf("%d messages were copied, want none", got)
	}
}

// When a mailbox has new UIDs, keys of the old ones are keys of other messages: nothing is read, changed or removed by them.
func TestKeysOfAnotherUIDValidity(t *testing.T) {
	account := five()
	account.Create("other")
	_, o := fake(t, account, imaptest.Dialect{})
	s := open(t, o)
	ctx, keys := t.Context(), []mail.Key{"1", "2"}
	if _, err := s.Changes(ctx, mail.Inbox, ""); err != nil {
		t.Fatal(err)
	}
	account.Mailbox("INBOX").Revalidate(99, 2)
	before := fmt.Sprint(account.Mailbox("INBOX").Messages())
	calls := map[string]error{
		"SetFlags": s.SetFlags(ctx, mail.Inbox, keys, mail.Flagged, ""),
		"Expunge":  s.Expunge(ctx, mail.Inbox, keys),
	}
	_, calls["Move"] = s.Move(ctx, mail.Inbox, keys, "other")
	for _, err := range s.Fetch(ctx, mail.Inbox, keys, mail.Whole) {
		calls["Fetch"] = err
		if _, one := mail.KeyOf(err); one {
			t.Errorf("Fetch answers key by key: %v", err)
		}
	}
	for call, err := range calls {
		if err == nil {
			t.Errorf("%s = nil, want an error", call)
		}
	}
	if after := fmt.Sprint(account.Mailbox("INBOX").Messages()); after != before {
		t.Errorf("INBOX is %s, before it was %s", after, before)
	}
	if _, err := s.Changes(ctx, mail.Inbox, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.SetFlags(ctx, mail.Inbox, keys, mail.Flagged, ""); err != nil {
		t.Errorf("SetFlags after a new list = %v, want nil", err)
	}
}

// A caller that breaks off Fetch gets no more, and the store goes on.
func TestFetchCanBeBrokenOff(t *testing.T) {
	account := imaptest.NewAccount()
	inbox := account.Create("INBOX")
	var keys []mail.Key
	for i := range 20 {
		body := append(fiveBody(i), bytes.Repeat([]byte("0123456789abcdef\r\n"), 100_000)...)
		keys = append(keys, mail.Key(fmt.Sprint(inbox.Append(imaptest.Message{Body: body}))))
	}
	_, o := fake(t, account, imaptest.Dialect{})
	o.Connections = 1
	s := open(t, o)
	for range 3 {
		for f, err := range s.Fetch(t.Context(), mail.Inbox, keys, mail.Whole) {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.CopyN(io.Discard, f.Body, 10); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if _, err := s.Mailboxes(t.Context()); err != nil {
		t.Errorf("Mailboxes after a Fetch that was broken off = %v, want nil", err)
	}
}

// A message on which the connection is lost again and again is failed, and those behind it are read.
func TestPoisonedMessage(t *testing.T) {
	poison := func(s *imaptest.Session, c imaptest.Command) bool {
		if c.Name != "UID FETCH" || !strings.Contains(c.Text, "BODY.PEEK") {
			return false
		}
		set := strings.Fields(c.Text)[2]
		if set == "3" || strings.Contains(set, ":") {
			s.Close()
			return true
		}
		return false
	}
	_, o := fake(t, five(), imaptest.Dialect{Answers: []imaptest.Answer{poison}})
	got, _ := readAll(t, open(t, o))
	if len(got.Bodies) != 4 || !got.Failed["3"] {
		t.Errorf("read %d messages, failed %v; want 4 and the third", len(got.Bodies), got.Failed)
	}
}

// A server that does not answer is given up after the time-out, and a context ends the wait before.
func TestHangingServer(t *testing.T) {
	_, o := fake(t, five(), imaptest.Dialect{Answers: []imaptest.Answer{imaptest.Hang("EXAMINE")}})
	s := open(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Changes(ctx, mail.Inbox, ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Changes = %v, want %v", err, context.DeadlineExceeded)
	}
}
