package imap

import (
	"time"
)

const months = "JanFebMarAprMayJunJulAugSepOctNovDec"

// ParseDate reads an INTERNALDATE: "17-Jul-1996 02:44:25 -0700". It is tolerant: the day may have one digit, the year two
// (RFC 2822, 4.3: 00 to 49 are 2000 to 2049), time and zone may be missing (then midnight, UTC). A zero date such as
// 00-Jan-0000, which servers send for "unknown", and whatever is no date, give the zero time.
func ParseDate(b []byte) time.Time {
	p := dateParser{rest: b, ok: true}
	p.space()
	day, _ := p.number(2)
	p.one('-')
	month := p.month()
	p.one('-')
	year, digits := p.number(4)
	if !p.ok || day < 1 || day > 31 || month == 0 || digits < 4 && digits != 2 || year == 0 && digits == 4 {
		return time.Time{}
	}
	switch {
	case digits == 2 && year < 50:
		year += 2000
	case digits == 2:
		year += 1900
	}
	p.space()
	var hour, minute, second, zone int
	if len(p.rest) > 0 {
		hour, _ = p.number(2)
		p.one(':')
		minute, _ = p.number(2)
		if len(p.rest) > 0 && p.rest[0] == ':' {
			p.one(':')
			second, _ = p.number(2)
		}
		p.space()
		zone = p.zone()
	}
	if !p.ok || hour > 24 || minute > 59 || second > 60 {
		return time.Time{}
	}
	// Unix via UTC: a *time.Location a message would be an allocation a message.
	return time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC).Add(-time.Duration(zone) * time.Second)
}

// FormatDate writes t as an INTERNALDATE (RFC 9051, date-time), in the zone that t has.
func FormatDate(t time.Time) string { return t.Format("_2-Jan-2006 15:04:05 -0700") }

// dateParser cuts a date into its pieces. After the first mismatch ok is false and stays so.
type dateParser struct {
	rest []byte
	ok   bool
}

func (p *dateParser) space() {
	for len(p.rest) > 0 && (p.rest[0] == ' ' || p.rest[0] == '\t') {
		p.rest = p.rest[1:]
	}
}

func (p *dateParser) one(c byte) {
	if len(p.rest) == 0 || p.rest[0] != c {
		p.ok = false
		return
	}
	p.rest = p.rest[1:]
}

// number reads at most limit digits and says how many there were.
func (p *dateParser) number(limit int) (n, digits int) {
	for digits < limit && digits < len(p.rest) && '0' <= p.rest[digits] && p.rest[digits] <= '9' {
		n = n*10 + int(p.rest[digits]-'0')
		digits++
	}
	p.rest = p.rest[digits:]
	p.ok = p.ok && digits > 0
	return n, digits
}

func (p *dateParser) month() int {
	if len(p.rest) < 3 {
		p.ok = false
		return 0
	}
	for m := range 12 {
		if equalFoldAny(p.rest[:3], months[3*m:3*m+3]) {
			p.rest = p.rest[3:]
			return m + 1
		}
	}
	p.ok = false
	return 0
}

// zone reads +hhmm and returns seconds east. A missing or named zone is UTC.
func (p *dateParser) zone() int {
	if len(p.rest) < 5 || p.rest[0] != '+' && p.rest[0] != '-' {
		return 0
	}
	west := p.rest[0] == '-'
	p.rest = p.rest[1:]
	hour, _ := p.number(2)
	minute, _ := p.number(2)
	if !p.ok || hour > 24 || minute > 59 {
		p.ok = true
		return 0
	}
	seconds := hour*3600 + minute*60
	if west {
		return -seconds
	}
	return seconds
}

// equalFoldAny reports whether b and s are equal, ASCII case aside.
func equalFoldAny(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if lower(b[i]) != lower(s[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
