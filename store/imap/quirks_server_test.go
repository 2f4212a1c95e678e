package imap_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/store/imap"
	"roost/store/imap/imaptest"
)

func TestReadsAllFromOtherServers(t *testing.T) {
	plain := imaptest.Without(imaptest.Everything(), "QRESYNC", "CONDSTORE")
	hide := imaptest.Replace("UID FETCH", `^\* \d+ FETCH \(UID 3 FLAGS (?s:.*)`, "")
	readsAll(t, map[string]imaptest.Dialect{
		"DV-03 another separator": {Namespace: `(("INBOX." ".")) (("user." ".")) (("shared." "."))`},
		"DV-05 in use": {Answers: []imaptest.Answer{
			imaptest.Times(1, imaptest.Refuse("EXAMINE", "NO [INUSE] locked")), imaptest.Times(1, imaptest.Refuse("LIST", "NO [UNAVAILABLE] later"))}},
		"DV-05 unavailable at the login":     {Login: unavailable(2)},
		"DV-06 few connections":              {MaxConnections: 2},
		"DV-07 still here":                   rewriting(imaptest.Insert("", "* OK Still here\r\n")),
		"DV-09 two worlds at once":           {Capabilities: exchange(), MaxLine: 2048, Rewrites: []imaptest.Rewrite{imaptest.Insert("", "* OK Still here\r\n+ \r\n"), imaptest.Replace("UID FETCH", `\* \d+ FETCH`, "* 0 FETCH")}},
		"ZM-02 QRESYNC without CLOSED":       rewriting(imaptest.Replace("", `\* OK \[CLOSED\][^\n]*\n`, "")),
		"ZM-03 BYE to a SELECT":              {Answers: []imaptest.Answer{imaptest.Times(1, imaptest.Bye("EXAMINE", "Zimbra IMAP4rev1 server closing connection"))}},
		"HM-01, QQ-01, ZM-05 sets and lines": {Capabilities: plain, MaxLine: 2048},
		"QQ-02 no SEARCH, blanks": {Capabilities: plain, Answers: []imaptest.Answer{imaptest.Refuse("UID SEARCH", "BAD unsupported")},
			Rewrites: []imaptest.Rewrite{once(hide), imaptest.Replace("", `(CAPABILITY [^\]\r]*)`, "$1 ")}},
		"ZO-01 MODSEQ -1":                          rewriting(imaptest.Replace("", `(MODSEQ \(?)\d+`, "${1}-1")),
		"ZO-02 what no grammar knows":              rewriting(imaptest.Insert("UID FETCH", "* 2 FETCH (UID FLAGS (\\Seen ]] )) ((\r\n* FETCH\r\n*\r\n* 3 FETCH\r\n* ((\"\r\n")),
		"MR-01 decimals":                           rewriting(imaptest.Replace("", `(UID|RFC822.SIZE|UIDNEXT|UIDVALIDITY|MESSAGES) (\d+)`, "$1 $2.0")),
		"XE-01 items behind the parenthesis":       rewriting(imaptest.Replace("UID FETCH", `\)\r\n$`, ") MODSEQ (3) FLAGS (\\Seen)\r\n")),
		"DO-02 no internal date":                   rewriting(imaptest.Replace("UID FETCH", `INTERNALDATE "[^"]*"`, `INTERNALDATE "00-Jan-0000 00:00:00 +0000"`)),
		"SU-01 quoted flags, odd counts":           rewriting(imaptest.Replace("", `FLAGS \(\\Seen\)`, `FLAGS ("\\Seen")`)),
		"SU-01 NIL flags":                          rewriting(imaptest.Replace("UID FETCH", `FLAGS \(\\Seen\)`, `FLAGS NIL`)),
		"SU-01 UIDNEXT 0":                          rewriting(imaptest.Replace("", `UIDNEXT \d+`, `UIDNEXT 0`)),
		"SU-01 counts of -1":                       rewriting(imaptest.Replace("", `\* 0 RECENT|UNSEEN \d+`, `* -1 RECENT`)),
		"SU-02 no PERMANENTFLAGS":                  {PermanentFlags: "-"},
		"IW-01 NO as a greeting, once":             rewriting(refuseGreeting()),
		"AW-01 throttled":                          {Capabilities: plain, Answers: []imaptest.Answer{imaptest.Times(2, imaptest.Refuse("UID FETCH", "NO [THROTTLED] slow down"))}},
		"PM-01 SELECT without parameters":          {Answers: []imaptest.Answer{refuseText("(CONDSTORE)", "BAD no parameters here")}},
		"NE-01 a greeting with brackets, ID first": unsafeLogin(),
		"LK-01 idle connections are closed":        {Answers: []imaptest.Answer{imaptest.Times(1, imaptest.Bye("EXAMINE", "Autologout; idle for too long"))}},
	})
}

func unavailable(times int) func(imaptest.Login) string {
	return func(imaptest.Login) string {
		if times--; times >= 0 {
			return "NO [UNAVAILABLE] Temporary authentication failure"
		}
		return ""
	}
}

// refuseGreeting greets the first connection with NO.
func refuseGreeting() imaptest.Rewrite {
	return once(func(_ *imaptest.Session, c imaptest.Command, response string) string {
		if c.Name == "" {
			return "* NO busy\r\n"
		}
		return response
	})
}

// unsafeLogin is Coremail: who has not sent ID may not select.
func unsafeLogin() imaptest.Dialect {
	var mu sync.Mutex
	known := map[*imaptest.Session]bool{}
	return imaptest.Dialect{
		Rewrites: []imaptest.Rewrite{imaptest.Replace("", `imaptest ready`, "Coremail System IMap Server Ready(163com[10774b260cc7a37d26d71b52404dcf5c])")},
		Answers: []imaptest.Answer{func(s *imaptest.Session, c imaptest.Command) bool {
			mu.Lock()
			defer mu.Unlock()
			known[s] = known[s] || c.Name == "ID"
			if c.Name == "EXAMINE" && !known[s] {
				s.Tagged(c, "NO EXAMINE Unsafe Login. Please contact kefu@188.com for help")
				return true
			}
			return false
		}},
	}
}

// A count that is none, in the answer to SELECT, makes no empty mailbox of a full one: the books do not balance. Row SU-01.
func TestCountThatIsNone(t *testing.T) {
	_, o := fake(t, five(), rewriting(imaptest.Replace("EXAMINE", `\* 5 EXISTS`, "* -1 EXISTS")))
	s := open(t, o)
	boxes, err := s.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ch, err := s.Changes(t.Context(), mail.Inbox, "")
	if err == nil && len(ch.Messages) != 5 && int64(len(ch.Messages)) == boxes[0].Count {
		t.Errorf("Changes lists %d messages of %d and all seems well", len(ch.Messages), boxes[0].Count)
	}
	if err == nil && len(ch.Messages) != 5 {
		t.Errorf("Changes lists %d messages, count %d; want 5", len(ch.Messages), ch.Count)
	}
}

// Two mailboxes with the same numbers are two: the token of one says nothing of the other. Row DV-01.
func TestTokensOfTwins(t *testing.T) {
	account := imaptest.NewAccount()
	for _, name := range []string{"one", "two"} {
		box := account.Create(name)
		box.Append(imaptest.Message{Body: []byte("Subject: " + name + "\r\n\r\n")})
		account.Do(func() { box.UIDValidity = 77 })
	}
	_, o := fake(t, account, imaptest.Dialect{})
	s := open(t, o)
	one, err := s.Changes(t.Context(), "one", "")
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.Changes(t.Context(), "two", one.Token)
	if err != nil || !two.Full || len(two.Messages) != 1 {
		t.Errorf("Changes(two) with the token of one = full %v, %d messages, %v", two.Full, len(two.Messages), err)
	}
}

// Names have the prefix and the separator of the namespace taken off, and mailboxes of others are not listed unasked.
// Rows DV-03, CO-03.
func TestNamespaces(t *testing.T) {
	account := imaptest.NewAccount()
	for _, name := range []string{"INBOX", "INBOX.Work", "INBOX.Work.a/b", "user.bob", "user.bob.x", "shared.all"} {
		account.Create(name).Separator = "."
	}
	for shared, want := range map[bool][]mail.Name{
		false: {"INBOX", "Work", "Work/a%2Fb"},
		true:  {"INBOX", "Work", "Work/a%2Fb", "shared/all", "user/bob", "user/bob/x"},
	} {
		_, o := fake(t, account, imaptest.Dialect{Namespace: `(("INBOX." ".")) (("user." ".")) (("shared." "."))`})
		o.Shared = shared
		s := open(t, o)
		boxes, err := s.Mailboxes(t.Context())
		var got []mail.Name
		for _, b := range boxes {
			got = append(got, b.Name)
			if _, err := s.Changes(t.Context(), b.Name, ""); err != nil {
				t.Errorf("Changes(%s) = %v", b.Name, err)
			}
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("shared %v: %v (-want +got):\n%s", shared, err, diff)
		}
	}
}

// Any password and any form of another's name reach the server as they are. Rows DV-10, DV-11, ZM-06, MU-01.
func TestLoginForms(t *testing.T) {
	for name, test := range map[string]struct {
		capabilities string
		change       func(*imap.Options)
		want         imaptest.Login
	}{
		"a password for PLAIN":         {"AUTH=PLAIN", func(o *imap.Options) {}, imaptest.Login{Mechanism: "PLAIN", User: "alice"}},
		"a password for LOGIN":         {"", func(o *imap.Options) {}, imaptest.Login{Mechanism: "LOGIN", User: "alice"}},
		"a password for AUTH=LOGIN":    {"AUTH=LOGIN", func(o *imap.Options) {}, imaptest.Login{Mechanism: "LOGIN", User: "alice"}},
		"Dovecot's master user":        {"AUTH=PLAIN", func(o *imap.Options) { o.User = "alice*admin" }, imaptest.Login{Mechanism: "PLAIN", User: "alice*admin"}},
		"Cyrus and Zimbra by identity": {"AUTH=PLAIN SASL-IR", func(o *imap.Options) { o.User, o.ActAs = "admin", "alice" }, imaptest.Login{Mechanism: "PLAIN", User: "admin", As: "alice"}},
		"Exchange's shared mailbox":    {"", func(o *imap.Options) { o.User = `DOMAIN\admin\alice` }, imaptest.Login{Mechanism: "LOGIN", User: `DOMAIN\admin\alice`}},
		"Kerio's and James's form":     {"", func(o *imap.Options) { o.User = "alice@example.com+admin@example.com" }, imaptest.Login{Mechanism: "LOGIN", User: "alice@example.com+admin@example.com"}},
		"PROXYAUTH":                    {"AUTH=PLAIN", func(o *imap.Options) { o.User, o.ProxyAuth = "admin", "alice" }, imaptest.Login{Mechanism: "PLAIN", User: "admin"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, secret := range []string{`"\pass{3}`, "{1+}", "NIL", "p(a)*% s", "päss", "", "a\tb", strings.Repeat("x", 2000)} {
				var got imaptest.Login
				proxied := ""
				server, o := fake(t, five(), imaptest.Dialect{
					Capabilities: strings.Fields("IMAP4rev1 " + test.capabilities),
					Login:        func(l imaptest.Login) string { got = l; return "" },
					Answers: []imaptest.Answer{func(s *imaptest.Session, c imaptest.Command) bool {
						if c.Name != "PROXYAUTH" {
							return false
						}
						proxied = c.Args[0].Text
						s.Tagged(c, "OK now you are another")
						return true
					}},
				})
				o.Secret = func(context.Context) (string, error) { return secret, nil }
				test.change(&o)
				want := test.want
				want.Secret, want.TLS = secret, true
				s, err := openStore(t, o)
				if err != nil {
					t.Errorf("secret %q: %v", secret, err)
					continue
				}
				if diff := cmp.Diff(want, got); diff != "" || proxied != o.ProxyAuth {
					t.Errorf("secret %q, proxied %q, login (-want +got):\n%s", secret, proxied, diff)
				}
				if n := server.Count("LOGOUT"); n != 0 {
					t.Errorf("%d logouts", n)
				}
				s.Close()
			}
		})
	}
}

// Where each EXAMINE tells another UIDVALIDITY, nothing is read by UIDs that may be those of others, and nothing is taken for
// gone. Row CO-01.
func TestUIDValidityThatIsNotKept(t *testing.T) {
	n := 100
	_, o := fake(t, five(), rewriting(func(_ *imaptest.Session, c imaptest.Command, response string) string {
		if c.Name != "EXAMINE" || !strings.Contains(response, "[UIDVALIDITY") {
			return response
		}
		n++
		return fmt.Sprintf("* OK [UIDVALIDITY %d] new\r\n", n)
	}))
	s := open(t, o)
	ch, err := s.Changes(t.Context(), mail.Inbox, "")
	if err != nil || len(ch.Messages) != 5 {
		t.Fatalf("Changes lists %d, %v", len(ch.Messages), err)
	}
	for f, err := range s.Fetch(t.Context(), mail.Inbox, []mail.Key{"1", "2"}, mail.Whole) {
		if _, one := mail.KeyOf(err); err == nil || one || errors.Is(err, mail.ErrGone) {
			t.Errorf("Fetch yields %q, %v; want an error of the mailbox", f.Key, err)
		}
	}
}

// A mailbox whose SELECT costs the connection each time fails by itself; the store goes on. Row ZM-03.
func TestMailboxThatClosesTheConnection(t *testing.T) {
	account := five()
	account.Create("damaged")
	bye := func(s *imaptest.Session, c imaptest.Command) bool {
		return strings.Contains(c.Text, "damaged") && imaptest.Bye("EXAMINE", "Zimbra IMAP4rev1 server closing connection")(s, c)
	}
	_, o := fake(t, account, imaptest.Dialect{Answers: []imaptest.Answer{bye}})
	s := open(t, o)
	_, err := s.Changes(t.Context(), "damaged", "")
	var e *mail.Error
	if !errors.As(err, &e) || e.Mailbox != "damaged" || errors.Is(err, mail.ErrConnect) || errors.Is(err, mail.ErrNoMailbox) {
		t.Errorf("Changes(damaged) = %v, want an error of that mailbox only", err)
	}
	if got, _ := readAll(t, s); len(got.Bodies) != 5 {
		t.Errorf("%d messages of INBOX are read, want 5", len(got.Bodies))
	}
}

// What looks like responses in a message is the message. Row GX-01.
func TestBodyThatLooksLikeResponses(t *testing.T) {
	account := imaptest.NewAccount()
	body := "X-Spam-Flag: NO\r\nr1 OK done\r\n* BYE bye\r\n+ go on\r\n)\r\n* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\nr7 BAD no\r\n\r\n{5}\r\n"
	account.Create("INBOX").Append(imaptest.Message{Body: []byte(body)})
	_, o := fake(t, account, imaptest.Dialect{})
	got, _ := readAll(t, open(t, o))
	if got.Bodies["1"] != body {
		t.Errorf("read %q, want %q", got.Bodies["1"], body)
	}
}
