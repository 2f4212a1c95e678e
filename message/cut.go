package message

// This file decides where a message is cut for storage. It is part of the repository format:
// another cut is not wrong, but it stores known attachments anew. cut_test.go holds it still.
//
// 1. The body of each part in base64 is a range of its own if it is 8 KiB or longer, so that an
//    attachment is stored once however many messages carry it. It ends before the line ends that
//    stand between it and the delimiter (up to 64 octets of CR and LF), for mailers differ in
//    how many they put there.
// 2. What stands between is one range of text: headers, short parts, delimiters.
// 3. A range longer than 4 MiB is cut further by its content, so that a large part that was
//    edited shares what was not, and no blob is large: 1 MiB at least (but the last), 4 MiB at
//    most, about 2 MiB in the mean. Cuts are those of a gear hash (gear.go).
//
// 8 KiB: below it the 160 octets that a blob costs exceed what sharing saves on real mail; from
// 1.5 to 16 KiB the sum changes by half a percent. 4 MiB: two of them stay within the 8 MiB
// blobs that every reader of the repository holds in memory, and the cost of the cuts is 0.01 %.

const (
	minBase64 = 8 << 10 // octets; a shorter body in base64 stays in the text around it
	maxTrim   = 64      // octets of line ends that are looked through behind a body

	minPiece = 1 << 20 // octets
	maxPiece = 4 << 20 // octets; also the longest range that stays whole
)

// Kind says what a range holds, so that the storage can choose how to compress it.
type Kind uint8

const (
	// Text is everything but the body of a long part in base64.
	Text Kind = iota
	// Base64 is the body of a part in base64, or a piece of it.
	Base64
)

func (k Kind) String() string {
	if k == Base64 {
		return "base64"
	}
	return "text"
}

// Range is the octets [Start, End) of a message.
type Range struct {
	Start, End int
	Kind       Kind
}

// Cut appends to dst the ranges in which raw is stored, in order, without gap or overlap. An
// empty message has none. It allocates nothing if dst has room; 16 ranges hold nearly every
// message.
func Cut(dst []Range, raw []byte) []Range {
	if len(raw) < minBase64 {
		if len(raw) > 0 {
			dst = append(dst, Range{End: len(raw)})
		}
		return dst
	}
	var c cuts
	c.reset(raw, true)
	for {
		n, kind, ok := c.next()
		if !ok {
			return dst
		}
		start := int(c.start)
		dst = append(dst, Range{Start: start, End: start + n, Kind: kind})
		c.start += int64(n)
	}
}

// cuts finds the ranges of a message one by one. It is the same for a message in memory and for
// one that is read, and tells a range as soon as nothing to come can change it.
type cuts struct {
	scan  scanner
	start int64 // offset of the first octet not yet in a range; the caller moves it

	runs    [3]run // known up to their ends, in order; the first begins at start
	known   int    // how many of runs
	split   bool   // the run that begins at start has been cut before: the rest of it is shorter
	within  bool   // the open run, behind the known ones, is base64
	pending int64  // where a base64 body begins that may become a run; -1: none
}

// run is a stretch of one kind before it is cut by content.
type run struct {
	end  int64
	kind Kind
}

func (c *cuts) reset(window []byte, final bool) {
	c.scan.start(window, final)
	c.start, c.known, c.split, c.within, c.pending = 0, 0, false, false, -1
}

// next returns the length and kind of the range that begins at start. ok is false if the window
// holds too little to tell, or at the end of the message.
func (c *cuts) next() (n int, kind Kind, ok bool) {
	for {
		if c.known > 0 {
			r := c.runs[0]
			if c.start < r.end {
				return c.piece(r.end, true), r.kind, true
			}
			copy(c.runs[:], c.runs[1:])
			c.known--
			c.split = false
			continue
		}
		switch ev := c.scan.next(); ev.kind {
		case body:
			if ev.b64 {
				c.pending = ev.at
			}
		case delimiter:
			c.endBody(ev.at)
		case end:
			c.endBody(ev.at)
			if c.start == ev.at {
				return 0, 0, false
			}
			c.push(ev.at, Text)
		case needMore:
			c.decide()
			if c.known > 0 {
				continue
			}
			if sure := c.sure(); sure-c.start > maxPiece {
				return c.piece(sure, false), c.kind(), true
			}
			return 0, 0, false
		}
	}
}

// kind is that of the open run.
func (c *cuts) kind() Kind {
	if c.within {
		return Base64
	}
	return Text
}

// push ends the open run.
func (c *cuts) push(end int64, kind Kind) {
	if end > c.start || c.known > 0 {
		c.runs[c.known] = run{end, kind}
		c.known++
	}
	c.within = false
}

// decide makes a run of the pending body as soon as it is known to be long enough.
func (c *cuts) decide() {
	if c.pending >= 0 && c.scan.offset()-maxTrim-c.pending >= minBase64 {
		c.push(c.pending, Text)
		c.within, c.pending = true, -1
	}
}

// endBody says that a part ends at offset at, where a delimiter or nothing follows.
func (c *cuts) endBody(at int64) {
	switch {
	case c.within:
		c.push(c.trim(at), Base64)
	case c.pending >= 0:
		if stop := max(c.trim(at), c.pending); stop-c.pending >= minBase64 {
			c.push(c.pending, Text)
			c.push(stop, Base64)
		}
		c.pending = -1
	}
}

// trim goes back from offset at over the line ends before it.
func (c *cuts) trim(at int64) int64 {
	i := int(at - c.scan.base)
	for low := max(i-maxTrim, 0); i > low && (c.scan.window[i-1] == '\n' || c.scan.window[i-1] == '\r'); {
		i--
	}
	return c.scan.base + int64(i)
}

// sure is the offset up to which everything belongs to the open run, whatever follows.
func (c *cuts) sure() int64 {
	switch {
	case c.within:
		return c.scan.offset() - maxTrim
	case c.pending >= 0:
		return c.pending
	}
	return c.scan.offset()
}

// piece returns how long the range is that begins at start in a run that goes to stop, or, if
// ended is false, further; then more than maxPiece are known.
func (c *cuts) piece(stop int64, ended bool) int {
	rest := stop - c.start
	if ended && rest <= maxPiece && !c.split {
		return int(rest)
	}
	c.split = true
	from := int(c.start - c.scan.base)
	near := c.scan.window[from : from+int(min(rest, maxPiece))]
	return gearCut(near)
}
