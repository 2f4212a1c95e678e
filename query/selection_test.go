package query

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
)

func boxes() []mail.Mailbox {
	return []mail.Mailbox{
		{Name: "INBOX"}, {Name: "INBOX/Work"}, {Name: "Archive"}, {Name: "Archive/2026"}, {Name: "Archive/2026/Mai"},
		{Name: "Archives"}, {Name: "Spam", Role: mail.RoleJunk}, {Name: "Spam/alt"}, {Name: "Папка/Отчёт"}, {Name: "a*b"}, {Name: `\Junk`},
	}
}

// What a mask means for the mailboxes below the one it matches is the whole
// difference between a backup of a tree and of one folder.
func TestMailboxes(t *testing.T) {
	tests := []struct {
		name string
		sel  Selection
		want []mail.Name
	}{
		{"name with children", Selection{Folders: []string{"Archive"}}, []mail.Name{"Archive", "Archive/2026", "Archive/2026/Mai"}},
		{"name alone", Selection{Folders: []string{"Archive"}, NoChildren: true}, []mail.Name{"Archive"}},
		{"only children", Selection{Folders: []string{"Archive/*"}, NoChildren: true}, []mail.Name{"Archive/2026", "Archive/2026/Mai"}},
		{"one character", Selection{Folders: []string{"Archive?"}}, []mail.Name{"Archives"}},
		{"not the separator", Selection{Folders: []string{"Archive?2026"}}, nil},
		{"inbox in any case", Selection{Folders: []string{"inbox"}}, []mail.Name{"INBOX", "INBOX/Work"}},
		{"other names by letter", Selection{Folders: []string{"archive"}}, nil},
		{"role with children", Selection{Folders: []string{`\junk`}}, []mail.Name{"Spam", "Spam/alt"}},
		{"role alone", Selection{Folders: []string{`\Junk`}, NoChildren: true}, []mail.Name{"Spam"}},
		{"name like a role", Selection{Folders: []string{`\\Junk`}}, []mail.Name{`\Junk`}},
		{"escaped star", Selection{Folders: []string{`a\*b`}}, []mail.Name{"a*b"}},
		{"other scripts", Selection{Folders: []string{"*Отчё?"}}, []mail.Name{"Папка/Отчёт"}},
		{"an ancestor that is not listed", Selection{Folders: []string{"Папка"}}, []mail.Name{"Папка/Отчёт"}},
		{"an ancestor that is not listed, alone", Selection{Folders: []string{"Папка"}, NoChildren: true}, nil},
		{"without an ancestor that is not listed", Selection{Folders: []string{"Archives", "*Отчё?"}, Exclude: []string{"Папк?"}}, []mail.Name{"Archives"}},
		{"exclude wins", Selection{Folders: []string{"Archive", "INBOX"}, Exclude: []string{"*/2026"}}, []mail.Name{"INBOX", "INBOX/Work", "Archive"}},
		{"exclude all", Selection{Exclude: []string{"*"}}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			meant, left := tt.sel.Mailboxes(boxes())
			var got []mail.Name
			for _, b := range meant {
				got = append(got, b.Name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%v.Mailboxes (-want +got):\n%s", tt.sel, diff)
			}
			if len(meant)+len(left) != len(boxes()) {
				t.Errorf("%d meant and %d left of %d mailboxes", len(meant), len(left), len(boxes()))
			}
		})
	}
}

// A mask that means nothing is told from one of which all is excluded.
func TestUnmatched(t *testing.T) {
	sel := Selection{Folders: []string{"Archive", "archive", "INBOX", "Work", `\Sent`, `\Junk`, "Папка", "Arch*2027"}, Exclude: []string{"Archive", "Nothing"}}
	if diff := cmp.Diff([]string{"archive", "Work", `\Sent`, "Arch*2027"}, sel.Unmatched(boxes())); diff != "" {
		t.Errorf("%v.Unmatched (-want +got):\n%s", sel, diff)
	}
	sel.NoChildren = true
	if diff := cmp.Diff([]string{"archive", "Work", `\Sent`, "Папка", "Arch*2027"}, sel.Unmatched(boxes())); diff != "" {
		t.Errorf("%v.Unmatched (-want +got):\n%s", sel, diff)
	}
	if got := (Selection{}).Unmatched(nil); got != nil {
		t.Errorf("Unmatched of everything = %q, want none", got)
	}
}

func TestMessage(t *testing.T) {
	march := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	april := march.AddDate(0, 1, 0)
	period := Selection{Since: march, Before: april}
	header := Selection{Since: march, Before: april, Date: ByHeader}
	tests := []struct {
		name     string
		sel      Selection
		m        mail.Message
		header   time.Time
		wantRule string
	}{
		{"everything", Selection{}, mail.Message{Size: 1 << 40}, time.Time{}, ""},
		{"first moment is in", period, mail.Message{InternalDate: march}, time.Time{}, ""},
		{"last moment is out", period, mail.Message{InternalDate: april}, time.Time{}, "before 2026-04-01T00:00:00Z"},
		{"too early", period, mail.Message{InternalDate: march.Add(-1)}, time.Time{}, "since 2026-03-01T00:00:00Z"},
		{"unknown date stays", period, mail.Message{}, time.Time{}, ""},
		{"header date counts", header, mail.Message{InternalDate: april}, march, ""},
		{"header date too late", header, mail.Message{InternalDate: march}, april, "before 2026-04-01T00:00:00Z"},
		{"no header date stays", header, mail.Message{InternalDate: april}, time.Time{}, ""},
		{"size at the limit", Selection{MaxSize: 1024}, mail.Message{Size: 1024}, time.Time{}, ""},
		{"too large", Selection{MaxSize: 1024}, mail.Message{Size: 1025}, time.Time{}, "at most 1K"},
		{"unknown size stays", Selection{MaxSize: 1}, mail.Message{Size: -1}, time.Time{}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rule, excluded := tt.sel.Message(&tt.m, tt.header)
			if rule != tt.wantRule || excluded != (tt.wantRule != "") {
				t.Errorf("Message = %q, %v, want %q", rule, excluded, tt.wantRule)
			}
		})
	}
	if period.NeedsHeader() || !header.NeedsHeader() {
		t.Errorf("NeedsHeader = %v by internal date, %v by header date", period.NeedsHeader(), header.NeedsHeader())
	}
}

// A selection recorded in a snapshot must be read as the same selection.
func TestCanonical(t *testing.T) {
	zone := time.FixedZone("", 3600)
	a := Selection{Folders: []string{"b", "inbox/x", `\JUNK`, "b"}, Since: time.Date(2026, 3, 1, 1, 0, 0, 0, zone), Date: ByInternal, MaxSize: 25 << 20}
	b := Selection{Folders: []string{`\Junk`, "INBOX/x", "b"}, Since: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), MaxSize: 25 << 20}
	const want = `{"folders":["INBOX/x","\\Junk","b"],"since":"2026-03-01T00:00:00Z","max_size":26214400}`
	for _, s := range []Selection{a, b} {
		got, err := s.Canonical()
		if err != nil || got != want {
			t.Errorf("%v.Canonical() = %s, %v, want %s", s, got, err, want)
		}
	}
	var back Selection
	if err := json.Unmarshal([]byte(want), &back); err != nil {
		t.Fatal(err)
	}
	if got, err := back.Canonical(); got != want || err != nil {
		t.Errorf("canonical form read back is %s, %v", got, err)
	}
	if got, err := (Selection{NoChildren: true, Date: ByHeader}).Canonical(); got != "" || err != nil {
		t.Errorf("everything is written %q, %v, want \"\"", got, err)
	}
}

func TestCleanRefuses(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for name, s := range map[string]Selection{
		"empty mask":         {Folders: []string{""}},
		"no UTF-8":           {Exclude: []string{"\xff"}},
		"trailing backslash": {Exclude: []string{`a\`}},
		"trailing slash":     {Folders: []string{"a/"}},
		"period of nothing":  {Since: now, Before: now},
		"unknown date":       {Since: now, Date: "arrival"},
		"negative size":      {MaxSize: -1},
	} {
		if got, err := s.Clean(); err == nil {
			t.Errorf("%s: Clean = %v, want an error", name, got)
		}
	}
}

// Whatever the mask, matching ends, a canonical spelling is stable, and a star
// in front and behind matches no less.
func FuzzMask(f *testing.F) {
	for _, seed := range [][2]string{{"*a*a*a*b", "aaaaaaaaaaaaaaaa"}, {"INBOX/?", "INBOX/é"}, {`\*`, "*"}, {`\Sent`, "x"}, {"a**b", "ab"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		m, err := ParseMask(text)
		if err != nil {
			return
		}
		again, err := ParseMask(m.String())
		if err != nil || again.String() != m.String() {
			t.Fatalf("%q is %q, read again %q, %v", text, m, again, err)
		}
		box := mail.Mailbox{Name: mail.Name(name)}
		if m.Match(box) != again.Match(box) {
			t.Fatalf("%q and its canonical form %q disagree on %q", text, m, name)
		}
		wide, err := ParseMask("*" + m.String() + "*")
		if err == nil && m.role == "" && m.Match(box) && !wide.Match(box) {
			t.Fatalf("%q matches %q, but *%s* does not", m, name, m)
		}
	})
}
