package query

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Times as users write them. Without a zone, now's zone is meant.
//
//	2026, 2026-03, 2026-03-01                  their first moment
//	2026-03-01 15:04, 2026-03-01T15:04:05      a moment; RFC 3339 with a zone
//	now, today, yesterday, tomorrow            the days from midnight
//	monday, last monday                        the last one before today, from midnight
//	last week, last month, last year           its first moment; weeks begin on Monday
//	this week, this month, this year
//	36 hours ago, 2 weeks ago, a month ago     counted back from now
//	@1767225600                                seconds since 1970

// maxAgo bounds the number in "N days ago"; more would leave the calendar.
const maxAgo = 1_000_000

var layouts = []struct {
	layout string
	next   func(time.Time) time.Time // the end of what the text names
}{
	{"2006", func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
	{"2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
	{"2006-01-02", nextDay},
	{"2006-01-02 15:04", func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{"2006-01-02 15:04:05", nextSecond},
	{"2006-01-02T15:04", func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{"2006-01-02T15:04:05", nextSecond},
	{time.RFC3339, nextSecond},
	{"2006-01-02 15:04:05Z07:00", nextSecond},
}

// ParseTime reads a moment; of what lasts, such as a month, the first one.
func ParseTime(text string, now time.Time) (time.Time, error) {
	begin, _, err := span(text, now)
	return begin, err
}

// ParsePeriod reads what lasts, half-open: "2026-03", "yesterday", "last week",
// or two ends, "2026-03..2026-05", "2026-03..", "..36 hours ago". The last
// day, month or year named is part of the period. A zero time is an open end.
func ParsePeriod(text string, now time.Time) (since, before time.Time, err error) {
	from, to, two := strings.Cut(text, "..")
	if !two {
		return span(text, now)
	}
	if strings.TrimSpace(from) != "" {
		if since, _, err = span(from, now); err != nil {
			return time.Time{}, time.Time{}, err
		}
	}
	if strings.TrimSpace(to) != "" {
		if _, before, err = span(to, now); err != nil {
			return time.Time{}, time.Time{}, err
		}
	}
	switch {
	case since.IsZero() && before.IsZero():
		return since, before, fmt.Errorf("period %q has neither begin nor end", text)
	case !since.IsZero() && !before.IsZero() && !since.Before(before):
		return time.Time{}, time.Time{}, fmt.Errorf("period %q ends before it begins", text)
	}
	return since, before, nil
}

// span is the first moment of what text names, and the first after it.
func span(text string, now time.Time) (begin, end time.Time, err error) {
	text = strings.Join(strings.Fields(text), " ")
	for _, l := range layouts {
		if t, err := time.ParseInLocation(l.layout, text, now.Location()); err == nil {
			return t, l.next(t), nil
		}
	}
	lower := strings.ToLower(text)
	if seconds, ok := strings.CutPrefix(lower, "@"); ok {
		if n, err := strconv.ParseInt(seconds, 10, 64); err == nil && 0 <= n && n < 1<<37 {
			t := time.Unix(n, 0).In(now.Location())
			return t, nextSecond(t), nil
		}
	}
	if begin, end, ok := named(lower, now); ok {
		return begin, end, nil
	}
	if t, ok := ago(lower, now); ok {
		return t, t, nil
	}
	return time.Time{}, time.Time{}, fmt.Errorf(
		"%q is no time; write \"2026-03-01\", \"2026-03-01 15:04\", \"36 hours ago\", \"last tuesday\" or RFC 3339", text)
}

// named reads the words for days, weeks, months and years.
func named(text string, now time.Time) (begin, end time.Time, ok bool) {
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	sinceMonday := (int(today.Weekday()) + 6) % 7
	week := today.AddDate(0, 0, -sinceMonday)
	month := today.AddDate(0, 0, 1-today.Day())
	year := time.Date(now.Year(), 1, 1, 0, 0, 0, 0, now.Location())
	switch text {
	case "now":
		return now, now, true
	case "today":
		return today, nextDay(today), true
	case "yesterday":
		return today.AddDate(0, 0, -1), today, true
	case "tomorrow":
		return nextDay(today), today.AddDate(0, 0, 2), true
	case "this week":
		return week, week.AddDate(0, 0, 7), true
	case "last week":
		return week.AddDate(0, 0, -7), week, true
	case "this month":
		return month, month.AddDate(0, 1, 0), true
	case "last month":
		return month.AddDate(0, -1, 0), month, true
	case "this year":
		return year, year.AddDate(1, 0, 0), true
	case "last year":
		return year.AddDate(-1, 0, 0), year, true
	}
	day := strings.TrimPrefix(text, "last ")
	for d := time.Sunday; d <= time.Saturday; d++ {
		if name := strings.ToLower(d.String()); day != name && day != name[:3] {
			continue
		}
		back := (int(today.Weekday()-d) + 7) % 7
		if back == 0 {
			back = 7
		}
		begin = today.AddDate(0, 0, -back)
		return begin, nextDay(begin), true
	}
	return begin, end, false
}

// ago reads "N units ago". A month before 31 March is the last of February.
func ago(text string, now time.Time) (time.Time, bool) {
	words := strings.Split(text, " ")
	if len(words) != 3 || words[2] != "ago" {
		return time.Time{}, false
	}
	n, err := strconv.Atoi(words[0])
	if words[0] == "a" || words[0] == "an" {
		n, err = 1, nil
	}
	if err != nil || n < 0 || n > maxAgo {
		return time.Time{}, false
	}
	var t time.Time
	switch strings.TrimSuffix(words[1], "s") {
	case "second":
		t = now.Add(-time.Duration(n) * time.Second)
	case "minute":
		t = now.Add(-time.Duration(n) * time.Minute)
	case "hour":
		t = now.Add(-time.Duration(n) * time.Hour)
	case "day":
		t = now.AddDate(0, 0, -n)
	case "week":
		t = now.AddDate(0, 0, -7*n)
	case "month":
		t = monthsBefore(now, n)
	case "year":
		t = monthsBefore(now, 12*n)
	default:
		return time.Time{}, false
	}
	return t, t.Year() >= 1
}

func monthsBefore(t time.Time, n int) time.Time {
	got := t.AddDate(0, -n, 0)
	if got.Day() != t.Day() { // the month is shorter, and AddDate went over its end
		got = got.AddDate(0, 0, -got.Day())
	}
	return got
}

func nextDay(t time.Time) time.Time    { return t.AddDate(0, 0, 1) }
func nextSecond(t time.Time) time.Time { return t.Truncate(time.Second).Add(time.Second) }
