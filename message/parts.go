package message

import (
	"strings"
)

// Part is a MIME part of a message, or the message itself: octets Start to End of it, of which
// the header with its empty line goes to Body. Always Start <= Body <= End, and a part lies
// within the body of its parent. The line end before a delimiter belongs to the delimiter (RFC
// 2046 section 5.1.1).
type Part struct {
	Parent           int // index of the part around it; -1 for the message itself
	Start, Body, End int // offsets in the message

	// Type is the media type in lower case, without parameters. It is what holds if the header
	// does not say: "text/plain", or "message/rfc822" in a multipart/digest.
	Type string

	// Encoding is the Content-Transfer-Encoding in lower case; "" if the header does not say.
	Encoding string

	Leaf bool // it holds no parts; false for a multipart and an attached message

	raw     []byte // the message
	related bool   // the part around it is a multipart/related
	sealed  bool   // it stands in a multipart/encrypted
}

// maxParts is how many parts of a message are told apart. Real mail stays below a hundred.
const maxParts = 1 << 14

// Parts returns the parts of a message in the order in which they stand, the message itself
// first. Multiparts and messages are followed 64 deep, and 16,384 parts are listed; what comes
// after them counts as body of the last.
func Parts(raw []byte) []Part {
	var s scanner
	s.start(raw, true)
	parts := []Part{{Parent: -1, Body: -1, Type: "text/plain", Leaf: true, raw: raw}}
	var multiparts [maxDepth]int // index of the part at each level of the scanner
	at := 0                      // the innermost part that is open
	for {
		switch ev := s.next(); ev.kind {
		case body:
			p := &parts[at]
			p.Body = int(ev.at)
			p.Leaf = ev.shape == leaf
			p.readHeader()
			if ev.shape == multipart {
				multiparts[s.open-1] = at
			}
		case delimiter:
			around := multiparts[ev.level]
			closeParts(parts, at, around, int(ev.at))
			at = around
		case header:
			if len(parts) == maxParts {
				closeParts(parts, at, -1, len(raw))
				return parts
			}
			p := Part{Parent: at, Start: int(ev.at), Body: -1, Leaf: true, raw: raw, Type: "text/plain"}
			switch parts[at].Type {
			case "multipart/digest":
				p.Type = "message/rfc822"
			case "multipart/related":
				p.related = true
			}
			p.sealed = parts[at].sealed || parts[at].Type == "multipart/encrypted"
			parts = append(parts, p)
			at = len(parts) - 1
		case end:
			closeParts(parts, at, -1, len(raw))
			return parts
		}
	}
}

// closeParts ends the open parts from the innermost up to, but not with, the part around them.
// stop is where a delimiter stands, or the end of the message.
func closeParts(parts []Part, innermost, around, stop int) {
	if innermost == around {
		return
	}
	raw := parts[0].raw
	if parts[innermost].Body < 0 { // it is all header, with its last line end
		parts[innermost].Body = stop
	} else if around >= 0 {
		stop -= len(raw[:stop]) - len(trimLineEnd(raw[:stop]))
	}
	for i := innermost; i != around; i = parts[i].Parent {
		stop = max(stop, parts[i].Body)
		parts[i].End = stop
	}
}

// readHeader takes type and encoding from the header.
func (p *Part) readHeader() {
	head := p.Header()
	if value, ok := head.Raw("Content-Type"); ok {
		if kind := token(value[:min(len(value), maxField)]); len(kind) > 0 {
			p.Type = strings.ToLower(string(kind))
		}
	}
	if value, ok := head.Raw("Content-Transfer-Encoding"); ok {
		p.Encoding = strings.ToLower(string(token(value[:min(len(value), maxField)])))
	}
}

// Header returns the header of the part with the empty line that ends it.
func (p *Part) Header() Header { return Header(p.raw[p.Start:p.Body]) }

// Content returns the body of the part as it is transferred.
func (p *Part) Content() []byte { return p.raw[p.Body:p.End] }

// Decoded returns the body of the part without its transfer encoding: as much of it as can be
// read. A body in no or an unknown encoding is returned as it is, and not copied.
func (p *Part) Decoded() []byte {
	switch p.Encoding {
	case "base64":
		return appendBase64(nil, p.Content())
	case "quoted-printable":
		return appendQuoted(nil, p.Content())
	}
	return p.Content()
}

// Filename returns the name under which the part is to be saved, for people to read: it is no
// path, and may hold slashes. "" if it has none.
func (p *Part) Filename() string {
	head := p.Header()
	for _, at := range [...][2]string{{"Content-Disposition", "filename"}, {"Content-Type", "name"}} {
		if value, ok := head.Raw(at[0]); ok {
			if name := textParameter(value[:min(len(value), maxField)], at[1]); name != "" {
				return name
			}
		}
	}
	return ""
}

// IsAttachment reports whether people would call the part an attachment: a leaf that is marked
// as one, or that is no text and is not shown within an HTML text. Signatures are none, and what
// is encrypted is the message itself.
func (p *Part) IsAttachment() bool {
	if !p.Leaf || p.sealed {
		return false
	}
	switch p.Type {
	case "application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature",
		"application/pkcs7-mime", "application/x-pkcs7-mime", "application/pgp-encrypted":
		return false
	}
	head := p.Header()
	value, _ := head.Raw("Content-Disposition")
	if foldIs(token(value), "attachment") {
		return true
	}
	kind, _, _ := strings.Cut(p.Type, "/")
	switch kind {
	case "application", "audio", "chemical", "font", "image", "model", "video":
		_, shown := head.Raw("Content-ID")
		return !shown || !p.related
	}
	return false
}

// HasAttachment reports whether a message has a part that is an attachment, or carries another
// message that is marked as one.
func HasAttachment(raw []byte) bool {
	for _, p := range Parts(raw) {
		if p.IsAttachment() {
			return true
		}
		if p.Parent >= 0 && !p.Leaf && p.Type == "message/rfc822" {
			value, _ := p.Header().Raw("Content-Disposition")
			if foldIs(token(value), "attachment") {
				return true
			}
		}
	}
	return false
}
