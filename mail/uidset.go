package mail

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// UIDSet is a set of UIDs as ascending, disjoint, non-adjacent ranges. The
// zero value is empty. A set of a million scattered UIDs takes 8 MB, a
// contiguous one 8 bytes.
type UIDSet struct {
	ranges []UIDRange
}

// UIDRange is the UIDs First to Last, both included.
type UIDRange struct{ First, Last uint32 }

// AddRange puts first to last into the set; a range that is the wrong way round
// is turned. 0, which is no UID (RFC 9051, 2.3.1.1), is left out.
func (s *UIDSet) AddRange(first, last uint32) {
	if first > last {
		first, last = last, first
	}
	if last == 0 {
		return
	}
	first = max(first, 1)
	n := len(s.ranges)
	if n == 0 || s.ranges[n-1].Last < first-1 { // the usual case: ascending
		s.ranges = append(s.ranges, UIDRange{first, last})
		return
	}
	// i is the first range that reaches up to first-1 or beyond, j the first that begins after last+1.
	i, _ := slices.BinarySearchFunc(s.ranges, first-1, func(r UIDRange, u uint32) int {
		if r.Last < u {
			return -1
		}
		return 1
	})
	j := i
	for j < n && uint64(s.ranges[j].First) <= uint64(last)+1 {
		first = min(first, s.ranges[j].First)
		last = max(last, s.ranges[j].Last)
		j++
	}
	s.ranges = slices.Replace(s.ranges, i, j, UIDRange{first, last})
}

// Add puts one UID into the set.
func (s *UIDSet) Add(uid uint32) { s.AddRange(uid, uid) }

// Contains reports whether uid is a member.
func (s UIDSet) Contains(uid uint32) bool {
	_, found := slices.BinarySearchFunc(s.ranges, uid, func(r UIDRange, u uint32) int {
		switch {
		case r.Last < u:
			return -1
		case r.First > u:
			return 1
		}
		return 0
	})
	return found
}

// Intersects reports whether a UID from first to last is a member.
func (s UIDSet) Intersects(first, last uint32) bool {
	i, _ := slices.BinarySearchFunc(s.ranges, first, func(r UIDRange, u uint32) int {
		if r.Last < u {
			return -1
		}
		return 1
	})
	return i < len(s.ranges) && s.ranges[i].First <= last
}

// Len counts the members.
func (s UIDSet) Len() int64 {
	var n int64
	for _, r := range s.ranges {
		n += int64(r.Last) - int64(r.First) + 1
	}
	return n
}

// Ranges are the ranges in ascending order. The caller must not change them.
func (s UIDSet) Ranges() []UIDRange { return s.ranges }

// All yields the members in ascending order.
func (s UIDSet) All() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for _, r := range s.ranges {
			for u := uint64(r.First); u <= uint64(r.Last); u++ {
				if !yield(uint32(u)) {
					return
				}
			}
		}
	}
}

// String is the set in IMAP's notation, "1:3,7"; "" if it is empty.
func (s UIDSet) String() string {
	var b strings.Builder
	for i, r := range s.ranges {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(r.First), 10))
		if r.Last != r.First {
			b.WriteByte(':')
			b.WriteString(strconv.FormatUint(uint64(r.Last), 10))
		}
	}
	return b.String()
}

// ParseUIDSet reads IMAP's notation (RFC 9051, sequence-set, without "*").
// "" is the empty set.
func ParseUIDSet(text string) (UIDSet, error) {
	var s UIDSet
	if text == "" {
		return s, nil
	}
	for one := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(one, ":")
		first, err := strconv.ParseUint(from, 10, 32)
		if err != nil {
			return UIDSet{}, fmt.Errorf("parse UID set %.80q: %q is no UID", text, from)
		}
		last := first
		if isRange {
			if last, err = strconv.ParseUint(to, 10, 32); err != nil {
				return UIDSet{}, fmt.Errorf("parse UID set %.80q: %q is no UID", text, to)
			}
		}
		s.AddRange(uint32(first), uint32(last))
	}
	return s, nil
}
