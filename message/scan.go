package message

import "bytes"

// This file walks the MIME structure of a message: headers, boundaries, nested multiparts and
// messages (RFC 2046). It is the one place that decides where a part begins and ends; cutting
// and Parts only listen. Its decisions are part of the repository format: where they change, old
// attachments are stored anew.
//
// The scanner works on a window that may be moved forward, so that a message may be longer than
// memory. To decide the same however the window moves, each of its looks ahead is bounded by the
// constants below. It never recurses and copies nothing but boundaries.

const (
	// maxDepth is how many multiparts and messages may be nested. What stands deeper is not taken
	// apart: it belongs to the part at that depth.
	maxDepth = 64

	// maxBoundary is the longest boundary that is followed, in octets. RFC 2046 section 5.1.1
	// allows 70.
	maxBoundary = 200

	// maxField is how many octets of a Content-Type or Content-Transfer-Encoding field are read,
	// folded lines included.
	maxField = 16 << 10

	// maxDelimiter is how many octets tell whether a line is a delimiter: two hyphens, boundary,
	// two hyphens.
	maxDelimiter = 2 + maxBoundary + 2
)

// event is what the scanner came upon.
type event struct {
	kind  eventKind
	at    int64 // offset in the message
	level int   // delimiter: how many multiparts around it are still open
	shape shape // body: what stands in it
	b64   bool  // body: it is a leaf in base64
}

type eventKind uint8

const (
	needMore  eventKind = iota // the window holds too little to go on
	delimiter                  // the line at at ends the part that was open
	header                     // the header of a part begins at at
	body                       // a header ended, the body begins at at
	end                        // the message ends at at
)

// shape says what the body of a part is made of.
type shape uint8

const (
	leaf      shape = iota // octets
	multipart              // parts, which are followed
	embedded               // a message, which is followed
)

// place is where in a message the scanner stands.
type place uint8

const (
	inField     place = iota // within a field that says nothing more
	inHeader                 // at the start of a line in a header
	inBody                   // within a body, preamble or epilogue
	inDelimiter              // within a delimiter line, behind what matters
	afterHeader              // at the start of the body of a message/rfc822
)

// scanner stands somewhere in a message. Its zero value with a window stands at the start.
type scanner struct {
	window []byte // what is at hand of the message
	base   int64  // offset of window[0] in the message
	pos    int    // where in window it stands
	last   byte   // the octet before window[0]; LF stands before the message
	final  bool   // nothing follows window
	place  place
	depth  int    // multiparts and messages around pos
	part   entity // what the header at hand says so far

	open   int // multiparts around pos: levels[:open]
	levels [maxDepth]level
}

// entity is what matters of the header of a part.
type entity struct {
	typed, encoded bool // the field was seen; the first one counts
	multipart      bool
	digest         bool // it is a multipart/digest
	message        bool // message/rfc822 or message/global
	base64         bool
	opaque         bool // the encoding is one that hides structure: base64, quoted-printable
	bounded        bool // a usable boundary stands in levels[open]
}

// level is a multipart around the place where the scanner stands.
type level struct {
	depth    int  // multiparts and messages around it
	digest   bool // its parts are messages unless they say else (RFC 2046 section 5.1.5)
	n        int  // length of the boundary
	boundary [maxBoundary]byte
}

// start puts the scanner at the start of a message of which window is what is at hand.
func (s *scanner) start(window []byte, final bool) {
	s.window, s.base, s.pos, s.final = window, 0, 0, final
	s.place, s.last = inHeader, '\n'
	s.depth, s.open, s.part = 0, 0, entity{}
}

// move says that the window now begins n octets later, and holds more at its end. n is at most
// pos.
func (s *scanner) move(n int, window []byte, final bool) {
	if n > 0 {
		s.last = s.window[n-1]
	}
	s.base += int64(n)
	s.pos -= n
	s.window, s.final = window, final
}

// offset is where in the message the scanner stands. No event to come is before it.
func (s *scanner) offset() int64 { return s.base + int64(s.pos) }

// next goes on to the next event. After end it answers end.
func (s *scanner) next() event {
	for {
		var ev event
		var ok bool
		switch s.place {
		case inField:
			ev, ok = s.skipField()
		case inHeader:
			ev, ok = s.readHeader()
		case inBody:
			return s.readBody()
		case inDelimiter:
			return s.skipDelimiter()
		case afterHeader:
			s.place, s.part = inHeader, entity{}
			return s.event(header)
		}
		if ok {
			return ev
		}
	}
}

func (s *scanner) event(kind eventKind) event { return event{kind: kind, at: s.offset()} }

// starve is the event when the window is used up.
func (s *scanner) starve() event {
	if s.final {
		s.pos = len(s.window)
		return s.event(end)
	}
	return s.event(needMore)
}

// skipField goes to the end of the field it stands in. ok is false if it came there.
func (s *scanner) skipField() (ev event, ok bool) {
	for {
		i := bytes.IndexByte(s.window[s.pos:], '\n')
		if i < 0 {
			s.pos = len(s.window)
			return s.starve(), true
		}
		if s.pos+i+1 == len(s.window) && !s.final {
			s.pos += i // stay on the LF: what follows it says whether the field goes on
			return s.event(needMore), true
		}
		s.pos += i + 1
		if s.pos == len(s.window) || s.window[s.pos] != ' ' && s.window[s.pos] != '\t' {
			s.place = inHeader
			return event{}, false
		}
	}
}

// readHeader looks at the line it stands at. ok is false if there was nothing to tell.
func (s *scanner) readHeader() (ev event, ok bool) {
	rest := s.window[s.pos:]
	if len(rest) == 0 || rest[0] == '\r' && len(rest) < 2 && !s.final {
		return s.starve(), true
	}
	switch c := rest[0]; {
	case c == '\n':
		s.pos++
		return s.enterBody(), true
	case c == '\r' && len(rest) > 1 && rest[1] == '\n':
		s.pos += 2
		return s.enterBody(), true
	case c == '-' && s.open > 0: // a header without the empty line behind it
		if len(rest) < maxDelimiter && !s.final {
			return s.event(needMore), true
		}
		if at, closing, found := s.match(rest); found {
			return s.delimit(at, closing), true
		}
	case c|0x20 == 'c':
		n, whole := fieldWithin(rest)
		if !whole && !s.final {
			return s.event(needMore), true
		}
		s.readField(trimLineEnd(rest[:n]))
	}
	s.place = inField
	return event{}, false
}

// fieldWithin returns the length of the field at the start of b, but at most maxField. whole is
// false if more of b could change the answer.
func fieldWithin(b []byte) (n int, whole bool) {
	near := b[:min(len(b), maxField)]
	for n = 0; ; {
		i := bytes.IndexByte(near[n:], '\n')
		if i < 0 {
			return len(near), len(near) == maxField
		}
		n += i + 1
		if n == len(near) {
			return n, len(near) == maxField
		}
		if near[n] != ' ' && near[n] != '\t' {
			return n, true
		}
	}
}

// readField notes what a field says of the part.
func (s *scanner) readField(field []byte) {
	name, value, ok := splitField(field)
	if !ok {
		return
	}
	switch {
	case len(name) == len("content-type") && foldEqual(name, "content-type") && !s.part.typed:
		s.part.typed = true
		s.readType(value)
	case len(name) == len("content-transfer-encoding") && foldEqual(name, "content-transfer-encoding") && !s.part.encoded:
		s.part.encoded = true
		enc := token(value)
		s.part.base64 = foldIs(enc, "base64")
		s.part.opaque = s.part.base64 || foldIs(enc, "quoted-printable")
	}
}

// readType notes what a Content-Type says of the part.
func (s *scanner) readType(value []byte) {
	kind := token(value)
	s.part.message = foldIs(kind, "message/rfc822") || foldIs(kind, "message/global")
	if len(kind) <= len("multipart/") || !foldEqual(kind[:len("multipart/")], "multipart/") {
		return
	}
	s.part.multipart = true
	s.part.digest = foldIs(kind, "multipart/digest")
	boundary := trimBlanksRight(parameter(value, "boundary"))
	if s.open < maxDepth && len(boundary) > 0 && len(boundary) <= maxBoundary {
		s.levels[s.open].n = copy(s.levels[s.open].boundary[:], boundary)
		s.part.bounded = true
	}
}

// enterBody ends a header: pos stands at the first octet of the body.
func (s *scanner) enterBody() event {
	ev := s.event(body)
	p := s.part
	if !p.typed && s.open > 0 && s.levels[s.open-1].digest && s.levels[s.open-1].depth+1 == s.depth {
		p.message = true
	}
	s.place = inBody
	switch {
	case p.multipart && p.bounded && s.depth < maxDepth: // an encoding is not allowed here (RFC 2045 section 6.4)
		ev.shape = multipart
		l := &s.levels[s.open]
		l.depth, l.digest = s.depth, p.digest
		s.open++
		s.depth++
	case p.message && !p.opaque && s.depth < maxDepth:
		ev.shape = embedded
		s.depth++
		s.place = afterHeader
	default:
		ev.b64 = p.base64
	}
	return ev
}

// readBody looks for a delimiter of the multiparts around.
func (s *scanner) readBody() event {
	if s.open == 0 {
		s.pos = len(s.window)
		return s.starve()
	}
	for {
		i := bytes.IndexByte(s.window[s.pos:], '-')
		if i < 0 {
			s.pos = len(s.window)
			return s.starve()
		}
		s.pos += i
		if s.before(s.pos) == '\n' {
			rest := s.window[s.pos:]
			if len(rest) < maxDelimiter && !s.final {
				return s.event(needMore)
			}
			if at, closing, found := s.match(rest); found {
				return s.delimit(at, closing)
			}
		}
		s.pos++
	}
}

// before returns the octet before the place at in the window.
func (s *scanner) before(at int) byte {
	if at > 0 {
		return s.window[at-1]
	}
	return s.last
}

// match tells whether line begins with a delimiter, and of which level. The innermost wins; one
// of an outer multipart ends those within it, as RFC 2046 section 5.1.2 demands.
func (s *scanner) match(line []byte) (at int, closing, found bool) {
	if len(line) < 3 || line[1] != '-' {
		return 0, false, false
	}
	line = line[2:]
	for at = s.open - 1; at >= 0; at-- {
		l := &s.levels[at]
		if line[0] != l.boundary[0] || !bytes.HasPrefix(line, l.boundary[:l.n]) {
			continue
		}
		rest := line[l.n:]
		if len(rest) >= 2 && rest[0] == '-' && rest[1] == '-' {
			return at, true, true
		}
		// What follows must not be more of a longer boundary.
		if len(rest) == 0 || rest[0] == '\n' || rest[0] == '\r' || rest[0] == ' ' || rest[0] == '\t' {
			return at, false, true
		}
	}
	return 0, false, false
}

// delimit ends the parts within the multipart at a level, whose delimiter stands at pos.
func (s *scanner) delimit(at int, closing bool) event {
	ev := s.event(delimiter)
	ev.level = at
	s.open, s.depth = at+1, s.levels[at].depth+1
	s.place = inDelimiter
	if closing { // what follows is an epilogue, which ends with a delimiter of a multipart around
		s.open, s.depth = at, s.levels[at].depth
		s.place = inBody
		s.pos += 2
	}
	return ev
}

// skipDelimiter goes behind the delimiter line it stands in, where a part begins.
func (s *scanner) skipDelimiter() event {
	i := bytes.IndexByte(s.window[s.pos:], '\n')
	if i < 0 {
		s.pos = len(s.window)
		return s.starve()
	}
	s.pos += i + 1
	s.place, s.part = inHeader, entity{}
	return s.event(header)
}
