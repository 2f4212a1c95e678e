package imaptest_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"roost/store/imap/imaptest"
)

// sample is an account with one of everything.
func sample() *imaptest.Account {
	account := imaptest.NewAccount()
	inbox := account.Create("INBOX")
	for _, body := range []string{"Subject: one\r\n\r\n1\r\n", "Subject: two\r\nX: y\r\n z\r\n\r\n22\r\n", "Subject: three\r\n\r\n333\r\n"} {
		inbox.Append(imaptest.Message{Body: []byte(body)})
	}
	inbox.SetFlags(2, `\Seen`, "$Work")
	account.Create("Sent", `\Sent`).Subscribed = true
	account.Create("Lists", `\Noselect`)
	account.Create("Lists/go")
	return account
}

// Each command answers as the RFCs say; a line is what the client sends, and what must be among the answer.
func TestCommands(t *testing.T) {
	const login = "LOGIN alice secret"
	for name, test := range map[string]struct {
		dialect imaptest.Dialect
		steps   [][2]string // command, pattern; several patterns are joined by " .. "
	}{
		"logins": {steps: [][2]string{
			{"LIST \"\" *", "BAD not logged in"},
			{"LOGIN alice wrong", `NO \[AUTHENTICATIONFAILED\]`},
			{"AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==", `OK \[CAPABILITY .*QRESYNC`},
		}},
		"token": {steps: [][2]string{{"AUTHENTICATE XOAUTH2 dXNlcj1hbGljZQFhdXRoPUJlYXJlciBzZWNyZXQBAQ==", "OK"}}},
		"list": {steps: [][2]string{
			{login, "OK"},
			{`LIST "" ""`, `LIST \(\\Noselect\) "/" ""`},
			{`LIST "" %`, `LIST \(\) "/" "INBOX" .. LIST \(\\Sent\) "/" "Sent" .. LIST \(\\Noselect\) "/" "Lists" .. OK`},
			{`LIST "" Lists/%`, `LIST \(\) "/" "Lists/go"`},
			{`LIST (SUBSCRIBED) "" *`, `"Sent" .. OK`},
			{`LIST "" * RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT))`, `\\Subscribed.*"Sent" .. STATUS "Sent" \(MESSAGES 0 UIDNEXT 1\)`},
			{`LSUB "" *`, `LSUB \(\\Sent\) "/" "Sent"`},
			{"STATUS INBOX (MESSAGES UNSEEN HIGHESTMODSEQ MAILBOXID)", `STATUS "INBOX" \(MESSAGES 3 UNSEEN 2 HIGHESTMODSEQ 5 MAILBOXID \(F1\)\)`},
			{"STATUS Lists (MESSAGES)", `NO \[NONEXISTENT\]`},
		}},
		"bare": {dialect: imaptest.Dialect{Capabilities: imaptest.Bare()}, steps: [][2]string{
			{login, "OK"},
			{"NAMESPACE", "BAD"},
			{"ENABLE QRESYNC", "BAD"},
			{"EXAMINE INBOX (CONDSTORE)", "BAD"},
			{`LIST "" * RETURN (STATUS (MESSAGES))`, "BAD"},
			{"EXAMINE INBOX", "3 EXISTS"},
			{"UID FETCH 1 (MODSEQ)", "BAD"},
		}},
		"fetch": {steps: [][2]string{
			{login, "OK"},
			{"EXAMINE INBOX", `3 EXISTS .. UIDNEXT 4 .. HIGHESTMODSEQ 5 .. MAILBOXID \(F1\) .. OK \[READ-ONLY\]`},
			{"UID FETCH 2:* (FLAGS RFC822.SIZE)", `2 FETCH \(UID 2 FLAGS \(\\Seen \$Work\) RFC822.SIZE 30\) .. 3 FETCH`},
			{"FETCH 1 BODY.PEEK[]", `1 FETCH \(BODY\[\] \{19\} .. Subject: one`},
			{"UID FETCH 2 BODY.PEEK[HEADER]<9.3>", `BODY\[HEADER\]<9> \{3\} .. two\)`},
			{"UID FETCH 2 BODY.PEEK[HEADER.FIELDS (X)]", `\{12\} .. X: y .. z`},
			{"UID FETCH 1:3 (UID) (CHANGEDSINCE 4)", `2 FETCH \(UID 2 MODSEQ \(5\)\) .. OK`},
			{"UID FETCH 1 BODYSTRUCTURE", "BAD"},
			{"UID FETCH 9 FLAGS", "OK"},
			{"UID STORE 1 +FLAGS (\\Seen)", `NO \[READ-ONLY\]`},
		}},
		"search": {steps: [][2]string{
			{login, "OK"},
			{"EXAMINE INBOX", "OK"},
			{"UID SEARCH ALL", `SEARCH 1 2 3$`},
			{"UID SEARCH NOT SEEN UID 1:2", `SEARCH 1$`},
			{"UID SEARCH OR HEADER Subject three KEYWORD $Work", `SEARCH 2 3$`},
			{"UID SEARCH RETURN (COUNT ALL) 1:*", `ESEARCH \(TAG "a"\) UID COUNT 3 ALL 1:3$`},
		}},
		"write": {steps: [][2]string{
			{login, "OK"},
			{"SELECT INBOX", `OK \[READ-WRITE\]`},
			{"APPEND Sent (\\Seen $Sent) \"01-Feb-2021 00:00:00 +0100\" {3+}\r\nx\r\n", `OK \[APPENDUID 1002 1\]`},
			{"UID STORE 1 +FLAGS (\\Deleted)", `FETCH \(UID 1 FLAGS \(\\Deleted\)\)`},
			{"UID EXPUNGE 2:3", "a OK"},
			{"UID EXPUNGE 1", "1 EXPUNGE .. OK"},
			{"UID COPY 2 Sent", `OK \[COPYUID 1002 2 2\]`},
			{"UID MOVE 3 Sent", `OK \[COPYUID 1002 3 3\] .. 2 EXPUNGE .. OK`},
			{"STATUS Sent (MESSAGES)", "MESSAGES 3"},
			{"CREATE New", "OK"},
			{"CREATE New", `NO \[ALREADYEXISTS\]`},
			{"RENAME Sent Gone", "OK"},
			{"DELETE Sent", "NO"},
		}},
		"syntax": {steps: [][2]string{
			{`LOGIN "alice`, "BAD quoted string without end"},
			{"LOGIN (((", "BAD list without end"},
			{"LOGIN {x}", "BAD literal"},
			{"NOOP )", "OK"},
			{"LOGIN {5+}\r\nalice {6+}\r\nsecret", "OK"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := imaptest.Start(t, sample(), test.dialect)
			c := dial(t, server.Addr)
			for _, step := range test.steps {
				answer := c.command(step[0])
				pattern := "(?ms)" + strings.ReplaceAll(step[1], " .. ", ".*")
				if !regexp.MustCompile(pattern).MatchString(strings.ReplaceAll(strings.TrimSpace(answer), "\r", "")) {
					t.Errorf("%s\ngot  %s\nwant %s", step[0], answer, step[1])
				}
			}
		})
	}
}

// QRESYNC tells what changed and what vanished since the client was there, and nothing of another UIDVALIDITY.
func TestResync(t *testing.T) {
	account := sample()
	server := imaptest.Start(t, account, imaptest.Dialect{})
	account.Mailbox("INBOX").Expunge(1)
	c := dial(t, server.Addr)
	c.command("LOGIN alice secret")
	if got := c.command("EXAMINE INBOX (QRESYNC (1001 4))"); !strings.Contains(got, "a BAD") {
		t.Errorf("QRESYNC that was not enabled: %s", got)
	}
	c.command("ENABLE QRESYNC")
	got := c.command("EXAMINE INBOX (QRESYNC (1001 4))")
	for _, want := range []string{"* VANISHED (EARLIER) 1\r\n", "* 1 FETCH (UID 2 "} {
		if !strings.Contains(got, want) {
			t.Errorf("answer to QRESYNC = %q, want it to contain %q", got, want)
		}
	}
	if strings.Contains(got, "UID 3") {
		t.Errorf("answer to QRESYNC = %q, though UID 3 has not changed", got)
	}
	if got := c.command("EXAMINE INBOX (QRESYNC (7 4))"); strings.Contains(got, "VANISHED") || !strings.Contains(got, "[CLOSED]") {
		t.Errorf("answer to QRESYNC of another life = %q, want CLOSED and nothing vanished", got)
	}
	account.Mailbox("INBOX").Expunge(3)
	if got := c.command("NOOP"); !strings.Contains(got, "* VANISHED 3\r\n") {
		t.Errorf("NOOP after an expunge = %q, want VANISHED 3", got)
	}
}

// STARTTLS and COMPRESS change the connection under the session.
func TestLayers(t *testing.T) {
	server := imaptest.Start(t, sample(), imaptest.Dialect{
		AfterLogin: imaptest.With(imaptest.Everything(), "COMPRESS=DEFLATE"),
		Wire:       imaptest.Fragment(1),
	})
	c := dial(t, server.Addr)
	if got := c.command("STARTTLS"); !strings.Contains(got, "a OK") {
		t.Fatal(got)
	}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate)
	c.become(tls.Client(c.conn, &tls.Config{RootCAs: roots, ServerName: "localhost"}))
	c.command("LOGIN alice secret")
	if got := c.command("COMPRESS DEFLATE"); !strings.Contains(got, "a OK") {
		t.Fatal(got)
	}
	c.r = bufio.NewReader(inflate(c.r))
	c.w = deflate(c.conn)
	if got := c.command("STATUS INBOX (MESSAGES)"); !strings.Contains(got, "MESSAGES 3") {
		t.Errorf("status over compression = %q", got)
	}
}

// Faults happen where they were asked for, and the record tells what was sent.
func TestFaults(t *testing.T) {
	server := imaptest.Start(t, sample(), imaptest.Dialect{
		MaxConnections: 2,
		MaxLine:        100,
		Answers: []imaptest.Answer{
			imaptest.Times(1, imaptest.Refuse("NOOP", "NO [THROTTLED] slow down")),
			imaptest.Bye("CHECK", "going away"),
		},
		Rewrites: []imaptest.Rewrite{
			imaptest.Replace("EXAMINE", `\[UIDVALIDITY \d+\]`, "[UIDVALIDITY 0]"),
			imaptest.Insert("EXAMINE", "* 99 FETCH (UID 0)\r\n"),
		},
		Broken: func(m *imaptest.Mailbox, uid uint32) string {
			if uid == 2 {
				return "NO [UNAVAILABLE] server error"
			}
			return ""
		},
		Wire: imaptest.DropAfter(1, 10),
	})
	c := dial(t, server.Addr)
	cut, err := net.Dial("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer cut.Close()
	if got, _ := io.ReadAll(cut); len(got) != 10 {
		t.Errorf("read %q before the connection was cut, want 10 octets", got)
	}
	for _, step := range [][2]string{
		{"NOOP", "a NO [THROTTLED]"},
		{"NOOP", "a OK"},
		{"LOGIN alice secret", "a OK"},
		{"EXAMINE INBOX", "[UIDVALIDITY 0]"},
		{"EXAMINE INBOX", "* 99 FETCH (UID 0)\r\na OK"},
		{"UID FETCH 1:3 (BODY.PEEK[])", "1\r\n)\r\na NO [UNAVAILABLE]"},
		{"NOOP " + strings.Repeat("x", 100), "a BAD command line too long"},
		{"CHECK", "* BYE going away"},
	} {
		if got := c.command(step[0]); !strings.Contains(got, step[1]) {
			t.Errorf("%s\ngot  %s\nwant %s", step[0], got, step[1])
		}
	}
	if got := server.Fetched()["INBOX"]; len(got) != 3 {
		t.Errorf("UIDs asked for = %v, want 1 to 3", got)
	}
	if got := server.Count("NOOP"); got != 3 {
		t.Errorf("%d NOOPs recorded, want 3", got)
	}
}

// CheckReading finds every command that a reader may not send, and lets pass what it may.
func TestCheckReading(t *testing.T) {
	for command, bad := range map[string]bool{
		"EXAMINE INBOX": false, "SELECT INBOX": true, "UID FETCH 1 (UID BODY.PEEK[])": false, "UID FETCH 1 BODY[]": true,
		"UID FETCH 1 (ENVELOPE)": true, "UID FETCH 1 FAST": true, "UID STORE 1 +FLAGS (x)": true, "UID SEARCH ALL": false,
		"CREATE x": true, "FETCH 1 RFC822": true, "FETCH 1 RFC822.SIZE": false, "CLOSE": true, "UID EXPUNGE 1": true,
	} {
		t.Run(command, func(t *testing.T) {
			server := imaptest.Start(t, sample(), imaptest.Dialect{})
			dial(t, server.Addr).command(command)
			var found recorder
			server.CheckReading(&found)
			if found.errors > 0 != bad {
				t.Errorf("%d complaints about %s, want some: %v", found.errors, command, bad)
			}
		})
	}
}

// recorder is a testing.TB that counts the complaints.
type recorder struct {
	testing.TB
	errors int
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.errors++ }

// client sends commands and returns whole answers.
type client struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
	w    io.Writer
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	c := &client{t: t}
	c.become(conn)
	if line, err := c.r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "* OK") {
		t.Fatalf("greeting = %q, %v", line, err)
	}
	return c
}

func (c *client) become(conn net.Conn) { c.conn, c.r, c.w = conn, bufio.NewReader(conn), conn }

// command sends a command with the tag "a" and reads up to its end or that of the connection.
func (c *client) command(text string) string {
	c.t.Helper()
	if _, err := io.WriteString(c.w, "a "+text+"\r\n"); err != nil {
		c.t.Fatal(err)
	}
	var answer strings.Builder
	for {
		line, err := c.r.ReadString('\n')
		answer.WriteString(line)
		if err != nil || strings.HasPrefix(line, "a ") {
			return answer.String()
		}
	}
}
