package message

import (
	"bytes"
	"io"
)

// NormalizeCRLF returns a reader of what r holds with CRLF line ends, as IMAP wants them: a bare
// LF becomes CRLF; a CRLF and a lone CR stay. What has CRLF already passes through at the speed
// of a copy. Nothing is added at the end.
func NormalizeCRLF(r io.Reader) io.Reader { return &lineReader{r: r, convert: (*lineEnds).toCRLF} }

// NormalizeLF returns a reader of what r holds with LF line ends, as files on Unix have them: a
// CRLF becomes LF; a lone CR stays. It cannot be undone for a message with both kinds of line
// ends.
func NormalizeLF(r io.Reader) io.Reader { return &lineReader{r: r, convert: (*lineEnds).toLF} }

// SizeCRLF returns how long raw is with CRLF line ends (RFC822.SIZE).
func SizeCRLF(raw []byte) int64 {
	var ends lineEnds
	return ends.sizeCRLF(raw)
}

// AppendCRLF appends raw with CRLF line ends to dst.
func AppendCRLF(dst, raw []byte) []byte {
	var ends lineEnds
	return ends.toCRLF(dst, raw)
}

// AppendLF appends raw with LF line ends to dst.
func AppendLF(dst, raw []byte) []byte {
	var ends lineEnds
	return ends.flush(ends.toLF(dst, raw))
}

// lineEnds converts line ends of text that comes in pieces. The zero value is at the start.
type lineEnds struct {
	cr   bool // toCRLF: the piece before ended with a CR
	held bool // toLF: the piece before ended with a CR that is not yet written
}

// toCRLF appends the next piece to dst, each bare LF as CRLF.
func (e *lineEnds) toCRLF(dst, piece []byte) []byte {
	for len(piece) > 0 {
		i := e.bareLF(piece)
		if i < 0 {
			dst = append(dst, piece...)
			e.cr = piece[len(piece)-1] == '\r'
			break
		}
		dst = append(dst, piece[:i]...)
		dst = append(dst, '\r', '\n')
		piece = piece[i+1:]
		e.cr = false
	}
	return dst
}

// bareLF returns where the first LF stands that has no CR before it; -1 if there is none.
func (e *lineEnds) bareLF(piece []byte) int {
	for i := 0; ; i++ {
		n := bytes.IndexByte(piece[i:], '\n')
		if n < 0 {
			return -1
		}
		i += n
		if i == 0 && !e.cr || i > 0 && piece[i-1] != '\r' {
			return i
		}
	}
}

// sizeCRLF returns how long toCRLF would make the next piece.
func (e *lineEnds) sizeCRLF(piece []byte) int64 {
	size := int64(len(piece))
	for len(piece) > 0 {
		i := e.bareLF(piece)
		if i < 0 {
			e.cr = piece[len(piece)-1] == '\r'
			break
		}
		size++
		piece = piece[i+1:]
		e.cr = false
	}
	return size
}

// toLF appends the next piece to dst, each CRLF as LF. A CR at its end waits for what follows.
func (e *lineEnds) toLF(dst, piece []byte) []byte {
	if len(piece) == 0 {
		return dst
	}
	if e.held && piece[0] != '\n' {
		dst = append(dst, '\r')
	}
	e.held = false
	for {
		i := bytes.IndexByte(piece, '\r')
		switch {
		case i < 0:
			return append(dst, piece...)
		case i+1 == len(piece):
			e.held = true
			return append(dst, piece[:i]...)
		case piece[i+1] == '\n': // the LF goes with the next stretch
			dst = append(dst, piece[:i]...)
		default:
			dst = append(dst, piece[:i+1]...)
		}
		piece = piece[i+1:]
	}
}

// flush appends the CR that waits for a next piece which never comes.
func (e *lineEnds) flush(dst []byte) []byte {
	if e.held {
		dst = append(dst, '\r')
	}
	e.held = false
	return dst
}

// lineReader reads r through a conversion.
type lineReader struct {
	r       io.Reader
	ends    lineEnds
	convert func(e *lineEnds, dst, piece []byte) []byte
	in, out []byte // out[off:] is converted but not yet read
	off     int
	err     error // of r
}

const lineBuffer = 32 << 10 // octets read at a time

func (l *lineReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for l.off == len(l.out) {
		if l.err != nil {
			return 0, l.err
		}
		if l.in == nil {
			l.in = make([]byte, lineBuffer)
			l.out = make([]byte, 0, lineBuffer+lineBuffer/16)
		}
		var n int
		n, l.err = l.r.Read(l.in)
		l.out, l.off = l.convert(&l.ends, l.out[:0], l.in[:n]), 0
		if l.err == io.EOF {
			l.out = l.ends.flush(l.out)
		}
	}
	n := copy(p, l.out[l.off:])
	l.off += n
	return n, nil
}
