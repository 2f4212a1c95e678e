package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
)

// schema is the version of the JSON that --json prints. It is raised when a
// field changes its meaning or goes; new fields may come without notice.
const schema = 1

// json prints a line of JSON, if --json: v's fields behind message_type and
// schema. v is a struct or a map.
func (a *app) json(messageType string, v any) error {
	if !a.flags.json {
		return nil
	}
	return a.jsonTo(a.stdout, messageType, v)
}

func (a *app) jsonTo(w io.Writer, messageType string, v any) error {
	body, err := json.Marshal(v)
	if err != nil || len(body) < 2 || body[0] != '{' {
		return fmt.Errorf("encode %s as an object: %w", messageType, err)
	}
	line := fmt.Appendf(nil, `{"message_type":%q,"schema":%d`, messageType, schema)
	if len(body) > 2 {
		line = append(line, ',')
	}
	line = append(append(line, body[1:]...), '\n')
	_, err = w.Write(line)
	return err
}

// printf prints a line of results, unless --json.
func (a *app) printf(format string, args ...any) {
	if !a.flags.json {
		fmt.Fprintf(a.stdout, format, args...)
	}
}

// table prints rows in columns, the first as its head, unless --json. Numbers
// are set flush right.
func (a *app) table(rows [][]string) {
	if a.flags.json {
		return
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	width := make([]int, 0, 16)
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		for i, cell := range row {
			cell = printable(cell)
			if isNumber(cell) {
				cell = strings.Repeat(" ", width[i]-len(cell)) + cell
			}
			end := "\t"
			if i == len(row)-1 {
				end = "\n"
			}
			fmt.Fprint(w, cell, end)
		}
	}
	w.Flush()
}

func isNumber(cell string) bool {
	for _, c := range cell {
		if (c < '0' || c > '9') && c != ',' && c != '.' {
			return false
		}
	}
	return cell != ""
}

// printable is s without what would act on a terminal: control characters, and
// those that turn the direction of writing, become "�". Tabs and line ends
// become blanks.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case unicode.IsControl(r), r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x200e, r == 0x200f:
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// cell is s as the text of a CSV cell that no spreadsheet runs: what begins
// like a formula gets an apostrophe in front.
func cell(s string) string {
	s = printable(s)
	if trimmed := strings.TrimLeft(s, " "); trimmed != "" && strings.ContainsRune("=+-@", rune(trimmed[0])) {
		return "'" + s
	}
	return s
}

// csvWriter writes CSV to the results (RFC 4180, but for line ends, which are LF).
func (a *app) csvWriter() *csv.Writer { return csv.NewWriter(a.stdout) }

// count writes n of a thing: "1 message", "182,334 messages". The plural is
// the thing with "s", or "es" behind an "x".
func count(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if strings.HasSuffix(thing, "x") {
		return grouped(n) + " " + thing + "es"
	}
	return grouped(n) + " " + thing + "s"
}

// grouped writes n with commas between thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// octets writes n octets for people: "1.5 MB".
func octets(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n)/1000, 0
	for f >= 999.95 && unit < 4 {
		f /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", f, "kMGTP"[unit])
}
