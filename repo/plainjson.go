package repo

import (
	"time"
	"unicode/utf8"
)

// plain reads JSON in the one form in which restic and we write it: no white space, no escapes, no fraction or sign, each
// field once. It gives up on everything else, and encoding/json takes over; so what is slow is rare, and what is rare needs no
// second reading of its rules. It never accepts what encoding/json refuses, and reads the same from what both accept.
//
// After it gave up, all its methods return nothing, and end reports it.
type plain struct {
	rest []byte
	bad  bool

	at   []byte // the text of the last time that was read: nodes mostly have one time three times
	time time.Time
}

// is takes what must come next.
func (c *plain) is(text string) {
	if !c.maybe(text) {
		c.bad = true
	}
}

// maybe takes text if it comes next.
func (c *plain) maybe(text string) bool {
	if c.bad || len(c.rest) < len(text) || string(c.rest[:len(text)]) != text {
		return false
	}
	c.rest = c.rest[len(text):]
	return true
}

// more steps to the next item of a list or an object that ends with end; first is true for its first.
func (c *plain) more(end string, first bool) bool {
	if c.bad || c.maybe(end) {
		return false
	}
	if !first {
		c.is(",")
	}
	return !c.bad
}

// field takes the name of a field and its colon.
func (c *plain) field() []byte {
	name := c.text()
	c.is(":")
	return name
}

// text takes a string without escapes. It is a part of what is read, not a copy.
func (c *plain) text() []byte {
	c.is(`"`)
	ascii := byte(0)
	for i, b := range c.rest {
		if b == '"' {
			t := c.rest[:i]
			if ascii >= utf8.RuneSelf && !utf8.Valid(t) {
				break // encoding/json mends it
			}
			c.rest = c.rest[i+1:]
			return t
		}
		if b == '\\' || b < ' ' {
			break
		}
		ascii |= b
	}
	c.bad = true
	return nil
}

// number takes a number from 0 to limit.
func (c *plain) number(limit uint64) uint64 {
	var n uint64
	i := 0
	for ; i < len(c.rest) && c.rest[i]-'0' <= 9; i++ {
		n = 10*n + uint64(c.rest[i]-'0')
	}
	// Nineteen digits do not overflow; what is longer is for the patient reader.
	if i == 0 || i > 19 || i > 1 && c.rest[0] == '0' || n > limit {
		c.bad = true
		return 0
	}
	c.rest = c.rest[i:]
	return n
}

// id takes an ID.
func (c *plain) id(id *ID) {
	if c.bad || len(c.rest) < quotedID || c.rest[0] != '"' || c.rest[quotedID-1] != '"' {
		c.bad = true
		return
	}
	digits := c.rest[1 : quotedID-1]
	wrong := byte(0)
	for i := range id {
		high, low := hexValue[digits[2*i]], hexValue[digits[2*i+1]]
		wrong |= high | low
		id[i] = high<<4 | low&0xf
	}
	c.bad = wrong > 0xf
	c.rest = c.rest[quotedID:]
}

const quotedID = 2*len(ID{}) + 2

// hexValue is what a lower-case hex digit stands for; 0xff for what is none.
var hexValue = func() (table [256]byte) {
	for i := range table {
		table[i] = 0xff
	}
	for i, c := range "0123456789abcdef" {
		table[c] = byte(i)
	}
	return table
}()

// ids takes a list of IDs.
func (c *plain) ids() []ID {
	c.is("[")
	n := 0
	for at := 0; at+quotedID < len(c.rest) && c.rest[at] == '"' && c.rest[at+quotedID-1] == '"'; n++ {
		at += quotedID + 1
	}
	ids := make([]ID, 0, n)
	for first := true; c.more("]", first); first = false {
		var id ID
		c.id(&id)
		ids = append(ids, id)
	}
	return ids
}

// moment takes a time.
func (c *plain) moment() time.Time {
	text := c.text()
	if c.at != nil && string(text) == string(c.at) {
		return c.time
	}
	var t time.Time
	if c.bad || t.UnmarshalText(text) != nil {
		c.bad = true
		return time.Time{}
	}
	c.at, c.time = text, t
	return t
}

// end reports whether all was read, to its end.
func (c *plain) end() bool {
	c.maybe("\n")
	return !c.bad && len(c.rest) == 0
}

// A fieldSet remembers which fields of an object were there.
type fieldSet uint32

// twice notes a field by its number and reports whether it was there before.
func (s *fieldSet) twice(number int) bool {
	bit := fieldSet(1) << number
	was := *s&bit != 0
	*s |= bit
	return was
}
