package imaptest

import (
	"fmt"
	"strconv"
	"strings"
)

// numbers is a sequence set (RFC 9051, 9) with "*" resolved.
type numbers [][2]uint32

// parseNumbers reads a set; last is what "*" means.
func parseNumbers(text string, last uint32) (numbers, error) {
	var set numbers
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, ":")
		if !isRange {
			to = from
		}
		a, err := parseNumber(from, last)
		if err != nil {
			return nil, err
		}
		b, err := parseNumber(to, last)
		if err != nil {
			return nil, err
		}
		set = append(set, [2]uint32{min(a, b), max(a, b)})
	}
	return set, nil
}

func parseNumber(text string, last uint32) (uint32, error) {
	if text == "*" {
		return last, nil
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is no number of a set", text)
	}
	return uint32(n), nil
}

func (s numbers) has(n uint32) bool {
	for _, r := range s {
		if r[0] <= n && n <= r[1] {
			return true
		}
	}
	return false
}

// descends tells whether a range in the text runs from a larger number to a smaller one.
func descends(text string) bool {
	for part := range strings.SplitSeq(text, ",") {
		from, to, isRange := strings.Cut(part, ":")
		a, errA := strconv.ParseUint(from, 10, 32)
		b, errB := strconv.ParseUint(to, 10, 32)
		if isRange && errA == nil && errB == nil && a > b {
			return true
		}
	}
	return false
}

// formatNumbers writes ascending numbers as a set.
func formatNumbers(list []uint32) string {
	var b strings.Builder
	for i := 0; i < len(list); {
		j := i
		for j+1 < len(list) && list[j+1] == list[j]+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d", list[i])
		if j > i {
			fmt.Fprintf(&b, ":%d", list[j])
		}
		i = j + 1
	}
	return b.String()
}
