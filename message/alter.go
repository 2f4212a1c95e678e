package message

import (
	"bytes"
	"hash"
)

// Alteration is a way in which servers are known to change some of the messages that they store. The zero value is none.
// They are modelled on what the servers were seen to do; what is stored by others is not touched by them.
type Alteration uint8

const (
	// MaskedHeader makes an X of each octet above 127 in the header, as Cyrus does (munge8bit in imapd.conf).
	MaskedHeader Alteration = iota + 1
	// DroppedCR drops a CR before CRLF, one of each run, and one at the very end, as Dovecot does: it takes a CR that
	// stands before a line end for a part of it.
	DroppedCR
)

// AlteredPrinter is a Printer that also computes the prints that a message has where an Alteration was made to it. It costs
// no more than a Printer up to the first octet that differs. Finish is called after the last Write, before anything is asked.
type AlteredPrinter struct {
	Printer
	kind    Alteration
	altered *Printer  // nil: nothing differs so far
	place   linePlace // in the header
	held    []byte    // DroppedCR: up to two CRs at the end of the last piece, not yet written
}

// NewAlteredPrinter returns a printer for one alteration.
func NewAlteredPrinter(kind Alteration) *AlteredPrinter { return &AlteredPrinter{kind: kind} }

// Write takes the next piece of the message. It never fails.
func (p *AlteredPrinter) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		piece := rest[:min(len(rest), lineBuffer)]
		rest = rest[len(piece):]
		switch p.kind {
		case MaskedHeader:
			p.mask(piece)
		case DroppedCR:
			p.drop(piece)
		default:
			p.Printer.Write(piece)
		}
	}
	return len(b), nil
}

// Finish ends the message.
func (p *AlteredPrinter) Finish() {
	if len(p.held) > 0 {
		p.differ()
		p.Printer.Write(p.held)
		p.altered.Write(p.held[1:])
		p.held = nil
	}
}

// Altered returns the printer of the altered message; nil if it is the same.
func (p *AlteredPrinter) Altered() *Printer { return p.altered }

// differ begins the printer of the altered message, which up to here is equal.
func (p *AlteredPrinter) differ() {
	if p.altered == nil {
		p.altered = p.Printer.clone()
	}
}

// both writes octets that are the same in both.
func (p *AlteredPrinter) both(b []byte) {
	p.Printer.Write(b)
	if p.altered != nil {
		p.altered.Write(b)
	}
}

// mask is MaskedHeader.
func (p *AlteredPrinter) mask(piece []byte) {
	n := p.headerIn(piece)
	if i := high(piece[:n]); i >= 0 {
		p.both(piece[:i])
		p.differ()
		masked := bytes.Clone(piece[i:n])
		for j, c := range masked {
			if c > 127 {
				masked[j] = 'X'
			}
		}
		p.Printer.Write(piece[i:n])
		p.altered.Write(masked)
		piece = piece[n:]
	}
	p.both(piece)
}

// headerIn returns how much of the next piece belongs to the header.
func (p *AlteredPrinter) headerIn(piece []byte) int {
	for i, c := range piece {
		switch {
		case p.place == behind:
			return i
		case c == '\n' && p.place != lineRest:
			p.place = behind
		case c == '\n':
			p.place = lineStart
		case c == '\r' && p.place == lineStart:
			p.place = lineCR
		default:
			p.place = lineRest
		}
	}
	return len(piece)
}

// high returns where the first octet above 127 stands; -1 if there is none.
func high(b []byte) int {
	for i, c := range b {
		if c > 127 {
			return i
		}
	}
	return -1
}

// drop is DroppedCR. What may be the beginning of CR CR LF waits for the next piece, for a digest takes nothing back.
func (p *AlteredPrinter) drop(piece []byte) {
	if len(p.held) > 0 {
		piece = append(p.held, piece...)
	}
	n := len(piece)
	for len(piece)-n < 2 && n > 0 && piece[n-1] == '\r' {
		n--
	}
	held := bytes.Clone(piece[n:])
	piece = piece[:n]
	for {
		i := bytes.Index(piece, []byte("\r\r\n"))
		if i < 0 {
			break
		}
		p.both(piece[:i])
		p.differ()
		p.Printer.Write(piece[i : i+3])
		p.altered.Write(piece[i+1 : i+3])
		piece = piece[i+3:]
	}
	p.both(piece)
	p.held = held
}

// Alters reports whether the alteration changes the message raw.
func (a Alteration) Alters(raw []byte) bool {
	switch a {
	case MaskedHeader:
		var p AlteredPrinter
		return high(raw[:p.headerIn(raw)]) >= 0
	case DroppedCR:
		return bytes.HasSuffix(raw, []byte("\r")) || bytes.Contains(raw, []byte("\r\r\n"))
	}
	return false
}

// clone returns a printer that goes on from the same place.
func (p *Printer) clone() *Printer {
	c := Printer{whole: cloneHash(p.whole), head: p.head, ends: p.ends, size: p.size}
	c.head.hash = cloneHash(p.head.hash)
	return &c
}

// cloneHash copies a SHA-256, which the standard library's always can be.
func cloneHash(h hash.Hash) hash.Hash {
	if h == nil {
		return nil
	}
	c, err := h.(hash.Cloner).Clone()
	if err != nil {
		panic(err) // a bug: only SHA-256 is used here
	}
	return c
}
