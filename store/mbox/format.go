package mbox

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"roost/message"
)

// A message in a file is its From_ line, its content, and an empty line:
//
//	From SENDER DATE LF
//	content, in which each line that is ">"s and "From " has one more ">"
//	LF, if the content does not end with one
//	LF
//
// The From_ lines that we write are
//
//	From UID.SIZE@UIDVALIDITY.roost.invalid Tue Dec 13 14:15:16 2011
//
// with the internal date in UTC and the size of the content in octets, which
// tells whether its last LF is its own. With that mark the content is read by
// the rules above, and a Content-Length in it means nothing. Other messages were
// put there by other programs. They end at the next line that begins with
// "From " and holds a date, with an empty line before it; or where a
// Content-Length says, if there such a line or the end of the file is (mboxcl and
// mboxcl2; then no ">" is taken away).

const (
	fromPrefix = "From "
	fromDomain = ".roost.invalid"
	maxFrom    = 1 << 10 // octets of a From_ line that are looked at
)

// mark is what we write in a From_ line. The zero value is no mark.
type mark struct {
	uid      uint32
	validity uint32
	size     int64 // octets of the content
}

func fromLine(m mark, date time.Time) string {
	return fmt.Sprintf("%s%d.%d@%d%s %s\n", fromPrefix, m.uid, m.size, m.validity, fromDomain, date.UTC().Format(time.ANSIC))
}

// parseFrom reads a From_ line. ok is false if it is none: it holds no date.
func parseFrom(line []byte) (m mark, date time.Time, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(fromPrefix))
	if !ok {
		return mark{}, time.Time{}, false
	}
	text := strings.TrimSpace(string(rest[:min(len(rest), maxFrom)]))
	sender, when, _ := strings.Cut(text, " ")
	if !strings.Contains(when, ":") {
		return mark{}, time.Time{}, false
	}
	date, ok = message.ParseDate(when)
	if !ok { // a sender with spaces in it
		at := strings.LastIndexByte(when[:strings.IndexByte(when, ':')], ' ')
		for range 3 { // month, day and weekday stand before the time
			if at < 0 {
				return mark{}, time.Time{}, false
			}
			at = strings.LastIndexByte(strings.TrimRight(when[:at], " "), ' ')
		}
		if date, ok = message.ParseDate(when[at+1:]); !ok {
			return mark{}, time.Time{}, false
		}
	}
	return parseMark(sender), date, true
}

func parseMark(sender string) mark {
	sender, ok := strings.CutSuffix(sender, fromDomain)
	if !ok {
		return mark{}
	}
	numbers, validity, _ := strings.Cut(sender, "@")
	uid, size, _ := strings.Cut(numbers, ".")
	u, err1 := strconv.ParseUint(uid, 10, 32)
	v, err2 := strconv.ParseUint(validity, 10, 32)
	n, err3 := strconv.ParseInt(size, 10, 64)
	if err1 != nil || err2 != nil || err3 != nil || n < 0 {
		return mark{}
	}
	return mark{uint32(u), uint32(v), n}
}

// matcher finds the lines that are ">"s and "From " in text that comes octet by
// octet.
type matcher struct {
	state matchState
	run   int // ">"s at the start of the line so far
	n     int // octets of "From " so far
}

type matchState uint8

const (
	atRun   matchState = iota // at the start of a line, or behind ">"s there
	inFrom                    // behind the first octets of "From "
	outside                   // anywhere else in a line
)

// next takes the next octet. found is true at the space of "From ".
func (m *matcher) next(c byte) (found bool) {
	switch {
	case c == '\n':
		*m = matcher{}
		return false
	case m.state == outside:
		return false
	case m.state == atRun && c == '>':
		m.run++
		return false
	case c == fromPrefix[m.n]:
		m.state = inFrom
		m.n++
		if m.n < len(fromPrefix) {
			return false
		}
		m.state, m.n = outside, 0
		return true
	}
	m.state, m.n = outside, 0
	return false
}

// skip returns how many octets of b next need not see.
func (m *matcher) skip(b []byte) int {
	if m.state != outside {
		return 0
	}
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return len(b)
	}
	return i
}

// quoter writes content with one more ">" before each line that is ">"s and
// "From ".
type quoter struct {
	w       io.Writer
	m       matcher
	out     []byte
	size    int64 // octets of content
	last    byte  // of content
	pending int   // octets of "From " that are not yet written
}

func (q *quoter) Write(b []byte) (int, error) {
	q.out = q.out[:0]
	for i := 0; i < len(b); {
		if n := q.m.skip(b[i:]); n > 0 {
			q.out = append(q.out, b[i:i+n]...)
			i += n
			continue
		}
		found := q.m.next(b[i])
		switch {
		case found:
			q.out = append(append(q.out, '>'), fromPrefix...)
			q.pending = 0
		case q.m.state == inFrom:
			q.pending++
		default:
			q.out = append(append(q.out, fromPrefix[:q.pending]...), b[i])
			q.pending = 0
		}
		i++
	}
	if len(b) > 0 {
		q.size += int64(len(b))
		q.last = b[len(b)-1]
	}
	if _, err := q.w.Write(q.out); err != nil {
		return 0, err
	}
	return len(b), nil
}

// finish writes what ends the message.
func (q *quoter) finish() error {
	end := fromPrefix[:q.pending]
	if q.last != '\n' {
		end += "\n"
	}
	_, err := io.WriteString(q.w, end+"\n")
	return err
}

// unquoter reads content back: one ">" less before each such line, or in mboxo
// only where there is one.
type unquoter struct {
	r     io.Reader
	mboxo bool
	m     matcher
	in    []byte
	out   []byte
	off   int    // out[off:] is not yet read
	held  []byte // of a line that may be quoted: the last ">" and what follows
	err   error
}

func (u *unquoter) Read(p []byte) (int, error) {
	for u.off == len(u.out) && u.err == nil && len(p) > 0 {
		if u.in == nil {
			u.in = make([]byte, 32<<10)
		}
		var n int
		n, u.err = u.r.Read(u.in)
		u.out, u.off = u.out[:0], 0
		u.convert(u.in[:n])
		if u.err != nil {
			u.release()
		}
	}
	if u.off == len(u.out) && len(p) > 0 {
		return 0, u.err
	}
	n := copy(p, u.out[u.off:])
	u.off += n
	return n, nil
}

// convert appends what b holds to out.
func (u *unquoter) convert(b []byte) {
	for i := 0; i < len(b); {
		if n := u.m.skip(b[i:]); n > 0 && len(u.held) == 0 {
			u.out = append(u.out, b[i:i+n]...)
			i += n
			continue
		}
		c := b[i]
		i++
		found := u.m.next(c)
		switch {
		case found:
			u.held = append(u.held, c)
			if u.m.run > 0 && (!u.mboxo || u.m.run == 1) {
				u.held = u.held[:copy(u.held, u.held[1:])]
			}
			u.release()
		case u.m.state == atRun && c == '>':
			u.release()
			u.held = append(u.held, c)
		case u.m.state == inFrom:
			u.held = append(u.held, c)
		default:
			u.release()
			u.out = append(u.out, c)
		}
	}
}

// release appends what is held back.
func (u *unquoter) release() {
	u.out = append(u.out, u.held...)
	u.held = u.held[:0]
}
