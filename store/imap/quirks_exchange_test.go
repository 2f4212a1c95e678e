package imap_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/store/imap"
	"roost/store/imap/imaptest"
)

// exchange is what Exchange can.
func exchange() []string {
	return strings.Fields("IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+")
}

func TestReadsAllFromExchange(t *testing.T) {
	throttled := "Request is throttled. Suggested Backoff Time: 20 milliseconds"
	hide := imaptest.Replace("UID FETCH", `^\* \d+ FETCH \(UID 3 FLAGS (?s:.*)`, "")
	readsAll(t, map[string]imaptest.Dialect{
		"MS-01 throttled, by NO":          {Capabilities: exchange(), Answers: []imaptest.Answer{imaptest.Times(2, imaptest.Refuse("UID FETCH", "NO "+throttled))}},
		"MS-01 throttled, by BYE":         {Capabilities: exchange(), Answers: []imaptest.Answer{imaptest.Times(2, imaptest.Bye("UID FETCH", throttled))}},
		"MS-01 throttled at the SELECT":   {Capabilities: exchange(), Answers: []imaptest.Answer{imaptest.Times(2, imaptest.Refuse("EXAMINE", "BAD "+throttled))}},
		"MS-04 short lines":               {Capabilities: exchange(), MaxLine: 2048},
		"MS-09 not connected at a login":  {Capabilities: exchange(), Login: notConnected(2)},
		"MS-09 not connected at a SELECT": {Capabilities: exchange(), Answers: []imaptest.Answer{imaptest.Times(2, imaptest.Refuse("EXAMINE", "BAD User is authenticated but not connected."))}},
		"MS-20 STATUS with a blank":       {Capabilities: exchange(), Rewrites: []imaptest.Rewrite{imaptest.Replace("STATUS", `\)\r\n`, " ) \r\n")}},
		"MS-20 STATUS without items":      {Capabilities: exchange(), Rewrites: []imaptest.Rewrite{imaptest.Replace("STATUS", `\(MESSAGES.*\)`, "()")}},
		"MS-26 ESEARCH without a result": {Capabilities: exchange(), Rewrites: []imaptest.Rewrite{
			imaptest.Replace("UID SEARCH", `\* SEARCH[^\r]*`, `* ESEARCH (TAG "x") UID`), once(hide)}},
		"MS-28 no extensions":                    {Capabilities: imaptest.Bare()},
		"MS-29 NAMESPACE hangs, not offered":     {Capabilities: imaptest.Bare(), Answers: []imaptest.Answer{imaptest.Hang("NAMESPACE")}},
		"MS-29 NAMESPACE is BAD, though offered": {Capabilities: exchange(), Answers: []imaptest.Answer{imaptest.Refuse("NAMESPACE", "BAD Protocol Error")}},
		"MS-29 SEARCH is refused": {Capabilities: exchange(), Rewrites: []imaptest.Rewrite{once(hide)},
			Answers: []imaptest.Answer{imaptest.Refuse("UID SEARCH", "NO The search failed")}},
		"MS-24 continuation requests at the login": {Capabilities: exchange(), Answers: []imaptest.Answer{strayAtLogin}},
	})
}

// strayAtLogin sends continuation requests before the login is served.
func strayAtLogin(s *imaptest.Session, c imaptest.Command) bool {
	if c.Name == "AUTHENTICATE" {
		s.Send("+ \r\n+ go on\r\n")
	}
	return false
}

// once is a rewrite that is done until it has changed something.
func once(rewrite imaptest.Rewrite) imaptest.Rewrite {
	done := false
	return func(s *imaptest.Session, c imaptest.Command, response string) string {
		if done {
			return response
		}
		after := rewrite(s, c, response)
		done = after != response
		return after
	}
}

func notConnected(times int) func(imaptest.Login) string {
	return func(imaptest.Login) string {
		if times--; times >= 0 {
			return "BAD User is authenticated but not connected."
		}
		return ""
	}
}

// A server that closes a session after ten errors is left before the tenth, and all that can be read is read. Row MS-02.
func TestSessionOfTenErrors(t *testing.T) {
	const count, broken = 300, 25
	account := imaptest.NewAccount()
	inbox := account.Create("INBOX")
	var keys []mail.Key
	for i := range count {
		keys = append(keys, mail.Key(fmt.Sprint(inbox.Append(imaptest.Message{Body: fiveBody(i)}))))
	}
	errorsOf := map[int]int{}
	dialect := imaptest.Dialect{
		Capabilities: exchange(),
		Broken: func(_ *imaptest.Mailbox, uid uint32) string {
			if uid%(count/broken) == 0 {
				return "NO Server Unavailable. 15"
			}
			return ""
		},
		Rewrites: []imaptest.Rewrite{func(s *imaptest.Session, c imaptest.Command, response string) string {
			if strings.HasPrefix(response, c.Tag+" NO") {
				if errorsOf[s.Number]++; errorsOf[s.Number] == 10 {
					t.Errorf("connection %d has seen ten errors", s.Number)
				}
			}
			return response
		}},
	}
	_, o := fake(t, account, dialect)
	o.Connections = 1
	s := open(t, o)
	got := reading{Bodies: map[mail.Key]string{}, Failed: map[mail.Key]bool{}, Gone: map[mail.Key]bool{}}
	fetchInto(t, s, &got, keys, mail.Whole)
	if len(got.Bodies) != count-broken || len(got.Failed) != broken || len(got.Gone) != 0 {
		t.Errorf("%d are read, %d failed, %d gone; want %d, %d, 0", len(got.Bodies), len(got.Failed), len(got.Gone), count-broken, broken)
	}
	if len(errorsOf) < 3 {
		t.Errorf("only %d connections saw errors", len(errorsOf))
	}
}

// The size that a server says is not held against the bytes that come. Row MS-10.
func TestSizeIsNotBelieved(t *testing.T) {
	account := imaptest.NewAccount()
	inbox := account.Create("INBOX")
	for i, size := range []int64{1, 1 << 20, 1 << 40} {
		inbox.Append(imaptest.Message{Body: fiveBody(i + 1), Size: size})
	}
	_, o := fake(t, account, imaptest.Dialect{Capabilities: exchange()})
	got, _ := readAll(t, open(t, o))
	for i := range 3 {
		if key := mail.Key(fmt.Sprint(i + 1)); got.Bodies[key] != string(fiveBody(i+1)) {
			t.Errorf("message %s is %q", key, got.Bodies[key])
		}
	}
}

// A name that ends or begins with a blank is reached as it is. Row MS-14.
func TestNamesWithBlanks(t *testing.T) {
	account := imaptest.NewAccount()
	for _, name := range []string{"INBOX", "Clients ", " first", "two  blanks"} {
		account.Create(name).Append(imaptest.Message{Body: []byte("Subject: " + name + "|\r\n\r\n")})
	}
	_, o := fake(t, account, imaptest.Dialect{Capabilities: exchange()})
	s := open(t, o)
	boxes, err := s.Mailboxes(t.Context())
	if err != nil || len(boxes) != 4 {
		t.Fatalf("Mailboxes() = %v, %v", boxes, err)
	}
	for _, b := range boxes {
		ch, err := s.Changes(t.Context(), b.Name, "")
		if err != nil || len(ch.Messages) != 1 || b.Count != 1 {
			t.Errorf("Changes(%q) = %d messages, %v; counted %d", b.Name, len(ch.Messages), err, b.Count)
		}
	}
}

// Who has no mailbox hears the server's words. Row MS-33.
func TestLoginWithoutMailbox(t *testing.T) {
	_, o := fake(t, five(), imaptest.Dialect{Login: func(imaptest.Login) string { return "NO LOGIN failed: no mailbox for this user" }})
	s, err := imap.Open(t.Context(), o)
	if err == nil {
		s.Close()
	}
	if !errors.Is(err, mail.ErrAuth) || !strings.Contains(err.Error(), "no mailbox for this user") {
		t.Errorf("Open = %v, want %v with the server's words", err, mail.ErrAuth)
	}
}

// Whatever extensions a server has, a second look tells the same. Row MS-28.
func TestSameChangesByAllMethods(t *testing.T) {
	var first map[uint32]mail.Flags
	for _, capabilities := range [][]string{imaptest.Everything(), imaptest.Without(imaptest.Everything(), "QRESYNC"), exchange(), imaptest.Bare()} {
		account := five()
		_, o := fake(t, account, imaptest.Dialect{Capabilities: capabilities})
		s := open(t, o)
		known := map[uint32]mail.Flags{}
		learn := func(ch mail.Changes) {
			if ch.Full {
				clear(known)
			}
			for uid := range known {
				if ch.Vanished.Contains(uid) || ch.Present != nil && !ch.Present.Contains(uid) {
					delete(known, uid)
				}
			}
			for _, m := range ch.Messages {
				known[m.UID] = m.Flags
			}
		}
		before, err := s.Changes(t.Context(), mail.Inbox, "")
		if err != nil {
			t.Fatal(err)
		}
		learn(before)
		inbox := account.Mailbox("INBOX")
		inbox.Expunge(1, 4)
		inbox.SetFlags(3, `\Flagged`, "work")
		inbox.Append(imaptest.Message{Body: fiveBody(6)})
		after, err := s.Changes(t.Context(), mail.Inbox, before.Token)
		if err != nil {
			t.Fatal(err)
		}
		learn(after)
		if first == nil {
			first = map[uint32]mail.Flags{2: mail.Seen, 3: mail.FlagsOf(mail.Flagged, "work"), 5: mail.Seen, 6: ""}
		}
		if diff := cmp.Diff(first, known); diff != "" {
			t.Errorf("%s tells (-want +got):\n%s", after.Method, diff)
		}
	}
}
