package query

import (
	"testing"
	"time"
)

// now is a Monday, the last day of a month after a shorter one.
var now = time.Date(2026, 8, 31, 15, 4, 5, 0, time.FixedZone("CEST", 7200))

func TestParsePeriod(t *testing.T) {
	tests := []struct{ text, since, before string }{
		{"2026", "2026-01-01T00:00:00+02:00", "2027-01-01T00:00:00+02:00"},
		{"2026-03", "2026-03-01T00:00:00+02:00", "2026-04-01T00:00:00+02:00"},
		{"2026-03-01", "2026-03-01T00:00:00+02:00", "2026-03-02T00:00:00+02:00"},
		{"2026-03-01 09:00", "2026-03-01T09:00:00+02:00", "2026-03-01T09:01:00+02:00"},
		{"2026-03-01T09:00:00Z", "2026-03-01T09:00:00Z", "2026-03-01T09:00:01Z"},
		{"today", "2026-08-31T00:00:00+02:00", "2026-09-01T00:00:00+02:00"},
		{"yesterday", "2026-08-30T00:00:00+02:00", "2026-08-31T00:00:00+02:00"},
		{"last  Tuesday", "2026-08-25T00:00:00+02:00", "2026-08-26T00:00:00+02:00"},
		{"monday", "2026-08-24T00:00:00+02:00", "2026-08-25T00:00:00+02:00"},
		{"last week", "2026-08-24T00:00:00+02:00", "2026-08-31T00:00:00+02:00"},
		{"last month", "2026-07-01T00:00:00+02:00", "2026-08-01T00:00:00+02:00"},
		{"36 hours ago", "2026-08-30T03:04:05+02:00", "2026-08-30T03:04:05+02:00"},
		{"6 months ago", "2026-02-28T15:04:05+02:00", "2026-02-28T15:04:05+02:00"},
		{"a year ago", "2025-08-31T15:04:05+02:00", "2025-08-31T15:04:05+02:00"},
		{"@0", "1970-01-01T02:00:00+02:00", "1970-01-01T02:00:01+02:00"},
		{"2026-03..2026-05", "2026-03-01T00:00:00+02:00", "2026-06-01T00:00:00+02:00"},
		{"2026-03..", "2026-03-01T00:00:00+02:00", ""},
		{"..36 hours ago", "", "2026-08-30T03:04:05+02:00"},
	}
	for _, tt := range tests {
		since, before, err := ParsePeriod(tt.text, now)
		if err != nil {
			t.Errorf("ParsePeriod(%q): %v", tt.text, err)
			continue
		}
		if got := rfc3339(since); got != tt.since {
			t.Errorf("ParsePeriod(%q) begins %s, want %s", tt.text, got, tt.since)
		}
		if got := rfc3339(before); got != tt.before {
			t.Errorf("ParsePeriod(%q) ends %s, want %s", tt.text, got, tt.before)
		}
	}
}

func TestParsePeriodRefuses(t *testing.T) {
	for _, text := range []string{"", "..", "2026-13", "march", "36 ago", "-1 days ago", "99999999 years ago", "3 fortnights ago", "2026-05..2026-03", "@-1", "last"} {
		if since, before, err := ParsePeriod(text, now); err == nil {
			t.Errorf("ParsePeriod(%q) = %v, %v, want an error", text, since, before)
		}
	}
}

func FuzzParsePeriod(f *testing.F) {
	for _, seed := range []string{"2026-03", "last tuesday", "36 hours ago", "2026-03..", "@1", "1000000 years ago"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		since, before, err := ParsePeriod(text, now)
		if err == nil && !since.IsZero() && !before.IsZero() && before.Before(since) {
			t.Fatalf("ParsePeriod(%q) = %v, %v", text, since, before)
		}
	})
}

func TestParseSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "300": 300, "1k": 1024, "25M": 25 << 20, "25 MB": 25 << 20, "25MiB": 25 << 20, "1.5G": 3 << 29, "2T": 2 << 40, "10B": 10,
	} {
		if got, err := ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "M", "-1", "1.5", "1,5M", "1e3", "25X", "9999999999G", "1.M", "iB"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", text, got)
		}
	}
}

func FuzzParseSize(f *testing.F) {
	for _, seed := range []string{"25M", "1.5GiB", "8191P", "9223372036854775807"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := ParseSize(text)
		if err != nil {
			return
		}
		if again, err := ParseSize(FormatSize(n)); n < 0 || err != nil || again != n {
			t.Fatalf("ParseSize(%q) = %d, written %s, read again %d, %v", text, n, FormatSize(n), again, err)
		}
	})
}

func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}
