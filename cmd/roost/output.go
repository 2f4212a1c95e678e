package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
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
// are set flush right. On a terminal that is too narrow, the columns headed by
// spare are left out, the first of them first, and long texts are cut.
func (a *app) table(rows [][]string, spare ...string) {
	if a.flags.json {
		return
	}
	for _, row := range rows {
		for i, text := range row {
			row[i] = printable(text)
		}
	}
	rows = fit(rows, width(a.stdout), spare)
	widths := widthsOf(rows)
	for _, row := range rows {
		var line strings.Builder
		for i, text := range row {
			blanks := strings.Repeat(" ", widths[i]-columns(text))
			if isNumber(text) {
				line.WriteString(blanks + text)
			} else {
				line.WriteString(text + blanks)
			}
			line.WriteString(strings.Repeat(" ", gap))
		}
		fmt.Fprintln(a.stdout, strings.TrimRight(line.String(), " "))
	}
}

// columns is how many columns of a terminal s takes (Unicode, Annex 11, roughly).
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3, r >= 0xf900 && r <= 0xfaff,
			r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff,
			r >= 0x20000 && r <= 0x3fffd:
			n += 2
		default:
			n++
		}
	}
	return n
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
// like a formula, be it behind blanks or what is not seen, gets an apostrophe in front.
func cell(s string) string {
	s = printable(s)
	seen := strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
	if first, _ := utf8.DecodeRuneInString(seen); seen != "" && strings.ContainsRune("=+-@＝＋－＠", first) {
		s = "'" + s
	}
	return s
}

// csvWriter writes CSV to the results (RFC 4180, but for line ends, which are LF). All but plain words and numbers are quoted,
// so that no other separator that a spreadsheet may go by splits a cell.
type csvWriter struct{ w *bufio.Writer }

func (a *app) csvWriter() csvWriter { return csvWriter{bufio.NewWriter(a.stdout)} }

// row writes one; its error is that of an earlier row, too.
func (c csvWriter) row(cells ...string) error {
	for i, text := range cells {
		if i > 0 {
			c.w.WriteByte(',')
		}
		if strings.ContainsFunc(text, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-_.:/@", r)
		}) {
			text = `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
		}
		c.w.WriteString(text)
	}
	return c.w.WriteByte('\n')
}

// end writes what is left, and returns the first error.
func (c csvWriter) end() error { return c.w.Flush() }

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
