package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"roost/mail"
)

// No cell is run by a spreadsheet, whatever a message says of itself.
func TestCell(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		"plain":                "plain",
		"=1+1":                 "'=1+1",
		"+49 30 1234":          "'+49 30 1234",
		"-1":                   "'-1",
		"@SUM(A1)":             "'@SUM(A1)",
		"  =1+1":               "'  =1+1",
		"\t=1+1":               "' =1+1",
		"\r\n@x":               "'  @x",
		"a\nb":                 "a b",
		"\x1b[31mred":          "\ufffd[31mred",
		"evil\u202egnp.exe":    "evil\ufffdgnp.exe",
		"Größe = 3":            "Größe = 3",
		"\ufeff=1+1":           "'\ufeff=1+1",
		"\u200b \u200d@x":      "'\u200b \u200d@x",
		"\u00a0-1":             "'\u00a0-1",
		"\uff1d1+1":            "'\uff1d1+1",
		"\uff20x":              "'\uff20x",
		`<a@example.com> "x,"`: `<a@example.com> "x,"`,
	} {
		if got := cell(in); got != want {
			t.Errorf("cell(%q) = %q, want %q", in, got, want)
		}
	}
}

// No separator that a spreadsheet may go by splits a cell, and a reader of CSV gets what was written.
func TestCSVRow(t *testing.T) {
	var b bytes.Buffer
	w := csvWriter{bufio.NewWriter(&b)}
	w.row("INBOX", "", "2026-03-01T00:00:00Z", "alice@example.com", "x;=HYPERLINK(1)", `"a", b`, "a|b", "-5")
	if err := w.end(); err != nil {
		t.Fatal(err)
	}
	want := `INBOX,,2026-03-01T00:00:00Z,alice@example.com,"x;=HYPERLINK(1)","""a"", b","a|b",-5` + "\n"
	if got := b.String(); got != want {
		t.Errorf("row = %s, want %s", got, want)
	}
}

func FuzzCell(f *testing.F) {
	f.Add("=cmd|' /C calc'!A0")
	f.Add("\u00a0=x\x00")
	f.Fuzz(func(t *testing.T, s string) {
		got := cell(s)
		if i := strings.TrimLeft(got, " "); i != "" && strings.ContainsRune("=+-@", rune(i[0])) || strings.ContainsAny(got, "\x1b\x00\r\n\t") {
			t.Fatalf("cell(%q) = %q", s, got)
		}
		var b bytes.Buffer
		w := csvWriter{bufio.NewWriter(&b)}
		w.row("a", got)
		w.end()
		if rows, err := csv.NewReader(&b).ReadAll(); err != nil || len(rows) != 1 || len(rows[0]) != 2 {
			t.Fatalf("cell(%q) = %q makes %q, %v", s, got, rows, err)
		}
	})
}

func TestCounts(t *testing.T) {
	for n, want := range map[int64]string{0: "0 mailboxes", 1: "1 mailbox", 41: "41 mailboxes", 182334: "182,334 mailboxes", -1234567: "-1,234,567 mailboxes"} {
		if got := count(n, "mailbox"); got != want {
			t.Errorf("count(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 52_428_800: "52.4 MB", 3 << 50: "3.4 PB"} {
		if got := octets(n); got != want {
			t.Errorf("octets(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestVerdict(t *testing.T) {
	good := mail.Ledger{Rows: []mail.Row{
		{Mailbox: "INBOX", Server: 182_000, Listed: 182_000, Held: 182_000, New: 12},
		{Mailbox: "Sent", Server: -1, Listed: 334, Held: 334, Changed: 3},
	}}
	bad := mail.Ledger{Rows: []mail.Row{
		{Mailbox: "INBOX", Server: 9, Listed: 9, Held: 2, Failed: 7, Problems: []mail.Problem{{Mailbox: "INBOX", Key: "1"}}},
		{Mailbox: "Sent", Server: 5, Listed: 4, Held: 4},
		{Mailbox: "Shared", Server: -1, Problems: []mail.Problem{{Mailbox: "Shared", Reason: "denied"}}},
	}}
	tests := []struct {
		name string
		v    verdict
		l    []mail.Ledger
		want string
	}{
		{"as in the manual", verdict{Accounts: 1}, []mail.Ledger{good}, "OK: 2 mailboxes, 182,334 messages, all accounted for (12 new, 3 flags changed)"},
		{"nothing", verdict{Accounts: 1}, []mail.Ledger{{}}, "OK: 0 mailboxes, 0 messages, all accounted for (nothing changed)"},
		{"several accounts", verdict{Accounts: 2}, []mail.Ledger{good, {}}, "OK: 2 accounts, 2 mailboxes, 182,334 messages, all accounted for (12 new, 3 flags changed)"},
		{"everything wrong", verdict{Accounts: 3, Failed: 1, Cut: 1}, []mail.Ledger{bad},
			"INCOMPLETE: 1 account failed, 1 account cut short, 7 messages not stored, 1 mailbox not done, 1 mailbox out of balance; see"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i := range tt.l {
				tt.v.add(&tt.l[i])
			}
			if got := tt.v.text("; see"); got != tt.want {
				t.Errorf("verdict\n got %s\nwant %s", got, tt.want)
			}
		})
	}
}

// Each line of --json is one object that says what it is and by which schema.
func TestJSONLines(t *testing.T) {
	var out bytes.Buffer
	a := newApp(nil, &out, &out, func(string) string { return "" })
	a.flags.json = true
	for _, v := range []any{struct{}{}, struct {
		A string `json:"a"`
	}{"x\ny"}, map[string]any{"b": 1}} {
		if err := a.json("test", v); err != nil {
			t.Fatal(err)
		}
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %s", len(lines), &out)
	}
	for _, line := range lines {
		var got map[string]any
		if err := json.Unmarshal([]byte(line), &got); err != nil || got["message_type"] != "test" || got["schema"] != float64(schema) {
			t.Errorf("line %s: %v", line, err)
		}
	}
	if err := a.json("test", []int{1}); err == nil {
		t.Error("a list was taken for an object")
	}
}

// The status line says what matters most in whatever room there is, and never more: a line that wraps cannot be cleared.
func TestStatusLine(t *testing.T) {
	s := status{Seconds: 3725, Mailboxes: 41, MailboxesDone: 3, Messages: 182334, MessagesDone: 1000, Bytes: 5e7, MessagesPerSecond: 250, BytesPerSecond: 12.5e6, SecondsRemaining: 725, Failed: 2}
	for width, want := range map[int]string{
		0:   "[1:02:05] 3 of 41 mailboxes, 1,000 of 182,334 messages, 50.0 MB, 250 messages/s, 12.5 MB/s, ETA 12:05, 2 failed",
		111: "[1:02:05] 3 of 41 mailboxes, 1,000 of 182,334 messages, 50.0 MB, 250 messages/s, 12.5 MB/s, ETA 12:05, 2 failed",
		110: "[1:02:05] 3 of 41 mailboxes, 1,000 of 182,334 messages, 50.0 MB, 250 messages/s, ETA 12:05, 2 failed",
		79:  "[1:02:05] 3 of 41 mailboxes, 1,000 of 182,334 messages, ETA 12:05, 2 failed",
		65:  "[1:02:05] 3 of 41 mailboxes, 1,000 of 182,334 messages, 2 failed",
		49:  "[1:02:05] 1,000/182,334, ETA 12:05, 2 failed",
		35:  "[1:02:05] 1,000/182,334, 2 failed",
		9:   "[1:0…iled",
	} {
		if got := s.text(width); got != want {
			t.Errorf("status in %d columns\n got %s\nwant %s", width, got, want)
		}
	}
	for width := 1; width < 120; width++ {
		if got := s.text(width); columns(got) > width {
			t.Errorf("status in %d columns takes %d: %s", width, columns(got), got)
		}
	}
}

// On a narrow terminal a table leaves out what says nothing, then what matters least, then the middle of long names; what
// is not printed to a terminal is never cut.
func TestNarrowTable(t *testing.T) {
	table := func() [][]string {
		return [][]string{
			{"mailbox", "server", "listed", "held", "failed", "gone", "new", "method"},
			{"INBOX", "?", "14", "14", "0", "0", "2", "qresync"},
			{"Archive/Projekte/旅行/2025", "?", "5", "5", "0", "0", "0", "qresync"},
		}
	}
	for width, want := range map[int]string{
		0:  "mailbox server listed held failed gone new method; INBOX; Archive/Projekte/旅行/2025",
		76: "mailbox server listed held failed gone new method; INBOX; Archive/Projekte/旅行/2025",
		75: "mailbox listed held failed gone new method; INBOX; Archive/Projekte/旅行/2025",
		60: "mailbox listed held gone new method; INBOX; Archive/Projekte/旅行/2025",
		50: "mailbox listed held new; INBOX; Archive/Projekte/旅行/2025",
		40: "mailbox listed held new; INBOX; Archive/P…e/旅行/2025",
		10: "mailbox listed held new; INBOX; Arch…025",
	} {
		rows := table()
		got := fit(rows, width, append(idle(rows), "method"))
		text := strings.Join(got[0], " ")
		for _, row := range got[1:] {
			text += "; " + row[0]
		}
		if text != want {
			t.Errorf("in %d columns\n got %s\nwant %s", width, text, want)
		}
		if room := wide(got); width >= 40 && room > width {
			t.Errorf("in %d columns the table takes %d", width, room)
		}
	}
}

func TestCutTo(t *testing.T) {
	for _, tt := range []struct {
		s     string
		width int
		want  string
	}{{"abc", 3, "abc"}, {"abcd", 3, "a…d"}, {"abcde", 4, "ab…e"}, {"ab", 1, "…"}, {"ab", 0, ""}, {"ab", -1, ""}, {"旅行旅行", 5, "旅…行"}, {"旅行旅行", 4, "旅…"}} {
		if got := cutTo(tt.s, tt.width); got != tt.want {
			t.Errorf("cutTo(%q, %d) = %q, want %q", tt.s, tt.width, got, tt.want)
		}
	}
}
