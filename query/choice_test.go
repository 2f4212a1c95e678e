package query

import (
	"testing"
	"time"

	"roost/mail"
	"roost/message"
)

// A message is chosen if the selection means it and one of the names, where there are any, is its own.
func TestChoice(t *testing.T) {
	raw := []byte("Message-ID: <one@example.org>\r\nDate: Sun, 01 Mar 2026 10:00:00 +0000\r\n\r\nOne.\r\n")
	m := mail.Message{Key: "412", UID: 412, GUID: "g1", Size: int64(len(raw)), InternalDate: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)}
	march := Selection{Since: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Before: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC), Date: ByHeader}
	april := Selection{Since: march.Before, Date: ByHeader}
	for name, c := range map[string]struct {
		choice Choice
		lists  Verdict
		in     bool
	}{
		"everything":               {Choice{}, In, true},
		"Message-ID":               {Choice{MessageIDs: []string{"one@example.org"}}, AskBytes, true},
		"another Message-ID":       {Choice{MessageIDs: []string{"<two@example.org>"}}, AskBytes, false},
		"print":                    {Choice{Prints: []message.Print{message.PrintOf(raw)}}, AskBytes, true},
		"another print":            {Choice{Prints: []message.Print{{1}}}, AskBytes, false},
		"GUID":                     {Choice{GUIDs: []string{"g0", "g1"}}, In, true},
		"another GUID":             {Choice{GUIDs: []string{"g2", ""}}, Out, false},
		"place":                    {Choice{Places: []Place{{"INBOX", "412"}}}, In, true},
		"the key elsewhere":        {Choice{Places: []Place{{"Work", "412"}}}, Out, false},
		"place or Message-ID":      {Choice{Places: []Place{{"INBOX", "412"}}, MessageIDs: []string{"<two@example.org>"}}, In, true},
		"too large":                {Choice{Selection: Selection{MaxSize: 5}, GUIDs: []string{"g1"}}, Out, false},
		"not by its date":          {Choice{Selection: Selection{Before: march.Before}, GUIDs: []string{"g1"}}, Out, false},
		"by its date":              {Choice{Selection: Selection{Since: march.Before}, GUIDs: []string{"g1"}}, In, true},
		"header date":              {Choice{Selection: march}, AskDate, true},
		"another header date":      {Choice{Selection: april}, AskDate, false},
		"GUID and header date":     {Choice{Selection: april, GUIDs: []string{"g1"}}, AskDate, false},
		"other GUID, header date":  {Choice{Selection: march, GUIDs: []string{"g2"}}, Out, false},
		"Message-ID, header date":  {Choice{Selection: march, MessageIDs: []string{"<one@example.org>"}}, AskBytes, true},
		"Message-ID, other date":   {Choice{Selection: april, MessageIDs: []string{"<one@example.org>"}}, AskBytes, false},
		"Message-ID, other letter": {Choice{MessageIDs: []string{"<One@example.org>"}}, AskBytes, false},
	} {
		t.Run(name, func(t *testing.T) {
			choice, err := c.choice.Clean()
			if err != nil {
				t.Fatal(err)
			}
			verdict := choice.Lists("INBOX", &m)
			if verdict != c.lists {
				t.Errorf("Lists = %d, want %d", verdict, c.lists)
			}
			in := verdict == In
			if verdict >= AskBytes {
				var print message.Print
				if choice.Needs() == mail.Whole {
					print = message.PrintOf(raw)
				}
				in = choice.Reads(verdict, message.Header(raw), print)
			}
			if in != c.in {
				t.Errorf("chosen: %v, want %v", in, c.in)
			}
			if choice.IsZero() != (name == "everything") {
				t.Errorf("IsZero = %v", choice.IsZero())
			}
		})
	}
	for name, c := range map[string]Choice{"internal": {Selection: Selection{Since: march.Since}}, "header": {Selection: march}} {
		verdict := c.Lists("INBOX", &mail.Message{Key: "1"})
		if verdict == In || verdict != Out && c.Reads(verdict, message.Header("Subject: x\r\n\r\n"), message.Print{}) {
			t.Errorf("a message without %s date is taken for one of a period", name)
		}
	}
	// A message without Message-ID or GUID has no such name that could be given.
	none := Choice{MessageIDs: []string{"<>"}, GUIDs: []string{""}}
	if verdict := none.Lists("INBOX", &mail.Message{Key: "1"}); verdict != AskBytes || none.Reads(verdict, message.Header("Subject: x\r\n\r\n"), message.Print{}) {
		t.Errorf("what has no name is chosen by none: %d", verdict)
	}
}

// What cannot be a choice is refused.
func TestChoiceRefuses(t *testing.T) {
	for _, c := range []Choice{
		{Selection: Selection{SkipAttachments: true}}, {MessageIDs: []string{" "}}, {MessageIDs: []string{"<a>\r\nSubject: x"}}, {Selection: Selection{Folders: []string{""}}},
	} {
		if got, err := c.Clean(); err == nil {
			t.Errorf("Clean(%+v) = %+v, want an error", c, got)
		}
	}
	for text, want := range map[string]Place{"INBOX:412": {"INBOX", "412"}, "inbox:1": {"INBOX", "1"}, "Re: Work/a:5": {"Re: Work/a", "5"}} {
		if got, err := ParsePlace(text); err != nil || got != want {
			t.Errorf("ParsePlace(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "412", ":412", "INBOX:", ":"} {
		if got, err := ParsePlace(text); err == nil {
			t.Errorf("ParsePlace(%q) = %v, want an error", text, got)
		}
	}
}
