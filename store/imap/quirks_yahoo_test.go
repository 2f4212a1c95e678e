package imap_test

import (
	"fmt"
	"strings"
	"testing"

	"roost/mail"
	"roost/store/imap/imaptest"
)

func TestReadsAllFromYahooAndICloud(t *testing.T) {
	readsAll(t, map[string]imaptest.Dialect{
		"YH-05 MODSEQ that is none":     rewriting(imaptest.Replace("UID FETCH", `MODSEQ \(\d+\)`, "MODSEQ (nan)")),
		"YH-05 HIGHESTMODSEQ as well":   rewriting(imaptest.Replace("", `HIGHESTMODSEQ \d+`, "HIGHESTMODSEQ x")),
		"YH-06 SEARCH HEADER is a bug":  {Answers: []imaptest.Answer{refuseText("SEARCH HEADER", "NO [SERVERBUG] SEARCH Server error")}},
		"YH-07 EXPUNGE out of number":   rewriting(once(imaptest.Insert("UID FETCH", "* 9 EXPUNGE\r\n* 9 EXISTS\r\n* 4 EXPUNGE\r\n* 5 EXISTS\r\n"))),
		"YH-10 a rate limit":            {Answers: []imaptest.Answer{imaptest.Times(1, imaptest.Refuse("UID FETCH", "NO [LIMIT] FETCH Rate limit hit.")), imaptest.Times(1, imaptest.Refuse("EXAMINE", "NO [LIMIT] Rate limit hit."))}},
		"IC-02 AUTH=PLAIN, then others": {Capabilities: []string{"IMAP4rev1", "AUTH=PLAIN", "XAPPLEPUSHSERVICE"}, AfterLogin: imaptest.Everything()},
		"IC-02 fewer than promised":     {Capabilities: imaptest.Everything(), AfterLogin: imaptest.Bare()},
		"IC-05 BINARY":                  {Capabilities: imaptest.With(imaptest.Everything(), "BINARY")},
	})
}

// refuseText answers commands that hold a text with a tagged line.
func refuseText(text, line string) imaptest.Answer {
	return func(s *imaptest.Session, c imaptest.Command) bool {
		if !strings.Contains(c.Text, text) {
			return false
		}
		s.Tagged(c, line)
		return true
	}
}

// A command may be about a few messages only: the older ones are asked for by others. Row YH-01, RFC 9738.
func TestMessageLimit(t *testing.T) {
	const limit = 100
	account := imaptest.NewAccount()
	inbox := account.Create("INBOX")
	for i := range 1050 {
		inbox.Append(imaptest.Message{Body: fiveBody(i + 1)})
	}
	answered := map[string]int{} // by tag
	newest := func(_ *imaptest.Session, c imaptest.Command, response string) string {
		if !strings.HasPrefix(c.Text, "UID FETCH 1:") || !strings.Contains(response, "UID ") {
			return response
		}
		var first, last, uid int
		if n, _ := fmt.Sscanf(c.Text, "UID FETCH 1:%d", &last); n == 0 {
			last = 1050
		}
		first = last - limit + 1
		if fmt.Sscanf(response[strings.Index(response, "UID "):], "UID %d", &uid); uid < first {
			return ""
		}
		answered[c.Tag]++
		return response
	}
	capabilities := imaptest.With(imaptest.Without(imaptest.Everything(), "QRESYNC", "CONDSTORE"), fmt.Sprintf("MESSAGELIMIT=%d", limit))
	_, o := fake(t, account, imaptest.Dialect{
		Capabilities: capabilities, Rewrites: []imaptest.Rewrite{newest, imaptest.Replace("UID SEARCH", `\* SEARCH[^\r]*`, "* SEARCH 1050")},
	})
	ch, err := open(t, o).Changes(t.Context(), mail.Inbox, "")
	if err != nil || len(ch.Messages) != 1050 || len(ch.Failed) != 0 || !ch.Full {
		t.Errorf("Changes lists %d messages, %d failed, %v; want 1050", len(ch.Messages), len(ch.Failed), err)
	}
	for tag, n := range answered {
		if n > limit {
			t.Errorf("command %s was answered with %d messages", tag, n)
		}
	}
}

// INBOX is INBOX, however it is spelled and whatever stands below it. Row YH-09.
func TestInboxInAnyCase(t *testing.T) {
	account := imaptest.NewAccount()
	account.Create("Inbox").Append(imaptest.Message{Body: fiveBody(1)})
	account.Create("Inbox/Work").Append(imaptest.Message{Body: fiveBody(2)})
	for _, capabilities := range [][]string{imaptest.Everything(), imaptest.Bare()} {
		_, o := fake(t, account, imaptest.Dialect{Capabilities: capabilities})
		s := open(t, o)
		boxes, err := s.Mailboxes(t.Context())
		if err != nil || len(boxes) != 2 || boxes[0].Name != mail.Inbox || boxes[1].Name != "INBOX/Work" || boxes[0].Count != 1 {
			t.Errorf("Mailboxes() = %+v, %v", boxes, err)
			continue
		}
		for _, b := range boxes {
			if ch, err := s.Changes(t.Context(), b.Name, ""); err != nil || len(ch.Messages) != 1 {
				t.Errorf("Changes(%s) = %d messages, %v", b.Name, len(ch.Messages), err)
			}
		}
	}
}

// A user that the server knows by the local part only is let in by it, and told so; elsewhere a name is tried as it is.
// Row IC-09.
func TestLocalPartLogsIn(t *testing.T) {
	for _, push := range []bool{true, false} {
		var tried []string
		capabilities := []string{"IMAP4rev1", "AUTH=PLAIN"}
		if push {
			capabilities = append(capabilities, "XAPPLEPUSHSERVICE")
		}
		_, o := fake(t, five(), imaptest.Dialect{Capabilities: capabilities, Login: func(l imaptest.Login) string {
			if tried = append(tried, l.User); l.User != "alice" {
				return "NO [AUTHENTICATIONFAILED] Authentication failed"
			}
			return ""
		}})
		o.User = "alice@icloud.com"
		o, log := logged(o)
		s, err := openStore(t, o)
		if (err == nil) != push || strings.Contains(log.String(), "user=alice") != push {
			t.Errorf("with push %v: tried %q, %v; the log says %q", push, tried, err, log)
		}
		if err == nil {
			if got, _ := readAll(t, s); len(got.Bodies) != 5 {
				t.Errorf("%d messages are read, want 5", len(got.Bodies))
			}
		}
	}
}
