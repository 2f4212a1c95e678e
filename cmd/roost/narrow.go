package main

import (
	"slices"
	"strings"
)

// What stands on a terminal is made to fit its width, for a line that wraps is
// hard to read, and a status line that wraps cannot be cleared. Elsewhere
// nothing is left out.

// cutTo is s in at most width columns: "…" stands for its middle.
func cutTo(s string, width int) string {
	if columns(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	all := []rune(s)
	head, tail, left := 0, len(all), width-1
	for front := true; head < tail; front = !front { // in turns, the end is worth as much as the beginning
		next := all[head]
		if !front {
			next = all[tail-1]
		}
		if left -= columns(string(next)); left < 0 {
			break
		}
		if front {
			head++
		} else {
			tail--
		}
	}
	return string(all[:head]) + "…" + string(all[tail:])
}

// gap is the blanks between two columns of a table.
const gap = 2

// minName is the least that a name is cut to, in columns.
const minName = 8

// fit makes the rows of a table, of which the first is the head, at most width
// columns wide: it leaves out the columns headed by spare, the first of them
// first, and then cuts the texts of the widest column. 0 is any width.
func fit(rows [][]string, width int, spare []string) [][]string {
	if width <= 0 || len(rows) == 0 {
		return rows
	}
	for _, head := range spare {
		if wide(rows) <= width {
			break
		}
		for i, text := range rows[0] {
			if text == head {
				rows = without(rows, i)
				break
			}
		}
	}
	over := wide(rows) - width
	if over <= 0 {
		return rows
	}
	widths := widthsOf(rows)
	widest := 0
	for i := range widths {
		if widths[i] > widths[widest] {
			widest = i
		}
	}
	room := max(widths[widest]-over, minName)
	for _, row := range rows {
		if widest < len(row) {
			row[widest] = cutTo(row[widest], room)
		}
	}
	return rows
}

// without is rows without their column i.
func without(rows [][]string, i int) [][]string {
	less := make([][]string, len(rows))
	for n, row := range rows {
		for j, text := range row {
			if j != i {
				less[n] = append(less[n], text)
			}
		}
	}
	return less
}

// wide is how many columns of a terminal a table takes.
func wide(rows [][]string) int {
	total := -gap
	for _, w := range widthsOf(rows) {
		total += w + gap
	}
	return total
}

// widthsOf are the widths of a table's columns.
func widthsOf(rows [][]string) []int {
	var widths []int
	for _, row := range rows {
		for i, text := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], columns(text))
		}
	}
	return widths
}

// idle are the heads of the columns that say nothing but "0", "?" or "".
func idle(rows [][]string) []string {
	var heads []string
	for i, head := range rows[0] {
		says := len(rows) == 1
		for _, row := range rows[1:] {
			says = says || i < len(row) && row[i] != "0" && row[i] != "?" && row[i] != ""
		}
		if !says {
			heads = append(heads, head)
		}
	}
	return heads
}

// phrase is a part of a line that may be left out.
type phrase struct {
	text string
	rank int // the greatest is left out first; 0 is never
}

// joinFit joins phrases by commas in at most width columns; 0 is any width. It
// tells whether they fit without those that may be left out.
func joinFit(phrases []phrase, width int) (line string, fits bool) {
	for {
		var texts []string
		last := 0 // the phrase to leave out next
		for i, p := range phrases {
			texts = append(texts, p.text)
			if p.rank > phrases[last].rank {
				last = i
			}
		}
		line = strings.Join(texts, ", ")
		if width <= 0 || columns(line) <= width {
			return line, true
		}
		if phrases[last].rank == 0 {
			return line, false
		}
		phrases = slices.Delete(slices.Clone(phrases), last, last+1)
	}
}
