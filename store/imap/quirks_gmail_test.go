package imap_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/store/imap"
	"roost/store/imap/imaptest"
)

// gmail is what Gmail can.
func gmail() []string {
	return imaptest.With(imaptest.Without(imaptest.Everything(), "OBJECTID", "QRESYNC", "MULTIAPPEND"), "X-GM-EXT-1")
}

// readsAll reads five messages in each dialect, and wants all of them, by commands that servers answer rightly.
func readsAll(t *testing.T, dialects map[string]imaptest.Dialect) {
	t.Helper()
	for name, dialect := range dialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, o := fake(t, five(), dialect)
			s := open(t, o)
			if _, err := s.Mailboxes(t.Context()); err != nil {
				t.Errorf("Mailboxes() = %v, want nil", err)
			}
			got, changes := readAll(t, s)
			if diff := cmp.Diff(whole(), got); diff != "" || len(changes.Failed) != 0 {
				t.Errorf("failed %v, read (-want +got):\n%s", changes.Failed, diff)
			}
			server.CheckReading(t) // rows GM-18, GM-19, MS-25, IC-01, IC-05, IC-07, GX-02
			server.CheckLines(t, 2048)
		})
	}
}

// logged gives options a log, which is returned.
func logged(o imap.Options) (imap.Options, *bytes.Buffer) {
	var b bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&b, nil))
	o.Connections = 1
	return o, &b
}

func TestReadsAllFromGmail(t *testing.T) {
	readsAll(t, map[string]imaptest.Dialect{
		"GM-05 throttled": {Capabilities: gmail(), Answers: []imaptest.Answer{
			imaptest.Times(1, imaptest.Refuse("UID FETCH", "NO [THROTTLED] slowly")), imaptest.Times(1, imaptest.Refuse("EXAMINE", "NO [THROTTLED] slowly"))}},
		"GM-06 one connection":           {Capabilities: gmail(), MaxConnections: 1},
		"GM-07 the session expired once": {Capabilities: gmail(), Answers: []imaptest.Answer{imaptest.Times(1, imaptest.Bye("UID FETCH", "Session expired, please login again"))}},
		"GM-18 and GM-19":                {Capabilities: gmail()},
	})
}

// A message that bears two labels has one identity, so that its bytes are fetched once. Row GM-01.
func TestIdentityAcrossLabels(t *testing.T) {
	account := imaptest.NewAccount()
	for _, name := range []string{"INBOX", "[Gmail]/All Mail"} {
		account.Create(name).Append(imaptest.Message{Body: fiveBody(1), EmailID: "1278455344230334865"})
	}
	_, o := fake(t, account, imaptest.Dialect{Capabilities: gmail()})
	s := open(t, o)
	for _, name := range []mail.Name{mail.Inbox, "[Gmail]/All Mail"} {
		ch, err := s.Changes(t.Context(), name, "")
		if err != nil || len(ch.Messages) != 1 || ch.Messages[0].GUID != "1278455344230334865" {
			t.Errorf("Changes(%s) = %+v, %v", name, ch.Messages, err)
		}
	}
}

// A role is what the server says it is, whatever the mailbox is called in the language of the user; the node above has no
// messages. What the server hides is told. Rows GM-02, GM-09, MS-36, PB-04.
func TestRolesByAttribute(t *testing.T) {
	account := imaptest.NewAccount()
	account.Create("INBOX")
	account.Create("[Gmail]", `\Noselect`, `\HasChildren`)
	account.Create("[Gmail]/Papierkorb", `\Trash`)
	account.Create("[Gmail]/Alle Nachrichten", `\All`)
	_, o := fake(t, account, imaptest.Dialect{Capabilities: gmail()})
	o, log := logged(o)
	boxes, err := open(t, o).Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[mail.Name]string{}
	for _, b := range boxes {
		got[b.Name] = fmt.Sprint(b.NoSelect, b.Role)
	}
	want := map[mail.Name]string{"INBOX": "false", "[Gmail]": "true", "[Gmail]/Papierkorb": `false\Trash`, "[Gmail]/Alle Nachrichten": `false\All`}
	for name, w := range want {
		if strings.ReplaceAll(got[name], " ", "") != w {
			t.Errorf("%s is %q, want %q", name, got[name], w)
		}
	}
	if said := log.String(); !strings.Contains(said, `role="\\Junk"`) && !strings.Contains(said, `role=\Junk`) || strings.Contains(said, "Trash") {
		t.Errorf("the log says %q, want that Junk is hidden, and nothing of Trash", said)
	}
}

// What the account may transfer in a day is used up: the error says come back later, nothing is tried again and again, and
// no message is failed or gone. What came before it was read. Rows GM-03, GM-07, PM-01.
func TestSpentBudget(t *testing.T) {
	for name, last := range map[string]imaptest.Answer{
		"NO":              imaptest.Refuse("UID FETCH", "NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)"),
		"BYE":             imaptest.Bye("UID FETCH", "Account exceeded command or bandwidth limits."),
		"session expired": imaptest.Bye("UID FETCH", "Session expired, please login again"),
		"drop":            imaptest.Refuse("UID FETCH", "NO bandwidth limit exceeded"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spent := func(s *imaptest.Session, c imaptest.Command) bool { // the first two messages only
				return strings.Contains(c.Text, "BODY.PEEK") && !strings.HasPrefix(c.Text, "UID FETCH 1:2 ") && last(s, c)
			}
			server, o := fake(t, five(), imaptest.Dialect{Capabilities: gmail(), Answers: []imaptest.Answer{spent}})
			s := open(t, o)
			if _, err := s.Changes(t.Context(), mail.Inbox, ""); err != nil {
				t.Fatal(err)
			}
			got := reading{Bodies: map[mail.Key]string{}, Failed: map[mail.Key]bool{}, Gone: map[mail.Key]bool{}}
			fetchInto(t, s, &got, []mail.Key{"1", "2"}, mail.Whole)
			answers := 0
			var end error
			for _, err := range s.Fetch(t.Context(), mail.Inbox, []mail.Key{"3", "4", "5"}, mail.Whole) {
				if _, one := mail.KeyOf(err); one || err == nil {
					answers++
					continue
				}
				end = err
			}
			var e *mail.Error
			if !errors.Is(end, mail.ErrThrottled) || !errors.As(end, &e) || e.Mailbox != "" || !strings.Contains(end.Error(), "come back") {
				t.Errorf("Fetch ends with %v, want an error of the store that says to come back later", end)
			}
			if answers != 0 || len(got.Bodies) != 2 {
				t.Errorf("%d of the others are answered, want none; %d were read before, want 2", answers, len(got.Bodies))
			}
			if n := len(server.Fetched()["INBOX"]) - 2; n > 2*3 {
				t.Errorf("%d messages were asked for after the limit was reached", n)
			}
		})
	}
}

// What a human must do is told in the server's words, with the URL. Rows GM-22, X-22.
func TestHumanIsAsked(t *testing.T) {
	for line, want := range map[string][]string{
		"NO [WEBALERT https://accounts.google.com/signin/continue?sarp=1] Web login required.":  {"https://accounts.google.com/signin/continue?sarp=1", "Web login required"},
		"NO [ALERT] Please log in via your web browser: https://support.google.com/x (Failure)": {"Please log in via your web browser: https://support.google.com/x"},
		"NO [ALERT] Application-specific password required: https://support.google.com/y":       {"Application-specific password required: https://support.google.com/y"},
		"NO [EXPIRED] the password is too old":                                                  {"the password is too old"},
		"NO [CONTACTADMIN] see https://example.com/help":                                        {"https://example.com/help"},
	} {
		_, o := fake(t, five(), imaptest.Dialect{Login: func(imaptest.Login) string { return line }})
		s, err := imap.Open(t.Context(), o)
		if err == nil {
			s.Close()
		}
		for _, w := range want {
			if !errors.Is(err, mail.ErrNeedsHuman) || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: Open = %v, want %v with %q", line, err, mail.ErrNeedsHuman, w)
			}
		}
	}
}

// Numbers beyond 32 bits are what they are. Row GM-23.
func TestNumbersBeyond32Bits(t *testing.T) {
	account := imaptest.NewAccount()
	account.Create("INBOX").Append(imaptest.Message{Body: fiveBody(1), Size: 5_000_000_000, ModSeq: 1 << 61})
	_, o := fake(t, account, imaptest.Dialect{})
	got, ch := readAll(t, open(t, o))
	if m := ch.Messages[0]; m.Size != 5_000_000_000 || m.ModSeq != 1<<61 || len(got.Bodies) != 1 {
		t.Errorf("message %+v, %d read", m, len(got.Bodies))
	}
}

// A mailbox that is listed and cannot be used, as the one of chats, fails by itself. Rows GM-21, MS-13.
func TestUnusableMailbox(t *testing.T) {
	account := five()
	account.Create("[Gmail]/Chats")
	refuse := func(s *imaptest.Session, c imaptest.Command) bool {
		if strings.Contains(c.Text, "Chats") && c.Name == "EXAMINE" {
			s.Tagged(c, "NO [CANNOT] Invalid folder (Failure)")
			return true
		}
		return false
	}
	_, o := fake(t, account, imaptest.Dialect{Capabilities: gmail(), Answers: []imaptest.Answer{refuse}})
	s := open(t, o)
	_, err := s.Changes(t.Context(), "[Gmail]/Chats", "")
	var e *mail.Error
	if !errors.As(err, &e) || e.Mailbox != "[Gmail]/Chats" || errors.Is(err, mail.ErrNoMailbox) {
		t.Errorf("Changes = %v, want an error of that mailbox, and not that it is not there", err)
	}
	if got, _ := readAll(t, s); len(got.Bodies) != 5 {
		t.Errorf("%d messages of INBOX are read, want 5", len(got.Bodies))
	}
}

// Keywords with brackets and labels in all their spellings are read as they are. Rows KW-01, GM-15.
func TestFlagsAndLabels(t *testing.T) {
	account := imaptest.NewAccount()
	account.Create("INBOX").Append(imaptest.Message{
		Body: fiveBody(1), Flags: []string{"[Gmail]-x", "lone[", `\Flagged`},
		Labels: `\Inbox "\\Sent" Entw&APw-rfe [Gmail]/Spam +plus`,
	})
	capabilities := imaptest.With(imaptest.Without(imaptest.Everything(), "OBJECTID"), "X-GM-EXT-1")
	_, o := fake(t, account, imaptest.Dialect{Capabilities: capabilities})
	_, changes := readAll(t, open(t, o))
	if len(changes.Messages) != 1 {
		t.Fatalf("%d messages are listed, want 1", len(changes.Messages))
	}
	m := changes.Messages[0]
	if want := mail.FlagsOf("[Gmail]-x", "lone[", mail.Flagged); m.Flags != want {
		t.Errorf("flags are %q, want %q", m.Flags, want)
	}
	want := []string{"+plus", "Entwürfe", "[Gmail]/Spam", `\Inbox`, `\Sent`}
	if m.Extra == nil || !slices.Equal(m.Extra.Labels, want) {
		t.Errorf("extra is %+v, want labels %q", m.Extra, want)
	}
}

// Gmail would expunge at once what is marked \Deleted: neither a message that is stored nor one that is there gets the flag,
// and that is told. Elsewhere it is a flag as others. Row GM-14.
func TestGmailGetsNoDeleted(t *testing.T) {
	for _, gm := range []bool{true, false} {
		account := five()
		capabilities, wantLoss := imaptest.Everything(), mail.Flags("")
		if gm {
			capabilities, wantLoss = gmail(), mail.Deleted
		}
		_, o := fake(t, account, imaptest.Dialect{Capabilities: capabilities})
		s := open(t, o)
		lossOf := func(err error) mail.Flags {
			var loss *mail.Loss
			if err != nil && !errors.As(err, &loss) {
				t.Errorf("Gmail %v: %v", gm, err)
			}
			if loss == nil {
				return ""
			}
			return loss.Flags
		}
		raw := fiveBody(6)
		_, err := s.Append(t.Context(), mail.Inbox, mail.Message{Flags: mail.FlagsOf(mail.Deleted, mail.Seen), Size: int64(len(raw))}, bytes.NewReader(raw))
		if got := lossOf(err); got != wantLoss {
			t.Errorf("Gmail %v: Append loses %q, want %q", gm, got, wantLoss)
		}
		if got := lossOf(s.SetFlags(t.Context(), mail.Inbox, []mail.Key{"1"}, mail.FlagsOf(mail.Deleted, mail.Flagged), "")); got != wantLoss {
			t.Errorf("Gmail %v: SetFlags loses %q, want %q", gm, got, wantLoss)
		}
		for _, m := range account.Mailbox("INBOX").Messages() {
			if marked := slices.Contains(m.Flags, mail.Deleted); marked != (!gm && (m.UID == 1 || m.UID == 6)) || !slices.Contains(m.Flags, mail.Seen) {
				t.Errorf("Gmail %v: message %d has flags %q", gm, m.UID, m.Flags)
			}
		}
	}
}
