package config

import (
	"fmt"
	"strings"
)

// Error is a mistake in the configuration. It never holds the value of a
// secret.
type Error struct {
	File   string // the file, or the name of the environment variable; "" unknown
	Row    int    // from 1; 0: unknown
	Column int    // from 1; 0: unknown
	Key    string // the dotted key; "": the file as a whole
	Reason string
	Hint   string // what to do; "": none
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString("read " + e.File)
		if e.Row > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Row, e.Column)
		}
		b.WriteString(": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Reason)
	return b.String()
}

// nearest is the one of known that word was probably meant to be; "" if none is
// near: at most a third of its letters may differ.
func nearest(word string, known []string) string {
	best, least := "", len(word)/3+1
	for _, k := range known {
		if d := distance(word, k); d < least || d == least && best == "" {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove or replace to get from a
// to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
