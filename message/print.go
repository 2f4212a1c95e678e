package message

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
)

// Print is a digest that recognises a message, or a header, in whatever store it stands. Version
// 1 is the SHA-256 of the octets with CRLF line ends: a bare LF counts as CRLF, a lone CR as
// itself, and nothing else is evened out, for two messages that differ in anything else are two
// messages.
//
//   - The print of a message takes all its octets. A print of a message that has CRLF line ends
//     is the SHA-256 of the message.
//   - The print of a header takes its lines up to the empty line, without it; a last line without
//     a line end counts as one with it. Servers disagree on both where a message has no body.
//
// The zero value is no print.
type Print [sha256.Size]byte

// printVersion stands before the digest in text. A change of what is hashed gets a new one, so
// that prints of two versions never compare equal.
const printVersion = "1:"

// String returns the print with its version, "1:" and 64 hex digits.
func (p Print) String() string { return printVersion + hex.EncodeToString(p[:]) }

// ParsePrint reads what String returned. A print of another version is an error.
func ParsePrint(s string) (Print, error) {
	var p Print
	digits, ok := strings.CutPrefix(s, printVersion)
	if !ok || len(digits) != 2*len(p) {
		return Print{}, fmt.Errorf("parse print %q: not of version 1", s)
	}
	if _, err := hex.Decode(p[:], []byte(digits)); err != nil {
		return Print{}, fmt.Errorf("parse print %q: %w", s, err)
	}
	return p, nil
}

// PrintOf returns the print of a message.
func PrintOf(raw []byte) Print {
	if i := new(lineEnds).bareLF(raw); i < 0 {
		return sha256.Sum256(raw)
	}
	var p Printer
	p.Write(raw)
	return p.Print()
}

// HeaderPrintOf returns the print of a header, which may be followed by the empty line and a
// body.
func HeaderPrintOf(raw []byte) Print {
	var h headDigest
	var ends lineEnds
	var out []byte
	for len(raw) > 0 && h.place != behind {
		piece := raw[:min(len(raw), lineBuffer)]
		raw = raw[len(piece):]
		out = ends.toCRLF(out[:0], piece)
		h.write(out)
	}
	return h.sum()
}

// Printer computes the prints of a message that is written to it in pieces, and its size. The
// zero value is ready. Its results are asked for after the last Write.
type Printer struct {
	whole hash.Hash
	head  headDigest
	ends  lineEnds
	out   []byte // a piece with CRLF line ends
	size  int64
}

// Write takes the next piece of the message. It never fails.
func (p *Printer) Write(b []byte) (int, error) {
	if p.whole == nil {
		p.whole = sha256.New()
	}
	for rest := b; len(rest) > 0; {
		piece := rest[:min(len(rest), lineBuffer)]
		rest = rest[len(piece):]
		if p.ends.bareLF(piece) >= 0 {
			p.out = p.ends.toCRLF(slices.Grow(p.out[:0], len(piece)+len(piece)/16), piece)
			piece = p.out
		} else {
			p.ends.cr = piece[len(piece)-1] == '\r'
		}
		p.size += int64(len(piece))
		p.whole.Write(piece)
		p.head.write(piece)
	}
	return len(b), nil
}

// Print returns the print of the message.
func (p *Printer) Print() Print {
	if p.whole == nil {
		return sha256.Sum256(nil)
	}
	return Print(p.whole.Sum(nil))
}

// HeaderPrint returns the print of the message's header.
func (p *Printer) HeaderPrint() Print { return p.head.sum() }

// SizeCRLF returns the octets of the message with CRLF line ends (RFC822.SIZE).
func (p *Printer) SizeCRLF() int64 { return p.size }

// headDigest digests the header of a message that comes in pieces with CRLF line ends.
type headDigest struct {
	hash  hash.Hash
	place linePlace
}

// linePlace is where in the header the next octet stands.
type linePlace uint8

const (
	lineStart linePlace = iota
	lineCR              // behind a CR at the start of a line, which is not yet digested
	lineRest            // anywhere else in a line
	behind              // behind the empty line
)

func (h *headDigest) write(b []byte) {
	if h.hash == nil {
		h.hash = sha256.New()
	}
	if h.place == lineCR && len(b) > 0 {
		if b[0] == '\n' {
			h.place = behind
			return
		}
		h.hash.Write([]byte{'\r'})
		h.place = lineRest
	}
	for i := 0; i < len(b) && h.place != behind; {
		if h.place == lineStart && b[i] == '\r' {
			if i+1 == len(b) {
				h.place = lineCR
				b = b[:i]
				break
			}
			if b[i+1] == '\n' {
				h.hash.Write(b[:i])
				h.place = behind
				return
			}
		}
		n := bytes.IndexByte(b[i:], '\n')
		if n < 0 {
			h.place = lineRest
			break
		}
		i += n + 1
		h.place = lineStart
	}
	if h.place != behind {
		h.hash.Write(b)
	}
}

// sum ends the header here if it has not ended before.
func (h *headDigest) sum() Print {
	if h.hash == nil {
		return sha256.Sum256(nil)
	}
	switch h.place {
	case lineCR:
		h.hash.Write([]byte("\r\r\n"))
	case lineRest:
		h.hash.Write([]byte("\r\n"))
	}
	h.place = behind
	return Print(h.hash.Sum(nil))
}
