package imap_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"roost/mail"
	"roost/store/imap/imaptest"
)

// What any server may do, whoever made it.

// A mailbox that was deleted and made again under its name is another: nothing of the old one is believed. Row X-02.
func TestMailboxMadeAnew(t *testing.T) {
	account := five()
	_, o := fake(t, account, imaptest.Dialect{})
	s := open(t, o)
	before, err := s.Changes(t.Context(), mail.Inbox, "")
	if err != nil {
		t.Fatal(err)
	}
	account.Delete("INBOX")
	account.Create("INBOX").Append(imaptest.Message{Body: []byte("Subject: other\r\n\r\n")})
	for _, err := range s.Fetch(t.Context(), mail.Inbox, []mail.Key{"1"}, mail.Whole) {
		if _, one := mail.KeyOf(err); err == nil || one {
			t.Errorf("Fetch by a key of the old mailbox = %v, want an error of the mailbox", err)
		}
	}
	after, err := s.Changes(t.Context(), mail.Inbox, before.Token)
	if err != nil || !after.Full || len(after.Messages) != 1 || after.UIDValidity == before.UIDValidity {
		t.Errorf("Changes = full %v, %d messages, %v; want all of the new mailbox", after.Full, len(after.Messages), err)
	}
}

// A message that moved between the list and the fetch is gone here, and new there; never failed. Row X-04.
func TestMovedMeanwhile(t *testing.T) {
	account := five()
	other := account.Create("other")
	_, o := fake(t, account, imaptest.Dialect{})
	s := open(t, o)
	ch, err := s.Changes(t.Context(), mail.Inbox, "")
	if err != nil || len(ch.Messages) != 5 {
		t.Fatalf("Changes lists %d, %v", len(ch.Messages), err)
	}
	account.Mailbox("INBOX").Expunge(2)
	other.Append(imaptest.Message{Body: fiveBody(2)})
	got := reading{Bodies: map[mail.Key]string{}, Failed: map[mail.Key]bool{}, Gone: map[mail.Key]bool{}}
	fetchInto(t, s, &got, []mail.Key{"1", "2", "3"}, mail.Whole)
	if !got.Gone["2"] || len(got.Bodies) != 2 || len(got.Failed) != 0 {
		t.Errorf("gone %v, failed %v, %d read; want 2 gone, 2 read", got.Gone, got.Failed, len(got.Bodies))
	}
	there, err := s.Changes(t.Context(), "other", "")
	if err != nil || len(there.Messages) != 1 {
		t.Errorf("Changes(other) lists %d, %v; want 1", len(there.Messages), err)
	}
}

// The same message twice in a mailbox is two, and one Message-ID on two different ones makes them not one. Rows,
// PL-01, HM-03, DB-01.
func TestTwinsAreTwo(t *testing.T) {
	account := imaptest.NewAccount()
	inbox := account.Create("INBOX")
	bodies := []string{
		"Message-ID: <a@x>\r\n\r\none\r\n", "Message-ID: <a@x>\r\n\r\none\r\n", "Message-ID: <a@x>\r\n\r\ntwo\r\n", "\r\nno header\r\n",
		"Message-ID: <" + strings.Repeat("m", 10_000) + ">\r\n\r\nlong\r\n",
	}
	for _, b := range bodies {
		inbox.Append(imaptest.Message{Body: []byte(b)})
	}
	_, o := fake(t, account, imaptest.Dialect{})
	got, _ := readAll(t, open(t, o))
	for i, b := range bodies {
		if key := mail.Key(fmt.Sprint(i + 1)); got.Bodies[key] != b {
			t.Errorf("message %s is %.60q, want %.60q", key, got.Bodies[key], b)
		}
	}
}

// VANISHED may name any number of UIDs that nobody has seen. Row X-08.
func TestHugeVanished(t *testing.T) {
	account := five()
	_, o := fake(t, account, rewriting(imaptest.Replace("UID FETCH", `\* VANISHED \(EARLIER\) 2\r`, "* VANISHED (EARLIER) 2,6:4294967295\r")))
	s := open(t, o)
	before, err := s.Changes(t.Context(), mail.Inbox, "")
	if err != nil {
		t.Fatal(err)
	}
	account.Mailbox("INBOX").Expunge(2)
	after, err := s.Changes(t.Context(), mail.Inbox, before.Token)
	if err != nil || after.Full || !after.Vanished.Contains(2) || after.Vanished.Contains(3) || after.Method != "qresync" {
		t.Errorf("Changes = %+v, %v; want 2 to have vanished, by qresync", after, err)
	}
}

// Dates of every kind are read, and one that is none is unknown. Row X-18.
func TestOddInternalDates(t *testing.T) {
	for text, want := range map[string]time.Time{
		" 1-Jan-1970 00:00:00 +0000": time.Unix(0, 0).UTC(),
		"1-Jan-1970 00:00:00 +0000":  time.Unix(0, 0).UTC(),
		"17-Jul-2026 02:44:25 +1400": time.Date(2026, 7, 16, 12, 44, 25, 0, time.UTC),
		"17-jul-2026 02:44:25 -0700": time.Date(2026, 7, 17, 9, 44, 25, 0, time.UTC),
		"17-Jul-99 02:44:25 +0000":   time.Date(1999, 7, 17, 2, 44, 25, 0, time.UTC),
		"whenever":                   {},
		"32-Jul-2026 02:44:25 +0000": {},
	} {
		account := imaptest.NewAccount()
		account.Create("INBOX").Append(imaptest.Message{Body: fiveBody(1), InternalDate: text})
		_, o := fake(t, account, imaptest.Dialect{})
		got, ch := readAll(t, open(t, o))
		if d := ch.Messages[0].InternalDate; !d.Equal(want) || len(got.Bodies) != 1 {
			t.Errorf("INTERNALDATE %q is %v, want %v; %d read", text, d, want, len(got.Bodies))
		}
	}
}

// A message whose octets were counted wrongly does not pass for another, and its neighbours are read. Row X-20.
func TestLiteralsThatLie(t *testing.T) {
	for name, by := range map[string]int{"too short": -7, "too long": 40} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, o := fake(t, five(), rewriting(func(_ *imaptest.Session, c imaptest.Command, response string) string {
				body := string(fiveBody(3))
				return strings.Replace(response, fmt.Sprintf("{%d}\r\n%s", len(body), body), fmt.Sprintf("{%d}\r\n%s", len(body)+by, body), 1)
			}))
			o.Timeout = 200 * time.Millisecond
			got, _ := readAll(t, open(t, o))
			want := without("3")
			for key, body := range want.Bodies {
				if got.Bodies[key] != body {
					t.Errorf("message %s is %q, want %q", key, got.Bodies[key], body)
				}
			}
			if _, read := got.Bodies["3"]; read || !got.Failed["3"] || len(got.Gone) != 0 {
				t.Errorf("the third is %q, failed %v, gone %v; want it to fail", got.Bodies["3"], got.Failed, got.Gone)
			}
		})
	}
}

// What a server wants its users to know is told, in its words. Row X-22.
func TestAlertsAreTold(t *testing.T) {
	_, o := fake(t, five(), rewriting(once(imaptest.Insert("EXAMINE", "* OK [ALERT] Your mailbox moves on Friday\r\n"))))
	o, log := logged(o)
	if got, _ := readAll(t, open(t, o)); len(got.Bodies) != 5 || !strings.Contains(log.String(), "Your mailbox moves on Friday") {
		t.Errorf("%d read; the log says %q", len(got.Bodies), log)
	}
}
