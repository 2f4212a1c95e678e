package imap_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/store/imap"
	"roost/store/imap/imaptest"
)

// Each test here, and in the files beside this one, is a server that misbehaves as a real one was seen to, and what the
// driver makes of it.

// five is an account whose INBOX holds five messages, UIDs 1 to 5.
func five() *imaptest.Account {
	account := imaptest.NewAccount()
	inbox := account.Create("INBOX")
	for uid := range 5 {
		inbox.Append(imaptest.Message{Body: fiveBody(uid + 1), Flags: []string{`\Seen`}})
	}
	return account
}

func fiveBody(uid int) []byte { return fmt.Appendf(nil, "Subject: %d\r\n\r\nbody of %d\r\n", uid, uid) }

// reading is all that a Source yields of a mailbox.
type reading struct {
	Listed []uint32
	Count  int64
	Bodies map[mail.Key]string
	Failed map[mail.Key]bool // answered with an error that is not ErrGone
	Gone   map[mail.Key]bool
}

// whole is what is read of five if nothing is lost.
func whole() reading {
	r := reading{Count: 5, Bodies: map[mail.Key]string{}, Failed: map[mail.Key]bool{}, Gone: map[mail.Key]bool{}}
	for uid := range 5 {
		r.Listed = append(r.Listed, uint32(uid+1))
		r.Bodies[mail.Key(fmt.Sprint(uid+1))] = string(fiveBody(uid + 1))
	}
	return r
}

// without is whole, but for one message that is listed and cannot be read.
func without(key mail.Key) reading {
	r := whole()
	delete(r.Bodies, key)
	r.Failed[key] = true
	return r
}

// readAll lists INBOX and reads all that is listed.
func readAll(t *testing.T, s mail.Source) (reading, mail.Changes) {
	t.Helper()
	changes, err := s.Changes(t.Context(), mail.Inbox, "")
	if err != nil {
		t.Fatalf("Changes(INBOX) = %v, want nil", err)
	}
	r := reading{Count: changes.Count, Bodies: map[mail.Key]string{}, Failed: map[mail.Key]bool{}, Gone: map[mail.Key]bool{}}
	var keys []mail.Key
	for _, m := range changes.Messages {
		r.Listed = append(r.Listed, m.UID)
		keys = append(keys, m.Key)
	}
	fetchInto(t, s, &r, keys, mail.Whole)
	return r, changes
}

// fetchInto fetches messages, and checks that each is answered once.
func fetchInto(t *testing.T, s mail.Source, r *reading, keys []mail.Key, part mail.Part) {
	t.Helper()
	answered := map[mail.Key]int{}
	for f, err := range s.Fetch(t.Context(), mail.Inbox, keys, part) {
		key, one := mail.KeyOf(err)
		switch {
		case err == nil:
			body, err := io.ReadAll(f.Body)
			if err != nil {
				t.Fatalf("read message %s: %v", f.Key, err)
			}
			key = f.Key
			r.Bodies[key] = string(body)
		case !one:
			t.Fatalf("Fetch ends with %v", err)
		case errors.Is(err, mail.ErrGone):
			r.Gone[key] = true
		default:
			r.Failed[key] = true
		}
		answered[key]++
	}
	for _, k := range keys {
		if answered[k] != 1 {
			t.Errorf("Fetch answered key %s %d times, want once", k, answered[k])
		}
	}
}

// rewriting is a dialect that sends its responses through one Rewrite.
func rewriting(r imaptest.Rewrite) imaptest.Dialect {
	return imaptest.Dialect{Rewrites: []imaptest.Rewrite{r}}
}

// Whatever a server says beside what was asked, or says awkwardly, five messages are five messages.
func TestReadsAllDespiteQuirks(t *testing.T) {
	drop := func(name, part string) imaptest.Rewrite { return imaptest.Replace(name, part, "") }
	for name, dialect := range map[string]imaptest.Dialect{
		"MS-18 the last message answers a range above it": rewriting(imaptest.Insert("UID FETCH", "* 5 FETCH (UID 5 FLAGS (\\Seen))\r\n")),
		"MS-21 a response code that no grammar knows":     rewriting(imaptest.Insert("", "* OK [Error=\"x WrongServerException y\" Server=a] hm\r\n")),
		"MS-24 continuation requests that nobody awaits":  rewriting(imaptest.Insert("UID FETCH", "+ go on\r\n")),
		"MS-30 UID 0":                   rewriting(imaptest.Insert("UID FETCH", "* 6 FETCH (UID 0 FLAGS () INTERNALDATE \"01-Jan-2020 10:00:00 +0000\" RFC822.SIZE 3)\r\n")),
		"CO-02 sequence number 0":       rewriting(imaptest.Replace("UID FETCH", `\* \d+ FETCH`, "* 0 FETCH")),
		"SN-01 wrong sequence numbers":  rewriting(imaptest.Replace("UID FETCH", `\* \d+ FETCH`, "* 7 FETCH")),
		"GM-17 HIGHESTMODSEQ bare":      rewriting(imaptest.Replace("EXAMINE", `(\[HIGHESTMODSEQ \d+\])[^\r]*`, "$1")),
		"YH-02 SEARCH finds too few":    rewriting(imaptest.Replace("UID SEARCH", `\* (E?)SEARCH[^\r]*`, "* ${1}SEARCH")),
		"UID behind the body":           rewriting(imaptest.Replace("UID FETCH", `\(UID (\d+) RFC822.SIZE (\d+) (BODY\[\] \{\d+\}\r\n(?s:.*))\)\r\n$`, "(RFC822.SIZE $2 $3 UID $1)\r\n")),
		"flags of others in between":    rewriting(imaptest.Insert("UID FETCH", "* 2 FETCH (FLAGS (\\Seen))\r\n* 3 FETCH (MODSEQ (7))\r\n")),
		"X-09 no mod-sequences":         rewriting(imaptest.Replace("EXAMINE", `\[HIGHESTMODSEQ \d+\]`, "[NOMODSEQ]")),
		"SM-01 UIDVALIDITY 0":           rewriting(imaptest.Replace("", `UIDVALIDITY \d+`, "UIDVALIDITY 0")),
		"SM-01 numbers that are none":   rewriting(imaptest.Replace("", `UIDNEXT \d+`, "UIDNEXT -1")),
		"X-14 no capabilities told":     {Silent: true},
		"nothing but IMAP4rev1":         {Capabilities: imaptest.Bare()},
		"octet by octet":                {Wire: imaptest.Fragment(1)},
		"no MODSEQ in FETCH":            rewriting(drop("UID FETCH", ` MODSEQ \(\d+\)`)),
		"connection lost in the middle": {Wire: imaptest.DropAfter(0, 2000)},
		"YH-03 refused once":            {Answers: []imaptest.Answer{imaptest.Times(1, imaptest.Refuse("UID FETCH", "NO [UNAVAILABLE] UID FETCH Server error"))}},
		"connections end with BYE":      {Answers: []imaptest.Answer{imaptest.Times(2, imaptest.Bye("UID FETCH", "shutting down"))}},
	} {
		t.Run(name, func(t *testing.T) {
			_, o := fake(t, five(), dialect)
			got, _ := readAll(t, open(t, o))
			if diff := cmp.Diff(whole(), got); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
		})
	}
}

// A message that the server does not send is failed, never gone and never empty, and its neighbours are read. Rows YH-03,
// ZM-01, ZL-01.
func TestFailsOnlyWhatTheServerKeepsBack(t *testing.T) {
	third := `(UID 3 [^{]*BODY\[\] )\{\d+\}\r\n(?s:.*)\)\r\n$`
	for name, dialect := range map[string]imaptest.Dialect{
		"refused": {Broken: func(_ *imaptest.Mailbox, uid uint32) string {
			if uid == 3 {
				return "NO [UNAVAILABLE] UID FETCH Server error"
			}
			return ""
		}},
		"left out":         rewriting(imaptest.Replace("UID FETCH", `^\* \d+ FETCH \(UID 3 [^{]*BODY\[\](?s:.*)`, "")),
		"sent as NIL":      rewriting(imaptest.Replace("UID FETCH", third, "${1}NIL)\r\n")),
		"sent as nothing":  rewriting(imaptest.Replace("UID FETCH", third, "${1}{0}\r\n)\r\n")),
		"sent as no bytes": rewriting(imaptest.Replace("UID FETCH", third, "${1}\"\")\r\n")),
	} {
		t.Run(name, func(t *testing.T) {
			_, o := fake(t, five(), dialect)
			got, _ := readAll(t, open(t, o))
			if diff := cmp.Diff(without("3"), got); diff != "" {
				t.Errorf("read (-want +got):\n%s", diff)
			}
		})
	}
}

// An empty answer that is not repeated is no message, and no failure. Row ZM-01.
func TestAsksAgainForAnEmptyMessage(t *testing.T) {
	emptied := false // served on one connection, one after the other
	_, o := fake(t, five(), rewriting(func(s *imaptest.Session, c imaptest.Command, response string) string {
		if emptied || !strings.Contains(response, "UID 3 ") || !strings.Contains(response, "BODY[") {
			return response
		}
		emptied = true
		head, _, _ := strings.Cut(response, "{")
		return head + "{0}\r\n)\r\n"
	}))
	o.Connections = 1
	got, _ := readAll(t, open(t, o))
	if diff := cmp.Diff(whole(), got); diff != "" || !emptied {
		t.Errorf("read, with the third message emptied %v (-want +got):\n%s", emptied, diff)
	}
}

// A message that was expunged behind our back is gone; the others are read.
func TestTellsGoneFromFailed(t *testing.T) {
	account := five()
	_, o := fake(t, account, imaptest.Dialect{})
	s := open(t, o)
	account.Mailbox("INBOX").Expunge(2, 4)
	got := reading{Bodies: map[mail.Key]string{}, Failed: map[mail.Key]bool{}, Gone: map[mail.Key]bool{}}
	fetchInto(t, s, &got, []mail.Key{"5", "4", "3", "2", "1", "99", "nonsense"}, mail.Whole)
	if want := []mail.Key{"2", "4", "99", "nonsense"}; !slices.Equal(slices.Sorted(maps.Keys(got.Gone)), want) {
		t.Errorf("gone are %v, want %v", got.Gone, want)
	}
	if len(got.Bodies) != 3 || len(got.Failed) != 0 {
		t.Errorf("read are %v, failed %v; want 1, 3 and 5, none", got.Bodies, got.Failed)
	}
}

// What FETCH 1:* leaves out is found by the second method, or else the books do not balance. Rows YH-02, IC-06.
func TestListsWhatTheFirstMethodLeavesOut(t *testing.T) {
	hideInRange := func(s *imaptest.Session, c imaptest.Command, response string) string {
		if strings.HasPrefix(c.Text, "UID FETCH 1:*") && strings.Contains(response, "UID 3 ") {
			return ""
		}
		return response
	}
	t.Run("found by SEARCH", func(t *testing.T) {
		_, o := fake(t, five(), rewriting(hideInRange))
		got, _ := readAll(t, open(t, o))
		if diff := cmp.Diff(whole(), got); diff != "" {
			t.Errorf("read (-want +got):\n%s", diff)
		}
	})
	t.Run("never listed", func(t *testing.T) {
		_, o := fake(t, five(), rewriting(imaptest.Replace("UID FETCH", `^\* \d+ FETCH \(UID 3 (?s:.*)`, "")))
		got, changes := readAll(t, open(t, o))
		if got.Count != 5 || len(got.Listed) != 4 {
			t.Errorf("listed %d of %d, want 4 of 5", len(got.Listed), got.Count)
		}
		if len(changes.Failed) != 1 || changes.Failed[0].Key != "3" {
			t.Errorf("failed are %v, want the third message", changes.Failed)
		}
	})
	t.Run("IC-06 a phantom of SEARCH", func(t *testing.T) {
		dialect := rewriting(imaptest.Replace("UID SEARCH", `\* SEARCH`, "* SEARCH 77"))
		dialect.Rewrites = append(dialect.Rewrites, hideInRange)
		_, o := fake(t, five(), dialect)
		got, changes := readAll(t, open(t, o))
		if diff := cmp.Diff(whole(), got); diff != "" || len(changes.Failed) != 0 {
			t.Errorf("failed %v, read (-want +got):\n%s", changes.Failed, diff)
		}
	})
}

// Where SEARCH cannot be trusted to tell all that is present, nothing is taken for gone by its word. Row YH-02.
func TestCondstoreDoesNotBelieveAShortSearch(t *testing.T) {
	account := five()
	dialect := imaptest.Dialect{
		Capabilities: imaptest.Without(imaptest.Everything(), "QRESYNC"),
		Rewrites:     []imaptest.Rewrite{imaptest.Replace("UID SEARCH", `\* SEARCH[^\r]*`, "* SEARCH 1 2")},
	}
	_, o := fake(t, account, dialect)
	s := open(t, o)
	before, err := s.Changes(t.Context(), mail.Inbox, "")
	if err != nil {
		t.Fatal(err)
	}
	account.Mailbox("INBOX").SetFlags(4, `\Flagged`)
	account.Mailbox("INBOX").Expunge(5)
	after, err := s.Changes(t.Context(), mail.Inbox, before.Token)
	if err != nil {
		t.Fatal(err)
	}
	if known := after.Full && len(after.Messages) == 4; !known && (after.Present == nil || after.Present.String() != "1:4") {
		t.Errorf("Changes = Full %v, %d messages, present %v; want all four", after.Full, len(after.Messages), after.Present)
	}
}

// A new UIDVALIDITY, and a mod-sequence that went back, make a token void. Row X-01.
func TestVoidTokens(t *testing.T) {
	for name, change := range map[string]func(*imaptest.Account){
		"UIDVALIDITY": func(a *imaptest.Account) { a.Mailbox("INBOX").Revalidate(99, 1) },
		"mod-sequence went back": func(a *imaptest.Account) {
			inbox := a.Mailbox("INBOX")
			a.Do(func() { inbox.HighestModSeq = 1 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			account := five()
			_, o := fake(t, account, imaptest.Dialect{})
			s := open(t, o)
			before, err := s.Changes(t.Context(), mail.Inbox, "")
			if err != nil {
				t.Fatal(err)
			}
			change(account)
			after, err := s.Changes(t.Context(), mail.Inbox, before.Token)
			if err != nil || !after.Full || len(after.Messages) != 5 {
				t.Errorf("Changes = Full %v, %d messages, %v; want all five", after.Full, len(after.Messages), err)
			}
		})
	}
}

// Reading selects by EXAMINE and fetches by BODY.PEEK, so that it changes nothing.
func TestReadingChangesNothing(t *testing.T) {
	account := five()
	server, o := fake(t, account, imaptest.Dialect{})
	before := account.Mailbox("INBOX").Messages()
	s := open(t, o)
	if _, err := s.Mailboxes(t.Context()); err != nil {
		t.Fatal(err)
	}
	readAll(t, s)
	got := reading{Bodies: map[mail.Key]string{}, Failed: map[mail.Key]bool{}, Gone: map[mail.Key]bool{}}
	fetchInto(t, s, &got, []mail.Key{"1", "2"}, mail.Header)
	if want := "Subject: 1\r\n\r\n"; got.Bodies["1"] != want {
		t.Errorf("header is %q, want %q", got.Bodies["1"], want)
	}
	for _, c := range server.Commands() {
		switch c.Name {
		case "SELECT", "STORE", "UID STORE", "APPEND", "CREATE", "EXPUNGE", "CLOSE":
			t.Errorf("reading sent %q", c.Text)
		case "UID FETCH":
			if strings.Contains(c.Text, "BODY[") || strings.Contains(c.Text, "RFC822)") {
				t.Errorf("reading sent %q, which sets \\Seen", c.Text)
			}
		}
	}
	if diff := cmp.Diff(before, account.Mailbox("INBOX").Messages()); diff != "" {
		t.Errorf("reading changed messages (-before +after):\n%s", diff)
	}
}

// What a server says at login reaches the caller as the word of package mail for it.
func TestLoginErrors(t *testing.T) {
	for name, test := range map[string]struct {
		dialect imaptest.Dialect
		want    error
	}{
		"wrong password": {imaptest.Dialect{Login: func(imaptest.Login) string { return "NO [AUTHENTICATIONFAILED] wrong" }}, mail.ErrAuth},
		"needs a human": {imaptest.Dialect{Login: func(imaptest.Login) string {
			return "NO [ALERT] Application-specific password required: https://support.example.com"
		}}, mail.ErrNeedsHuman},
		"turned away": {imaptest.Dialect{Greeting: "* BYE try elsewhere"}, mail.ErrConnect},
	} {
		t.Run(name, func(t *testing.T) {
			_, o := fake(t, five(), test.dialect)
			s, err := imap.Open(t.Context(), o)
			if !errors.Is(err, test.want) {
				t.Errorf("Open = %v, want %v", err, test.want)
			}
			if err == nil {
				s.Close()
			}
		})
	}
}

// A certificate that is not the pinned one, or of no known authority, ends the connection before any word is said.
func TestTLSErrors(t *testing.T) {
	server, o := fake(t, five(), imaptest.Dialect{})
	for name, change := range map[string]func(*imap.Options){
		"wrong pin":    func(o *imap.Options) { o.Fingerprint[0]++ },
		"no authority": func(o *imap.Options) { o.Fingerprint = [32]byte{} },
	} {
		wrong := o
		change(&wrong)
		if _, err := imap.Open(t.Context(), wrong); !errors.Is(err, mail.ErrTLS) {
			t.Errorf("%s: Open = %v, want %v", name, err, mail.ErrTLS)
		}
	}
	if said := server.Commands(); len(said) > 0 {
		t.Errorf("the client said %v to a server it cannot trust", said)
	}
}
