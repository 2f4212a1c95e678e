package query

import (
	"errors"
	"strings"
	"testing"
	"time"

	"roost/mail"
	"roost/message"
)

var wednesday = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

// sight is a message of which everything is known.
func sight() *Sight {
	raw := []byte("From: Zoë <zoe@example.org>\r\nTo: bob@example.com\r\nSubject: Annual report\r\nMessage-ID: <one@example.org>\r\n" +
		"Date: Tue, 03 Mar 2026 10:00:00 +0000\r\nContent-Type: text/plain; name=list.txt\r\n\r\nThe figures are fine.\r\n")
	header, _ := message.Split(raw)
	wording := message.WordingOf(raw)
	return &Sight{
		Mailboxes: []mail.Mailbox{{Name: "Work/2026"}, {Name: "Work", Role: mail.RoleArchive}},
		Message: &mail.Message{Key: "412", UID: 412, GUID: "g1", Flags: mail.FlagsOf(mail.Seen, "$Label1"), Size: 2000,
			InternalDate: time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), Extra: &mail.Extra{Labels: []string{"My Things"}}},
		SourceKey: "1234.M5.host", Added: wednesday.Add(-72 * time.Hour), Deleted: wednesday.Add(-24 * time.Hour),
		Header: header, Wording: &wording,
	}
}

// Each field asks just what its name says, and and, or, not and brackets bind as written.
func TestJudge(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "report": true, "figures": true, "zoe": true, "list.txt": true, "nothing": false, `"annual report"`: true, `"report annual"`: false,
		"rep*": true, "rep": false, `"annual rep"*`: true, "from:zoë": true, "from:bob": false, "to:bob": true, "cc:bob": false, "subject:annual": true, "subject:figures": false,
		"body:figures": true, "body:annual": false, "filename:list": true, "has:attachment": false, "folder:Work": true, "folder:Work/2026": true,
		"folder:Wor*": true, "folder:work": false, "role:archive": true, `role:\Archive`: true, "role:sent": false, "flag:seen": true, `flag:\Flagged`: false,
		"keyword:$label1": true, "keyword:x": false, `label:"my things"`: true, "label:my": false, "label:my*": true, "date:2026-03-03": true, "date:2026-03-04": false,
		"received:2026-03-04": true, "received:..2026-02": false, `received:"last tuesday"`: false, "larger:1k": true, "larger:2k": false, "smaller:2k": true,
		"message-id:one@example.org": true, "message-id:<one@example.org>": true, "message-id:<One@example.org>": false, "guid:g1": true, "guid:g2": false,
		"key:412": true, "key:1234.M5.host": true, "key:41": false, "uid:412": true, "uid:400..420": true, "uid:1..2": false,
		`added:"4 days ago".."2 days ago"`: true, "added:today": false, "deleted:yesterday": true, `deleted:"36 hours ago"..`: true, `deleted:"2 hours ago"`: false,
		"report figures": true, "report nothing": false, "report and nothing": false, "report or nothing": true, "nothing or nothing report": false,
		"(nothing or figures) report": true, "not nothing": true, "-report": false, "not not report": true, "not (nothing or figures)": false,
		"report not nothing": true, "REPORT AND NOT nothing": true, `"or"`: false, "SUBJECT:report": true, "1:2": false, "zoe@example.org": true,
	} {
		e, err := Parse(text, wednesday)
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
			continue
		}
		if got := e.Judge(sight()); got != truth(want) {
			t.Errorf("Parse(%q).Judge = %v, want %v", text, got, want)
		}
	}
}

// What is answered with less is answered rightly: a message of which only a part is known is Maybe, or judged as with all of it.
func TestJudgeEarly(t *testing.T) {
	for text, want := range map[string]Truth{
		"uid:412 report": Maybe, "uid:1 report": No, "uid:412 or report": Yes, "not report": Maybe, "uid:412": Yes, "from:zoe": Maybe,
		"not (uid:412 or report)": No, "has:attachment larger:1M": No, "date:2026": Maybe,
	} {
		s := sight()
		s.Header, s.Wording = nil, nil
		e, err := Parse(text, wednesday)
		if got := e.Judge(s); err != nil || got != want {
			t.Errorf("Parse(%q).Judge of a listed message = %v, %v, want %v", text, got, err, want)
		}
	}
	for text, want := range map[string]Truth{"report": Yes, "figures": Maybe, "from:zoe figures": Maybe, "from:bob figures": No, "body:report": Maybe, "subject:x": No} {
		s := sight()
		s.Wording = nil
		e, err := Parse(text, wednesday)
		if got := e.Judge(s); err != nil || got != want {
			t.Errorf("Parse(%q).Judge of a header = %v, %v, want %v", text, got, err, want)
		}
	}
}

// A query knows how far it must read, and whether it asks of the past.
func TestReach(t *testing.T) {
	for text, want := range map[string]struct {
		reach   Reach
		history bool
	}{"": {Listed, false}, "uid:1 or deleted:today": {Listed, true}, "not (from:x)": {Headed, false}, "from:x added:today word": {Whole, true}} {
		e, err := Parse(text, wednesday)
		if err != nil || e.Reach() != want.reach || e.History() != want.history {
			t.Errorf("Parse(%q): reach %d, history %v, %v, want %v", text, e.Reach(), e.History(), err, want)
		}
	}
}

// A mistake is pointed at, in characters, not octets.
func TestParseErrors(t *testing.T) {
	for text, column := range map[string]int{
		"foo:bar": 1, "ü foo:bar": 3, "from:": 6, "a (b": 3, "a )": 3, "()": 2, "or a": 1, "a or": 5, "a and": 6, "not": 4, `x "abc`: 3, "date:never": 6,
		"larger:much": 8, "uid:0": 5, "uid:5..2": 5, "has:wings": 5, "role:5": 6, "...": 1, "deleted:..": 9, "a and or b": 7, "message-id:": 12, "guid:": 6,
		strings.Repeat("(", 200) + "a": 101, strings.Repeat("-", 200) + "a": 101, strings.Repeat("a ", 1001): 2001,
	} {
		_, err := Parse(text, wednesday)
		var mistake *ParseError
		if !errors.As(err, &mistake) {
			t.Errorf("Parse(%.40q) = %v, want a mistake", text, err)
			continue
		}
		if got := len([]rune(mistake.Query[:mistake.At])) + 1; got != column {
			t.Errorf("Parse(%.40q): %v; want column %d", text, err, column)
		}
		if before, behind := mistake.Mark(); len(text) < 60 && before+behind != text {
			t.Errorf("Parse(%q): marked %q %q", text, before, behind)
		}
	}
	for _, text := range []string{strings.Repeat("a", maxQuery+1), "\xff"} {
		if _, err := Parse(text, wednesday); err == nil {
			t.Errorf("Parse(%.10q...): no error", text)
		}
	}
}

// Whatever is typed is a query or a mistake in it, and less knowledge of a message never gives another answer than more.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"from:a or (b -c) not d", `"a \" b"* folder:"x*"`, "uid:1..2 date:2026-03..", "((((", "a:b:c", "-", `"`, "\u00a0x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text, wednesday)
		if err != nil {
			var mistake *ParseError
			if !errors.As(err, &mistake) || mistake.At > len(mistake.Query) || mistake.Error() == "" {
				t.Fatalf("Parse(%q): %v", text, err)
			}
			mistake.Mark()
			return
		}
		all := e.Judge(sight())
		if all == Maybe {
			t.Errorf("Parse(%q).Judge is not sure of what is known in full", text)
		}
		head, list := sight(), sight()
		head.Wording = nil
		list.Header, list.Wording = nil, nil
		for _, s := range []*Sight{head, list} {
			if got := e.Judge(s); got != Maybe && got != all {
				t.Errorf("Parse(%q).Judge = %v early, %v in the end", text, got, all)
			}
		}
	})
}
