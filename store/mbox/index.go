package mbox

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"roost/mail"
)

// place is where a message stands in a file.
type place struct {
	start int64 // of the From_ line
	body  int64 // of the content, quoted
	end   int64 // of the content, quoted
	size  int64 // octets of the content
	plain bool  // it is not quoted (mboxcl2)
	cut   bool  // its mark says that more belongs to it
	mark  mark  // zero: somebody else wrote it
	date  time.Time
	flags mail.Flags // that its own fields say
	sum   digest     // of its From_ line and all behind, without what programs change in the header
}

// Format says how other programs wrote messages. Auto takes a Content-Length that
// fits, and then quotes nothing; else it reads mboxrd, which reads mboxo right
// but for lines that begin with ">>From ".
type Format int

// The formats.
const (
	Auto Format = iota
	Mboxrd
	Mboxo
	Mboxcl
	Mboxcl2
)

// finder reads a file and finds its messages.
type finder struct {
	file   io.ReaderAt
	size   int64
	format Format

	r      *bufio.Reader
	at     int64 // offset of the next line
	blank  int64 // octets of the line before, if it is empty; at the start of the file 0
	sep    bool  // a From_ line may stand here
	stop   int64 // where the messages end
	places []place
	open   *opened
	sum    hash.Hash // of the open message
	held   []byte    // an empty line that belongs to it only if more follows
}

// opened is the message that is being read.
type opened struct {
	place
	head     bool // within its header
	internal bool // it holds the state of a mailbox and is no mail
	length   int64
	m        matcher
	quoted   int64 // octets that reading takes away
	fields   fields
	changing bool // within a field that programs change
}

const maxFieldLine = 4 << 10 // octets of a field of flags that are looked at

var errNoMbox = errors.New("is no mbox: it does not begin with \"From \"")

// find finds the messages in a file of size octets from offset start on, in their
// order, and where they end: before a From_ line that was never finished, or at
// size. Blank lines before the first From_ line are passed over; if anything else
// stands there, it is errNoMbox.
func find(file io.ReaderAt, start, size int64, format Format) (list []place, stop int64, err error) {
	f := finder{file: file, size: size, format: format, sep: true, stop: size, sum: sha256.New()}
	f.seek(start)
	for {
		line, whole, err := f.line()
		if len(line) > 0 {
			if err := f.take(line, whole); err != nil {
				return nil, 0, err
			}
		}
		if err == io.EOF {
			f.close(f.stop - f.blank)
			return f.places, f.stop, nil
		}
		if err != nil {
			return nil, 0, err
		}
	}
}

func (f *finder) seek(to int64) {
	f.at = to
	section := io.NewSectionReader(f.file, to, f.size-to)
	if f.r == nil {
		f.r = bufio.NewReaderSize(section, 256<<10)
		return
	}
	f.r.Reset(section)
}

// line returns the next line, or its first 256 KiB; whole is false if more of it
// follows, which is fed to the open message.
func (f *finder) line() (line []byte, whole bool, err error) {
	line, err = f.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		return line, false, nil
	}
	return line, true, err
}

// take takes the line at f.at. It is errNoMbox if no message is open and it opens
// none.
func (f *finder) take(line []byte, whole bool) error {
	blank := len(bytes.TrimRight(line, "\r\n")) == 0
	if f.sep && bytes.HasPrefix(line, []byte(fromPrefix)) {
		if m, date, ok := parseFrom(line); ok || f.open == nil && !isTornFrom(line) {
			f.close(f.at - f.blank)
			f.openAt(m, date, line)
			f.at += int64(len(line))
			f.sep, f.blank = false, 0
			return nil
		}
	}
	if f.sep && (f.open == nil || f.open.mark.uid != 0) && isTornFrom(line) {
		f.stop = f.at
		f.at += int64(len(line))
		return nil
	}
	if f.open == nil {
		f.at += int64(len(line))
		if !blank {
			return errNoMbox
		}
		return nil
	}
	f.feed(line)
	f.at += int64(len(line))
	if f.sep, f.blank = blank, 0; blank {
		f.blank = int64(len(line))
	}
	if f.open.head {
		if err := f.takeField(line, blank); err != nil {
			return err
		}
	} else {
		f.digest(line, blank)
	}
	for !whole {
		var err error
		if line, whole, err = f.line(); err != nil {
			whole = true
		}
		f.feed(line)
		f.at += int64(len(line))
		if f.open.head && !f.open.changing {
			f.sum.Write(line)
		} else if !f.open.head {
			f.digest(line, false)
		}
	}
	return nil
}

// isTornFrom reports whether line, the last of a file, is the beginning of a
// From_ line of ours.
func isTornFrom(line []byte) bool {
	if len(line) <= len(fromPrefix) {
		return strings.HasPrefix(fromPrefix, string(line))
	}
	return bytes.HasPrefix(line, []byte(fromPrefix)) && line[len(line)-1] != '\n' && line[len(fromPrefix)] >= '0' && line[len(fromPrefix)] <= '9'
}

// feed counts the ">"s that quote.
func (f *finder) feed(line []byte) {
	o := f.open
	for i := 0; i < len(line); {
		if n := o.m.skip(line[i:]); n > 0 {
			i += n
			continue
		}
		if o.m.next(line[i]) && o.m.run > 0 && (f.format != Mboxo || o.m.run == 1 || o.mark.uid != 0) {
			o.quoted++
		}
		i++
	}
}

func (f *finder) openAt(m mark, date time.Time, line []byte) {
	f.open = &opened{head: true, length: -1}
	f.held = f.held[:0]
	f.sum.Reset()
	f.sum.Write(line)
	f.open.place = place{start: f.at, body: f.at + int64(len(line)), mark: m, date: date.UTC().Truncate(time.Second)}
}

// takeField takes a line of the header, and goes over the body if a
// Content-Length says where it ends.
func (f *finder) takeField(line []byte, blank bool) error {
	o := f.open
	if !blank {
		if line[0] != ' ' && line[0] != '\t' {
			name, value, _ := bytes.Cut(line[:min(len(line), maxFieldLine)], []byte(":"))
			o.changing = isChanging(strings.ToLower(string(name)))
			if o.changing && o.mark.uid == 0 {
				o.takeField(strings.ToLower(string(name)), strings.TrimSpace(string(value)))
			}
		}
		if !o.changing {
			f.sum.Write(line)
		}
		return nil
	}
	o.head = false
	f.digest(line, true)
	if o.length < 0 || f.format == Mboxo || f.format == Mboxrd {
		return nil
	}
	end := f.at + o.length
	if end < f.at || end > f.size || !f.endsAt(end) {
		return nil
	}
	o.plain = f.format != Mboxcl
	if !o.plain {
		return nil // the lines are to be counted; the next From_ line is quoted
	}
	o.place.end = end
	if !o.internal {
		if o.mark.uid == 0 {
			f.sum.Write(f.held)
			if _, err := io.Copy(f.sum, io.NewSectionReader(f.file, f.at, o.length)); err != nil {
				return err
			}
		}
		f.add(o)
	}
	f.open = &opened{internal: true, length: -1} // what is between is nobody's: an empty line
	f.seek(end)
	f.sep, f.blank = true, 0
	return nil
}

// endsAt reports whether at offset end only empty lines stand before a From_ line
// or the end of the file.
func (f *finder) endsAt(end int64) bool {
	near := make([]byte, min(f.size-end, maxFrom+8))
	if _, err := f.file.ReadAt(near, end); err != nil && err != io.EOF {
		return false
	}
	rest := bytes.TrimLeft(near, "\r\n")
	if len(near) > 8 && len(near)-len(rest) > 8 {
		return false
	}
	if len(rest) == 0 {
		return true
	}
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	_, _, ok := parseFrom(rest)
	return ok
}

// close ends the open message, whose content with the empty line behind it ends at
// offset end.
func (f *finder) close(end int64) {
	o := f.open
	if o == nil {
		return
	}
	f.open = nil
	if o.internal {
		return
	}
	o.place.end = max(end, o.body) // its From_ line may be all there is
	f.add(o)
}

// add adds the message o, of which all was read.
func (f *finder) add(o *opened) {
	p := o.finish()
	copy(p.sum[:], f.sum.Sum(nil))
	f.places = append(f.places, p)
}

// finish is the place of the message, of which end is known.
func (o *opened) finish() place {
	p := o.place
	p.flags = o.fields.flags()
	p.size = p.end - p.body
	if !p.plain {
		p.size -= o.quoted
	}
	if p.mark.uid == 0 {
		return p
	}
	switch p.size - p.mark.size {
	case 0:
	case 1: // the LF that ends the last line is ours
		p.size--
		p.end--
	default: // somebody edited it, or it was never finished
		p.cut = p.size < p.mark.size
	}
	return p
}

// fields are the flags that other programs keep in the header.
type fields struct {
	list []string
}

func (f *fields) flags() mail.Flags { return mail.FlagsOf(f.list...) }

func (f *fields) add(flags ...string) { f.list = append(f.list, flags...) }

// isChanging reports whether programs keep their state in a field; name is in
// lower case.
func isChanging(name string) bool {
	switch name {
	case "content-length", "lines", "status", "x-imap", "x-imapbase", "x-keywords", "x-mozilla-keys",
		"x-mozilla-status", "x-mozilla-status2", "x-status", "x-uid":
		return true
	}
	return false
}

// takeField takes one of those fields.
func (o *opened) takeField(name, value string) {
	switch name {
	case "content-length":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n < math.MaxInt64/2 {
			o.length = n
		}
	case "status", "x-status":
		o.fields.takeStatus(value)
	case "x-keywords", "x-mozilla-keys":
		o.fields.add(strings.Fields(value)...)
	case "x-mozilla-status":
		o.fields.takeMozilla(value)
	case "x-imap": // of c-client: the state of the mailbox, in the place of a message
		o.internal = true
	}
}

// takeStatus takes the letters of mutt, pine and Dovecot.
func (f *fields) takeStatus(value string) {
	for _, c := range value {
		switch c {
		case 'R':
			f.add(mail.Seen)
		case 'A':
			f.add(mail.Answered)
		case 'F':
			f.add(mail.Flagged)
		case 'D':
			f.add(mail.Deleted)
		case 'T':
			f.add(mail.Draft)
		}
	}
}

// takeMozilla takes the bits of Thunderbird. What it expunged and did not yet
// compact away is kept, as \Deleted.
func (f *fields) takeMozilla(value string) {
	bits, err := strconv.ParseUint(value, 16, 32)
	if err != nil {
		return
	}
	for i, flag := range [...]string{mail.Seen, mail.Answered, mail.Flagged, mail.Deleted} {
		if bits&(1<<i) != 0 {
			f.add(flag)
		}
	}
	if bits&0x1000 != 0 {
		f.add("$Forwarded")
	}
}
