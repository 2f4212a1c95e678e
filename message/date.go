package message

import (
	"strconv"
	"strings"
	"time"
)

// maxDate is how many octets of a Date field are read.
const maxDate = 256

// ParseDate reads the date of a Date or Received field as it is found in mail: RFC 5322 section
// 3.3 with the obsolete forms of 4.3, asctime, ISO 8601, parts missing or in another order.
// Without a zone it is UTC. ok is false if no day, month and year were found, or if they are no
// date.
func ParseDate(value string) (t time.Time, ok bool) {
	if len(value) > maxDate {
		value = value[:maxDate]
	}
	d := dateParts{day: -1, month: -1, year: -1}
	for _, w := range dateWords(value) {
		d.take(w)
	}
	if d.day < 1 || d.day > 31 || d.month < 1 || d.year < 1 || d.year > 9999 {
		return time.Time{}, false
	}
	if d.pm && d.hour < 12 {
		d.hour += 12
	} else if d.am && d.hour == 12 {
		d.hour = 0
	}
	zone := time.UTC
	if d.zone != 0 {
		zone = time.FixedZone("", d.zone)
	}
	t = time.Date(d.year, time.Month(d.month), d.day, d.hour, d.minute, d.second, 0, zone)
	if t.Day() != d.day && d.second < 60 { // 31 February
		return time.Time{}, false
	}
	return t, true
}

// dateParts is what has been found of a date; -1 in day, month and year says not yet.
type dateParts struct {
	day, month, year     int
	hour, minute, second int
	clock                bool // a time of day was found
	am, pm               bool
	zone                 int // seconds east of UTC
}

// dateWords takes a date apart at blanks and commas and leaves comments out.
func dateWords(value string) []string {
	var plain strings.Builder
	depth := 0
	for _, r := range value {
		switch {
		case r == '(':
			depth++
		case r == ')' && depth > 0:
			depth--
		case depth == 0:
			plain.WriteRune(r)
		}
	}
	return strings.FieldsFunc(plain.String(), func(r rune) bool {
		return r <= ' ' || r == ',' || r == '"' || r == 0x7f
	})
}

// take finds out what a word says.
func (d *dateParts) take(w string) {
	digit := w[0] >= '0' && w[0] <= '9'
	mark := strings.IndexAny(w, ":-/")
	switch {
	case digit && mark > 0 && w[mark] != ':':
		d.takeJoined(w)
	case digit && mark > 0:
		if !d.clock {
			d.takeClock(w)
		}
	case (w[0] == '+' || w[0] == '-') && len(w) > 1:
		if d.clock {
			d.zone = zoneOffset(w)
		}
	case digit:
		if d.day > 0 && d.year > 0 && !d.clock && strings.Count(w, ".") == 2 {
			d.takeClock(strings.ReplaceAll(w, ".", ":")) // QUIRK: some clients, 2002: 12.30.00
			return
		}
		d.takeNumber(w)
	default:
		d.takeName(w)
	}
}

// takeNumber takes a day, or after it a year.
func (d *dateParts) takeNumber(w string) {
	w = strings.TrimRight(w, ".")
	n, err := strconv.Atoi(w)
	switch {
	case err != nil || n < 0:
	case len(w) >= 3 && d.year < 0:
		d.year = n
		if len(w) == 3 { // RFC 5322 section 4.3: the year 100 is 2000
			d.year = n + 1900
		}
	case d.day < 0 && n >= 1 && n <= 31:
		d.day = n
	case d.year < 0 && d.day > 0:
		d.year = fullYear(n)
	}
}

// takeName takes a month, a zone or a half of the day.
func (d *dateParts) takeName(w string) {
	lower := strings.ToLower(strings.TrimRight(w, "."))
	if m := monthOf(lower); m > 0 && d.month < 0 {
		d.month = m
		return
	}
	switch lower {
	case "am":
		d.am = true
	case "pm":
		d.pm = true
	default:
		if d.clock && d.zone == 0 {
			if strings.HasPrefix(lower, "gmt") || strings.HasPrefix(lower, "utc") {
				d.zone = zoneOffset(lower[3:])
				return
			}
			d.zone = namedZones[lower] * 3600
		}
	}
}

// takeJoined takes 4-Jul-2002, 2002-07-04, 2002/07/04 and 2002-07-04T12:30:00Z.
func (d *dateParts) takeJoined(w string) {
	day, clock, _ := strings.Cut(w, "T")
	p := strings.FieldsFunc(day, func(r rune) bool { return r == '-' || r == '/' })
	if len(p) != 3 {
		return
	}
	first, err1 := strconv.Atoi(p[0])
	last, err3 := strconv.Atoi(p[2])
	if err1 != nil || err3 != nil {
		return
	}
	month, err := strconv.Atoi(p[1])
	if err != nil {
		month = monthOf(strings.ToLower(p[1]))
	}
	if month < 1 || month > 12 {
		return
	}
	d.month = month
	if len(p[0]) == 4 {
		d.year, d.day = first, last
	} else {
		d.year, d.day = last, first
		if len(p[2]) < 4 {
			d.year = fullYear(last)
		}
	}
	if clock != "" {
		d.takeClock(clock)
	}
}

// takeClock takes 12:30, 12:30:59, 12:30:59.123, with Z, a numeric zone, AM or PM behind it.
func (d *dateParts) takeClock(w string) {
	end := strings.IndexFunc(w, func(r rune) bool { return (r < '0' || r > '9') && r != ':' && r != '.' })
	zone := ""
	if end > 0 {
		w, zone = w[:end], w[end:]
	}
	p := strings.Split(w, ":")
	limits := [3]int{23, 59, 60} // 60 is a leap second
	var n [3]int
	for i := range min(len(p), 3) {
		whole, _, _ := strings.Cut(p[i], ".")
		v, err := strconv.Atoi(whole)
		if err != nil || v > limits[i] {
			return
		}
		n[i] = v
	}
	d.hour, d.minute, d.second, d.clock = n[0], n[1], n[2], true
	switch {
	case zone == "":
	case zone[0] == '+' || zone[0] == '-':
		d.zone = zoneOffset(strings.ReplaceAll(zone, ":", ""))
	default:
		d.takeName(zone)
	}
}

// fullYear completes a year of two digits as RFC 5322 section 4.3 wants it.
func fullYear(n int) int {
	switch {
	case n < 50:
		return n + 2000
	case n < 1000:
		return n + 1900
	}
	return n
}

// zoneOffset reads +0200, -05:30 or +2 as seconds east of UTC. What is no zone is UTC.
func zoneOffset(w string) int {
	w = strings.ReplaceAll(w, ":", "")
	if len(w) < 2 || w[0] != '+' && w[0] != '-' {
		return 0
	}
	n, err := strconv.Atoi(w[1:])
	if err != nil || n < 0 || n > 9999 {
		return 0
	}
	if len(w) <= 3 {
		n *= 100
	}
	seconds := n/100*3600 + n%100*60
	if n%100 > 59 || seconds >= 24*3600 {
		return 0
	}
	if w[0] == '-' {
		return -seconds
	}
	return seconds
}

// monthOf returns 1 to 12 for the name of a month, in full or by its first three letters.
func monthOf(lower string) int {
	if len(lower) < 3 {
		return 0
	}
	for i, name := range monthNames {
		if strings.HasPrefix(name, lower) || len(lower) > 3 && lower[:3] == name[:3] {
			return i + 1
		}
	}
	return 0
}

var monthNames = [12]string{
	"january", "february", "march", "april", "may", "june",
	"july", "august", "september", "october", "november", "december",
}

// namedZones are those of RFC 5322 section 4.3 and some that are met, in hours east of UTC.
var namedZones = map[string]int{
	"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
	"bst": 1, "cet": 1, "met": 1, "mez": 1, "cest": 2, "mest": 2, "mesz": 2, "eet": 2, "eest": 3,
	"msk": 3, "jst": 9, "kst": 9, "hst": -10, "akst": -9, "akdt": -8, "wet": 0, "west": 1,
}
