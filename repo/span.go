package repo

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Span is a stretch of the calendar, as restic writes it: "1y5m7d2h". Months and years are as long as they are where
// they are counted. The zero value is no span at all.
type Span struct {
	Years, Months, Days, Hours int // none is negative
}

// maxSpan bounds each number of a span; more would leave the years that a time can be written in.
const maxSpan = 100_000

// ParseSpan reads a span: numbers, each with one of the units y, m, d and h behind it. "" is the zero span.
func ParseSpan(text string) (Span, error) {
	var s Span
	seen := map[byte]bool{}
	for rest := strings.TrimSpace(text); rest != ""; {
		digits := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if digits < 1 {
			return Span{}, fmt.Errorf("%q is no span of time, as in 1y5m7d2h", text)
		}
		n, err := strconv.Atoi(rest[:digits])
		if err != nil || n > maxSpan {
			return Span{}, fmt.Errorf("%q: %s is too much", text, rest[:digits])
		}
		unit := rest[digits]
		field := map[byte]*int{'y': &s.Years, 'm': &s.Months, 'd': &s.Days, 'h': &s.Hours}[unit]
		if field == nil || seen[unit] {
			return Span{}, fmt.Errorf("%q is no span of time: units are y, m, d and h, each once", text)
		}
		*field, seen[unit] = n, true
		rest = rest[digits+1:]
	}
	return s, nil
}

// IsZero reports whether there is no span.
func (s Span) IsZero() bool { return s == Span{} }

// String writes the span as ParseSpan reads it.
func (s Span) String() string {
	var b strings.Builder
	for _, part := range []struct {
		n    int
		unit byte
	}{{s.Years, 'y'}, {s.Months, 'm'}, {s.Days, 'd'}, {s.Hours, 'h'}} {
		if part.n != 0 {
			fmt.Fprintf(&b, "%d%c", part.n, part.unit)
		}
	}
	return b.String()
}

// before returns the time that lies the span before t, on t's own calendar.
func (s Span) before(t time.Time) time.Time {
	return t.AddDate(-s.Years, -s.Months, -s.Days).Add(-time.Duration(s.Hours) * time.Hour)
}

// Unlimited is the count of a rule that keeps all.
const Unlimited = -1

// ParseCount reads the count of a rule: a number, or "unlimited" or -1.
func ParseCount(text string) (int, error) {
	if text == "unlimited" {
		return Unlimited, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < Unlimited {
		return 0, errors.New(strconv.Quote(text) + ` is neither a number nor "unlimited"`)
	}
	return n, nil
}
