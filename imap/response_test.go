package imap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const nothing = `uid=0 flags=[] size=-1 modseq=0 id= thread= labels=[]`

var fetchCases = []struct{ name, line, want string }{
	{"plain", `* 1 FETCH (UID 7 FLAGS (\Seen work) INTERNALDATE "17-Jul-1996 02:44:25 +0000" RFC822.SIZE 12 MODSEQ (99))`,
		`uid=7 flags=["\\Seen" "work"] size=12 modseq=99 id= thread= labels=[] 1996-07-17T02:44:25`},
	{"body", "* 1 FETCH (UID 7 BODY[] {3}\r\na\nb)", `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[] body="a\nb"/3 <nil>`},
	{"UID behind the body", "* 1 FETCH (BODY[] {3}\r\nabc UID 7)", `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[] body="abc"/3 <nil>`},
	{"body of nothing", "* 1 FETCH (UID 7 BODY[] {0}\r\n)", `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[] body=""/0 <nil>`},
	{"body that is binary", "* 1 FETCH (UID 7 BODY[] ~{2}\r\n\x00\x01)", `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[] body="\x00\x01"/2 <nil>`},
	{"body as a quoted string", `* 1 FETCH (UID 7 BODY[] "a\"b")`, `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[] body="a\"b"/3 <nil>`},
	{"no body", "* 1 FETCH (UID 7 BODY[] NIL)", `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[] body=NIL`},
	{"header, then a header that looks like a status", "* 1 FETCH (UID 7 BODY[HEADER] {19}\r\nX-Spam-Flag: NO )\r\n)",
		`uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[] body="X-Spam-Flag: NO )\r\n"/19 <nil>`},
	{"identities", "* 1 FETCH (UID 7 EMAILID (M1) THREADID (T1))", `uid=7 flags=[] size=-1 modseq=0 id=M1 thread=T1 labels=[]`},
	{"no thread", "* 1 FETCH (UID 7 EMAILID (M1) THREADID NIL)", `uid=7 flags=[] size=-1 modseq=0 id=M1 thread= labels=[]`},
	{"identity of Dovecot", "* 1 FETCH (UID 7 X-GUID abc)", `uid=7 flags=[] size=-1 modseq=0 id=abc thread= labels=[]`},
	{"Gmail", `* 1 FETCH (UID 7 X-GM-MSGID 18446744073709551615 X-GM-THRID 12 X-GM-LABELS (\Inbox "\\Sent" +x [Gmail] &AOk-))`,
		`uid=7 flags=[] size=-1 modseq=0 id=18446744073709551615 thread=12 labels=["\\Inbox" "\\Sent" "+x" "[Gmail]" "&AOk-"]`},
	{"labels NIL", `* 1 FETCH (X-GM-LABELS NIL UID 7)`, `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[]`},
	{"label as a literal", "* 1 FETCH (X-GM-LABELS (a {3}\r\nb c) UID 7)", `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=["a" "b c"]`},
	{"unknown items", `* 1 FETCH (SAVEDATE "x" X-FOO ((a) {2}` + "\r\n)) NIL) UID 7 X-BAR z)", `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[]`},
	{"envelope that nobody asked for", `* 1 FETCH (ENVELOPE ("d" NIL (("n" NIL "m" ".MISSING-HOST-NAME.")) NIL) BODYSTRUCTURE ("a" "b" ("boundary" NIL) NIL 1.5) UID 7)`,
		`uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[]`},
	{"odd numbers", `* 1 FETCH (UID 7.0 RFC822.SIZE -1 MODSEQ (-1))`, `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[]`},
	{"size beyond 32 bits", `* 1 FETCH (UID 7 RFC822.SIZE 99999999999)`, `uid=7 flags=[] size=99999999999 modseq=0 id= thread= labels=[]`},
	{"UID 0", `* 1 FETCH (UID 0)`, nothing},
	{"UID beyond 32 bits", `* 1 FETCH (UID 4294967296)`, nothing},
	{"zero date", `* 1 FETCH (UID 7 INTERNALDATE "00-Jan-0000 00:00:00 +0000")`, `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[]`},
	{"quoted flags", `* 1 FETCH (FLAGS ("\\Seen" "a") UID 7)`, `uid=7 flags=["\\Seen" "a"] size=-1 modseq=0 id= thread= labels=[]`},
	{"flags NIL", `* 1 FETCH (FLAGS NIL UID 7)`, `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[]`},
	{"keywords with brackets", `* 1 FETCH (FLAGS (a[b c]d) UID 7)`, `uid=7 flags=["a[b" "c]d"] size=-1 modseq=0 id= thread= labels=[]`},
	{"doubled spaces", `*  1   FETCH  ( UID   7  )  `, `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[]`},
	{"tail outside", `* 1 FETCH (FLAGS (a)) UID 7)`, `uid=7 flags=["a"] size=-1 modseq=0 id= thread= labels=[]`},
	{"no parentheses", `* 1 FETCH UID 7`, `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[]`},
	{"value missing", `* 1 FETCH (UID 7 FLAGS`, `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[]`},
	{"wrong sequence number", `* 0 FETCH (UID 7)`, `uid=7 flags=[] size=-1 modseq=0 id= thread= labels=[]`},
}

// Whatever a FETCH response holds, what we know of it is taken, the rest is passed over, and the connection goes on.
func TestFetchResponses(t *testing.T) {
	for _, c := range fetchCases {
		t.Run(c.name, func(t *testing.T) {
			for _, noise := range []string{"", "* VANISHED 1:3\r\n* X-UNKNOWN (a \"b\" {1}\r\nc)\r\n* 5 EXPUNGE\r\n+ stray\r\n* OK \xff still here\r\n*\r\n* (x)\r\n"} {
				client := replayed([]byte(noise + c.line + "\r\n" + noise + "r1 OK done\r\n"))
				var got []string
				err := client.UIDFetch(t.Context(), "1:*", "UID", FetchOptions{}, func(f *Fetch) error {
					got = append(got, fetched(f))
					return nil
				})
				if err != nil || len(got) != 1 || got[0] != c.want {
					t.Errorf("%q is fetched as\n%v, %v, want\n%s", c.line, got, err, c.want)
				}
			}
		})
	}
}

// A list nested too deep, and a token too long, cost their line, not the connection.
func TestFetchBeyondBounds(t *testing.T) {
	for name, line := range map[string]string{
		"deep":      "* 1 FETCH (X " + strings.Repeat("(", 1_000_000) + strings.Repeat(")", 1_000_000) + " UID 7)\r\n",
		"long":      "* 1 FETCH (FLAGS (" + strings.Repeat("a", 2<<20) + ") UID 7)\r\n",
		"unclosed":  "* 1 FETCH (X " + strings.Repeat("(", 1_000_000) + "\r\n",
		"many":      "* 1 FETCH (FLAGS (" + strings.Repeat("a ", 100_000) + "))\r\n",
		"long text": "* OK " + strings.Repeat("a", 2<<20) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			client := replayed([]byte(line + "* 2 FETCH (UID 8)\r\nr1 OK done\r\n"))
			client.reader.MaxToken = 1 << 20
			found := false
			err := client.UIDFetch(t.Context(), "1:*", "UID", FetchOptions{}, func(f *Fetch) error {
				found = found || f.UID == 8
				return nil
			})
			if err != nil || !found {
				t.Errorf("behind the odd line: found %v, %v, want true, nil", found, err)
			}
		})
	}
}

// A body too large to hold is handed over as it comes, if its UID is known; a lying length is an error of the connection.
func TestFetchLargeBodies(t *testing.T) {
	body := strings.Repeat("0123456789abcde\n", 3<<20/16)
	literal := fmt.Sprintf("BODY[] {%d}\r\n%s", len(body), body)
	for _, c := range []struct {
		name, set, line string
		whole           bool
	}{
		{"UID before", "7,8", "* 1 FETCH (UID 7 " + literal + ")\r\n", true},
		{"UID behind", "7,8", "* 1 FETCH (" + literal + " UID 7)\r\n", true},
		{"only one asked for", "7", "* 1 FETCH (" + literal + ")\r\n", true},
		{"length too long", "7", "* 1 FETCH (UID 7 BODY[] {10737418240}\r\n" + body + ")\r\n", false},
		{"length cut short", "7", "* 1 FETCH (UID 7 " + literal[:len(literal)-5], false},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := replayed([]byte(c.line + "r1 OK done\r\n"))
			var got bytes.Buffer
			err := client.UIDFetch(t.Context(), c.set, "UID", FetchOptions{}, func(f *Fetch) error {
				if f.UID != 7 || f.Body == nil {
					return fmt.Errorf("UID %d with body %v", f.UID, f.Body)
				}
				_, err := io.Copy(&got, f.Body)
				return err
			})
			if c.whole && (err != nil || got.String() != body) {
				t.Errorf("got %d octets, %v, want %d", got.Len(), err, len(body))
			}
			if !c.whole && err == nil {
				t.Errorf("got %d octets and no error", got.Len())
			}
		})
	}
}

// A handler's error is returned when the command is done, and the connection goes on.
func TestHandlerFails(t *testing.T) {
	client := replayed([]byte("* 1 FETCH (UID 1 BODY[] {1}\r\nx)\r\n* 2 FETCH (UID 2)\r\nr1 OK\r\nr2 OK\r\n"))
	broken := errors.New("broken")
	calls := 0
	if err := client.UIDFetch(t.Context(), "1:*", "UID", FetchOptions{}, func(*Fetch) error { calls++; return broken }); err != broken || calls != 1 {
		t.Errorf("fetch = %v after %d calls, want %v after 1", err, calls, broken)
	}
	if err := client.Noop(t.Context()); err != nil {
		t.Errorf("noop after that = %v", err)
	}
}

// Commands in flight hear of what is theirs, in whatever order the server is done with them.
func TestPipeline(t *testing.T) {
	client := dialogue(t, Options{}, func(s *scripted) {
		s.send("* OK hello\r\n")
		a, _ := s.command()
		b, _ := s.command()
		s.send("* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n" + a + " OK\r\n* 3 FETCH (UID 3)\r\n" + b + " NO [UNAVAILABLE] broken\r\n")
		c, _ := s.command()
		d, _ := s.command()
		s.send(d + " OK second\r\n" + c + " OK first\r\n")
	})
	var first, second []uint32
	into := func(to *[]uint32) func(*Fetch) error {
		return func(f *Fetch) error { *to = append(*to, f.UID); return nil }
	}
	a := client.StartFetch(t.Context(), "1:2", "UID", FetchOptions{}, into(&first))
	b := client.StartFetch(t.Context(), "3", "UID", FetchOptions{}, into(&second))
	if err := b.Wait(t.Context()); err == nil {
		t.Error("second fetch = nil, want NO")
	} else if reason, _ := ReasonOf(err); reason != ReasonNo {
		t.Errorf("second fetch = %v, want NO", err)
	}
	if err := a.Wait(t.Context()); err != nil {
		t.Errorf("first fetch = %v", err)
	}
	if diff := cmp.Diff([][]uint32{{1, 2}, {3}}, [][]uint32{first, second}); diff != "" {
		t.Errorf("answers went to the wrong command (-want +got):\n%s", diff)
	}
	c := client.start(t.Context(), "NOOP", &Pending{}, nil)
	d := client.start(t.Context(), "NOOP", &Pending{}, nil)
	if err := errors.Join(c.Wait(t.Context()), d.Wait(t.Context())); err != nil {
		t.Errorf("out of order: %v", err)
	}
}

// SELECT tells what the server says of a mailbox, whichever line it stands on.
func TestSelect(t *testing.T) {
	client := script(t, Options{}, "* OK hello",
		step{`EXAMINE INBOX (CONDSTORE)`, "* FLAGS (\\Seen a)\r\n* OK [PERMANENTFLAGS (\\Seen a[b c]d \\*)] x\r\n* 12 EXISTS\r\n* 0 RECENT\r\n" +
			"* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 40]\r\n* OK [HIGHESTMODSEQ 99]\r\n* OK [MAILBOXID (F1)] x\r\n* OK [X-ODD \"]\" (a ] b)] y\r\n" +
			"* OK [Error=\"WrongServerException\" odd] z\r\nTAG OK [READ-ONLY] done\r\n"},
		step{`SELECT "a b"`, "* 3 EXISTS\r\n* OK [UIDVALIDITY 0] x\r\n* OK [UIDNEXT -1] x\r\n* OK [NOMODSEQ] x\r\nTAG OK [READ-WRITE] done\r\n"})
	got, err := client.Select(t.Context(), "INBOX", SelectOptions{ReadOnly: true, CondStore: true})
	want := &Selected{Exists: 12, UIDValidity: 7, UIDNext: 40, HighestModSeq: 99, Flags: []string{`\Seen`, "a"},
		PermanentFlags: []string{`\Seen`, "a[b", "c]d", `\*`}, HasPermanent: true, ReadOnly: true, MailboxID: "F1"}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("EXAMINE: %v (-want +got):\n%s", err, diff)
	}
	got, err = client.Select(t.Context(), "a b", SelectOptions{})
	if diff := cmp.Diff(&Selected{Exists: 3}, got); err != nil || diff != "" {
		t.Errorf("SELECT: %v (-want +got):\n%s", err, diff)
	}
}

// Lists of mailboxes, their states and namespaces are read however the names are sent.
func TestLists(t *testing.T) {
	var states []MailboxStatus
	client := script(t, Options{}, "* OK hello",
		step{`LIST "" "*" RETURN (SUBSCRIBED STATUS (MESSAGES))`,
			"* LIST (\\HasNoChildren \\Subscribed) \"/\" INBOX\r\n* STATUS INBOX (MESSAGES 3 UIDNEXT 9 )\r\n" +
				"* LIST () NIL {3}\r\na\"b\r\n* LIST (\\Noselect) \"\\\\\" \"q\\\"x\" (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n* LIST (\r\n* LIST () \"/\"\r\n" +
				"* STATUS {3}\r\na\"b (MESSAGES 12.0 UIDVALIDITY 5 X-NEW (1 2) HIGHESTMODSEQ 18446744073709551615 MAILBOXID (F2) UIDNEXT\r\n" +
				"TAG OK done\r\n"},
		step{`NAMESPACE`, "* NAMESPACE ((\"INBOX.\" \".\" \"X-PARAM\" (\"a\" \"b\"))) NIL ((\"#shared/\" \"/\")(\"#p\" NIL))\r\nTAG OK\r\n"},
		step{`STATUS a (MESSAGES)`, "* STATUS a (MESSAGES 1)\r\nTAG OK\r\n"},
		step{`STATUS b (MESSAGES)`, "TAG NO [NOPERM] not yours\r\n"})
	got, err := client.List(t.Context(), "*", ListOptions{Return: "SUBSCRIBED", Status: []string{"MESSAGES"}, EachStatus: func(s MailboxStatus) { states = append(states, s) }})
	want := []ListEntry{
		{Attributes: []string{`\HasNoChildren`, `\Subscribed`}, Separator: '/', Name: "INBOX"},
		{Name: `a"b`},
		{Attributes: []string{`\Noselect`}, Separator: '\\', Name: `q"x`},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("LIST: %v (-want +got):\n%s", err, diff)
	}
	wantStates := []MailboxStatus{{Name: "INBOX", Messages: 3, UIDNext: 9},
		{Name: `a"b`, Messages: 12, UIDValidity: 5, HighestModSeq: 1<<63 - 1, MailboxID: "F2"}}
	if diff := cmp.Diff(wantStates, states); diff != "" {
		t.Errorf("STATUS (-want +got):\n%s", diff)
	}
	spaces, err := client.Namespaces(t.Context())
	wantSpaces := Namespaces{Personal: []Namespace{{"INBOX.", '.'}}, Shared: []Namespace{{"#shared/", '/'}, {"#p", 0}}}
	if diff := cmp.Diff(wantSpaces, spaces); err != nil || diff != "" {
		t.Errorf("NAMESPACE: %v (-want +got):\n%s", err, diff)
	}
	var heard []string
	err = client.Status(t.Context(), []string{"a", "b"}, []string{"MESSAGES"}, func(name string, s MailboxStatus, err error) {
		heard = append(heard, fmt.Sprint(name, s.Messages, err != nil))
	})
	if diff := cmp.Diff([]string{"a1 false", "b-1 true"}, heard); err != nil || diff != "" {
		t.Errorf("STATUS one by one: %v (-want +got):\n%s", err, diff)
	}
}

// SEARCH is read in its old and its new form; VANISHED is told to who asked.
func TestSearchAndVanished(t *testing.T) {
	var gone []string
	client := script(t, Options{}, "* OK hello",
		step{`UID SEARCH ALL`, "* 9 EXISTS\r\n* ESEARCH UID ALL 1:4294967295\r\n* SEARCH 1 2 0 x 5 (MODSEQ 9)\r\n* SEARCH\r\n* ESEARCH (TAG \"TAG\") UID ALL 7:9,11 COUNT 4\r\nTAG OK\r\n"},
		step{`UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE 5 VANISHED)`, "* VANISHED (EARLIER) 1:3,9\r\n* VANISHED nonsense\r\nTAG OK\r\n"})
	var found []uint32
	if err := client.UIDSearch(t.Context(), "ALL", func(u uint32) { found = append(found, u) }); err != nil {
		t.Errorf("UID SEARCH = %v", err)
	}
	if diff := cmp.Diff([]uint32{1, 2, 5, 7, 8, 9, 11}, found); diff != "" {
		t.Errorf("UID SEARCH (-want +got):\n%s", diff)
	}
	err := client.UIDFetch(t.Context(), "1:*", "UID FLAGS", FetchOptions{ChangedSince: 5, Vanished: func(s Set) { gone = append(gone, s.String()) }}, nil)
	if diff := cmp.Diff([]string{"1:3,9"}, gone); err != nil || diff != "" {
		t.Errorf("vanished: %v (-want +got):\n%s", err, diff)
	}
}

// APPENDUID and COPYUID are found wherever servers put them, and not believed where they are impossible.
func TestNewUIDs(t *testing.T) {
	client := script(t, Options{}, "* OK hello",
		step{"APPEND a (\\Seen) \"17-Jul-1996 02:44:25 +0000\" {3}abc", "TAG OK [APPENDUID 7 12] done\r\n"},
		step{"APPEND a {3}abc", "TAG OK [APPENDUID 0 0] done\r\n"},
		step{"APPEND a {3}abc", "TAG OK [APPENDUID 7 12:13] done\r\n"},
		step{"APPEND a {3}abc", "TAG NO [TRYCREATE] none\r\n"},
		step{"APPEND a {3}abc (\\Seen) {3}abc {3}abc", "TAG OK [APPENDUID 7 9,12:13] done\r\n"},
		step{"APPEND a {3}abc {3}abc {3}abc", "TAG OK [APPENDUID 7 9,12] done\r\n"},
		step{"UID COPY 1:2 b", "TAG OK [COPYUID 7 1:2 5:6] done\r\n"},
		step{"UID MOVE 1:2 b", "* OK [COPYUID 7 1,2 5,6] moved\r\n* 1 EXPUNGE\r\nTAG OK done\r\n"},
		step{"UID MOVE 1:2 b", "* [COPYUID 7 1:2 5:6]\r\nTAG OK done\r\n"},
		step{"UID COPY 1:2 b", "TAG OK [COPYUID 7 1:2 5:9] done\r\n"})
	date := time.Date(1996, 7, 17, 2, 44, 25, 0, time.UTC)
	for i, want := range []struct {
		count  int
		uids   []uint32
		failed bool
	}{{1, []uint32{12}, false}, {1, nil, false}, {1, nil, false}, {1, nil, true}, {3, []uint32{9, 12, 13}, false}, {3, nil, false}} {
		messages := make([]Outgoing, want.count)
		for n := range messages {
			messages[n] = Outgoing{Size: 3, Body: strings.NewReader("abc")}
		}
		switch i {
		case 0:
			messages[0].Flags, messages[0].Date = []string{`\Seen`}, date
		case 4:
			messages[1].Flags = []string{`\Seen`}
		}
		_, uids, err := client.StartAppend(t.Context(), "a", messages...).Wait(t.Context())
		if !slices.Equal(uids, want.uids) || (err != nil) != want.failed {
			t.Errorf("append %d = UIDs %d, %v, want %d, failed %v", i, uids, err, want.uids, want.failed)
		}
	}
	for i, verb := range []func(context.Context, string, string) (CopyUID, bool, error){client.Copy, client.Move, client.Move, client.Copy} {
		got, ok, err := verb(t.Context(), "1:2", "b")
		if want := i < 3; err != nil || ok != want || ok && (got.UIDValidity != 7 || got.To.Len() != 2 || got.To[0].First != 5) {
			t.Errorf("copy %d = %v, %v, %v, want it believed: %v", i, got, ok, err, want)
		}
	}
}

// A literal that the server does not ask for is not sent, and the connection goes on.
func TestLiteralRefused(t *testing.T) {
	client := dialogue(t, Options{}, func(s *scripted) {
		s.send("* OK hello\r\n")
		line, _ := s.in.ReadString('\n')
		tag, _, _ := strings.Cut(line, " ")
		s.send("* 4 EXISTS\r\n" + tag + " NO [TOOBIG] too big\r\n")
		s.play(step{"NOOP", "TAG OK\r\n"})
	})
	_, _, err := client.StartAppend(t.Context(), "a", Outgoing{Size: 5, Body: strings.NewReader("abcde")}).Wait(t.Context())
	var e *Error
	if !errors.As(err, &e) || e.Code.Name != "TOOBIG" {
		t.Errorf("append = %v, want TOOBIG", err)
	}
	if err := client.Noop(t.Context()); err != nil {
		t.Errorf("noop after that = %v", err)
	}
}

// A body that breaks off ends the connection: the server must not take the next command for the rest of the message.
func TestAppendFromBrokenSource(t *testing.T) {
	client := script(t, Options{}, "* OK hello", step{"literal cut short", ""})
	_, _, err := client.StartAppend(t.Context(), "a", Outgoing{Size: 5, Body: strings.NewReader("abc")}).Wait(t.Context())
	var source *SourceError
	if !errors.As(err, &source) {
		t.Errorf("append = %v, want a SourceError", err)
	}
	if err := client.Noop(t.Context()); err == nil {
		t.Error("the connection lives on")
	}
}

// What the server says tells callers what to do about it.
func TestReasons(t *testing.T) {
	for _, c := range []struct {
		answer  string
		reason  Reason
		backoff time.Duration
	}{
		{"TAG NO no", ReasonNo, 0},
		{"TAG BAD what", ReasonBad, 0},
		{"TAG NO [THROTTLED] slow", ReasonThrottled, 0},
		{"TAG NO Request is throttled. Suggested Backoff Time: 299961 milliseconds", ReasonThrottled, 299961 * time.Millisecond},
		{"TAG BAD Request is throttled. Suggested Backoff Time: x milliseconds", ReasonThrottled, 0},
		{"* BYE going down", ReasonConnection, 0},
		{"* BYE Request is throttled. Suggested Backoff Time: 1000 milliseconds", ReasonThrottled, time.Second},
		{"TAG NO [WEBALERT https://example.com/] Please log in via your web browser", ReasonHuman, 0},
		{"", ReasonConnection, 0},
	} {
		client := script(t, Options{}, "* OK hello", step{"NOOP", c.answer + "\r\n"})
		err := client.Noop(t.Context())
		var e *Error
		if !errors.As(err, &e) || e.Reason != c.reason || e.Backoff != c.backoff {
			t.Errorf("%q is %v (%+v), want reason %d, backoff %v", c.answer, err, e, c.reason, c.backoff)
		}
	}
	for _, greeting := range []string{"* BYE full", "* NO busy", "220 mail.example.com ESMTP", ""} {
		address := listen(t, func(s *scripted) { s.send(greeting + "\r\n") })
		_, err := Dial(t.Context(), address, Options{Security: Plaintext})
		if reason, ok := ReasonOf(err); !ok || reason != ReasonConnection {
			t.Errorf("greeting %q is %v, want reason %d", greeting, err, ReasonConnection)
		}
	}
}

// A server that says nothing more ends a call by the time limit, and by its context at once.
func TestSilence(t *testing.T) {
	hang := func(s *scripted) {
		s.send("* OK hello\r\n")
		io.Copy(io.Discard, s.in)
	}
	client := dialogue(t, Options{Timeout: 20 * time.Millisecond}, hang)
	if reason, ok := ReasonOf(client.Noop(t.Context())); !ok || reason != ReasonConnection {
		t.Errorf("noop = %v, want reason %d", client.Err(), ReasonConnection)
	}
	client = dialogue(t, Options{}, func(s *scripted) {
		s.send("* OK hello\r\n")
		s.command()
		s.send("* 1 FETCH (UID 1 BODY[] {100}\r\nabc")
		io.Copy(io.Discard, s.in)
	})
	ctx, cancel := context.WithCancel(t.Context())
	p := client.StartFetch(ctx, "1:*", "UID", FetchOptions{}, func(*Fetch) error { return nil })
	go cancel()
	if err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("fetch = %v, want %v", err, context.Canceled)
	}
	if client.Err() == nil {
		t.Error("the connection lives on")
	}
}

// Wherever a connection ends, the command that waits fails; nothing is taken for whole that is not.
func TestCutAnywhere(t *testing.T) {
	whole := "* OK [UIDVALIDITY 1] x\r\n* 1 FETCH (UID 1 BODY[] {5}\r\nabcde FLAGS (a))\r\nr1 OK [X y] done\r\n"
	for n := range len(whole) - 1 {
		client := replayed([]byte(whole[:n]))
		err := client.UIDFetch(t.Context(), "1:*", "UID", FetchOptions{}, func(f *Fetch) error {
			if body, err := io.ReadAll(f.Body); err != nil || string(body) != "abcde" {
				t.Errorf("cut at %d: body %q, %v", n, body, err)
			}
			return nil
		})
		if reason, ok := ReasonOf(err); !ok || reason != ReasonConnection {
			t.Errorf("cut at %d: %v, want reason %d", n, err, ReasonConnection)
		}
	}
}

func FuzzResponses(f *testing.F) {
	for _, c := range fetchCases {
		f.Add([]byte(c.line + "\r\nr1 OK done\r\n"))
	}
	f.Add([]byte("* LIST (\\Noselect) \"/\" {3}\r\na b\r\n* STATUS a (MESSAGES 1)\r\n* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n* ESEARCH UID ALL 1:5\r\nr1 OK [COPYUID 1 1:2 3:4] x\r\n"))
	f.Add([]byte("* OK [PERMANENTFLAGS (a ] b)] x\r\n* VANISHED (EARLIER) 1:4294967295\r\n* CAPABILITY A B=C\r\n+ go\r\n* BYE [ALERT] x\r\n"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		client := replayed(wire)
		client.opts.MaxLiteral = 1 << 20
		count := 0
		p := &Pending{
			onFetch: func(f *Fetch) error {
				fetched(f)
				return nil
			},
			onList: func(ListEntry) {}, onStatus: func(MailboxStatus) {}, onVanished: func(Set) {},
			onNamespace: func(Namespaces) {}, onCode: func(Code) {}, onMailbox: &Selected{},
			onSearch: func(uid uint32) { count++ },
		}
		err := client.run(t.Context(), "FUZZ", p, nil)
		if p.done && err == nil && p.reply.Type != "OK" {
			t.Errorf("%q ended well with %q", wire, p.reply.Type)
		}
	})
}

// The hot path of a first copy: 100 messages of 6 KB, bodies handed over.
func BenchmarkFetchBodies(b *testing.B) {
	body := strings.Repeat("x", 6<<10)
	var wire bytes.Buffer
	const count = 100
	for i := range count {
		fmt.Fprintf(&wire, "* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n", i+1, i+1, len(body), body)
	}
	benchmarkFetch(b, wire.Bytes(), count)
}

// The hot path of a listing: 100 messages without bodies.
func BenchmarkFetchFlags(b *testing.B) {
	var wire bytes.Buffer
	const count = 100
	for i := range count {
		fmt.Fprintf(&wire, "* %d FETCH (UID %d FLAGS (\\Seen $Forwarded) INTERNALDATE \"17-Jul-1996 02:44:25 +0000\" RFC822.SIZE 6144 MODSEQ (%d))\r\n", i+1, i+1, i+100)
	}
	benchmarkFetch(b, wire.Bytes(), count)
}

func benchmarkFetch(b *testing.B, wire []byte, count int) {
	replay := &replay{}
	client := newClient(replay, Options{Timeout: time.Minute, MaxLiteral: 1 << 30})
	buffer := make([]byte, 32<<10)
	seen := 0
	each := func(f *Fetch) error {
		seen++
		for f.Body != nil {
			if _, err := f.Body.Read(buffer); err != nil {
				break
			}
		}
		return nil
	}
	round := 0
	b.ReportAllocs()
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		round++
		replay.in = io.MultiReader(bytes.NewReader(wire), strings.NewReader(fmt.Sprintf("r%d OK\r\n", round)))
		if err := client.UIDFetch(b.Context(), "1:*", "UID", FetchOptions{}, each); err != nil {
			b.Fatal(err)
		}
	}
	if seen != round*count {
		b.Fatalf("%d messages, want %d", seen, round*count)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(round*count), "ns/message")
}
