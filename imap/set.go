package imap

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// maxSetText is how long a set on a command line may be. QUIRK: Exchange refuses lines beyond about 4 KB, Zimbra's buffer
// is small too.
const maxSetText = 1900

// Range is the UIDs First to Last, both included.
type Range struct{ First, Last uint32 }

// Set is a set of UIDs: ascending, disjoint ranges. QUIRK: hMailServer and QQ refuse sets that descend.
type Set []Range

// SetOf makes a set of UIDs in any order. 0 is no UID and left out.
func SetOf(uids ...uint32) Set {
	sorted := slices.Sorted(slices.Values(uids))
	var s Set
	for _, u := range sorted {
		if u == 0 {
			continue
		}
		if n := len(s); n > 0 && u <= s[n-1].Last+1 && s[n-1].Last != 1<<32-1 {
			s[n-1].Last = max(u, s[n-1].Last)
			continue
		} else if n > 0 && s[n-1].Last == 1<<32-1 {
			break
		}
		s = append(s, Range{u, u})
	}
	return s
}

// ParseSet reads a set as a server sends it ("1:3,7"), in its order, which COPYUID needs; a range the wrong way round is
// turned. "*" and what is no number are an error.
func ParseSet(text string) (Set, error) {
	var s Set
	for one := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(one, ":")
		first, err := strconv.ParseUint(from, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("parse UID set %.40q: %q is no number", text, one)
		}
		last := first
		if isRange {
			if last, err = strconv.ParseUint(to, 10, 32); err != nil {
				return nil, fmt.Errorf("parse UID set %.40q: %q is no number", text, one)
			}
		}
		s = append(s, Range{uint32(min(first, last)), uint32(max(first, last))})
	}
	return s, nil
}

// Len counts the members.
func (s Set) Len() int64 {
	var n int64
	for _, r := range s {
		n += int64(r.Last) - int64(r.First) + 1
	}
	return n
}

// All yields the members in the order of the ranges.
func (s Set) All() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, r := range s {
			for u := uint64(r.First); u <= uint64(r.Last); u++ {
				if !yield(uint32(u)) {
					return
				}
			}
		}
	}
}

// String is the set in IMAP's notation.
func (s Set) String() string {
	var b []byte
	for i, r := range s {
		if i > 0 {
			b = append(b, ',')
		}
		b = r.append(b)
	}
	return string(b)
}

// Chunks yields s in pieces of at most limit members, each short enough for one command line. limit 0 means no limit.
func (s Set) Chunks(limit int64) iter.Seq[Set] {
	return func(yield func(Set) bool) {
		var chunk Set
		var count int64
		var text []byte
		for _, r := range s {
			for {
				piece := r
				if room := limit - count; limit > 0 && int64(r.Last)-int64(r.First) >= room {
					piece.Last = r.First + uint32(room) - 1
				}
				text = piece.append(append(text, ','))
				chunk = append(chunk, piece)
				count += int64(piece.Last) - int64(piece.First) + 1
				if limit > 0 && count >= limit || len(text) > maxSetText-22 {
					if !yield(chunk) {
						return
					}
					chunk, count, text = nil, 0, text[:0]
				}
				if piece.Last == r.Last {
					break
				}
				r.First = piece.Last + 1
			}
		}
		if len(chunk) > 0 {
			yield(chunk)
		}
	}
}

func (r Range) append(b []byte) []byte {
	b = strconv.AppendUint(b, uint64(r.First), 10)
	if r.Last != r.First {
		b = append(b, ':')
		b = strconv.AppendUint(b, uint64(r.Last), 10)
	}
	return b
}

// ParseNumber reads a number as servers send them. QUIRK: decimals ("12.0") lose their fraction, numbers beyond 63 bits
// saturate, negative ones are returned as they are. ok is false if b does not begin with a number.
func ParseNumber(b []byte) (n int64, ok bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			ok = ok && c == '.'
			break
		}
		ok = true
		d := int64(c - '0')
		if n > (1<<63-1-d)/10 {
			n = 1<<63 - 1
			continue
		}
		n = n*10 + d
	}
	if negative {
		n = -n
	}
	return n, ok
}
