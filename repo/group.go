package repo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// GroupBy says what snapshots of one group have in common. The zero value makes one group of all.
type GroupBy struct {
	Host, Paths, Tags bool
}

// ParseGroupBy reads what restic's --group-by takes: "host", "paths" and "tags" between commas.
func ParseGroupBy(text string) (GroupBy, error) {
	var by GroupBy
	for word := range strings.SplitSeq(text, ",") {
		switch word {
		case "host", "hosts":
			by.Host = true
		case "path", "paths":
			by.Paths = true
		case "tag", "tags":
			by.Tags = true
		case "":
		default:
			return GroupBy{}, fmt.Errorf("group by %q: want host, paths or tags, between commas", word)
		}
	}
	return by, nil
}

// String writes it as ParseGroupBy reads it.
func (by GroupBy) String() string {
	var words []string
	for _, w := range []struct {
		on   bool
		word string
	}{{by.Host, "host"}, {by.Paths, "paths"}, {by.Tags, "tags"}} {
		if w.on {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, ",")
}

// GroupKey is what the snapshots of a group have in common; what they were not grouped by is empty.
type GroupKey struct {
	Host  string
	Paths []string // sorted
	Tags  []string // sorted
}

// String names the group for people.
func (g GroupKey) String() string {
	var parts []string
	if g.Host != "" {
		parts = append(parts, "host "+g.Host)
	}
	if len(g.Paths) > 0 {
		parts = append(parts, "path "+strings.Join(g.Paths, " "))
	}
	if len(g.Tags) > 0 {
		parts = append(parts, "tags "+strings.Join(g.Tags, " "))
	}
	return cmp.Or(strings.Join(parts, ", "), "all snapshots")
}

// key returns the group that the snapshot belongs to.
func (by GroupBy) key(sn *Snapshot) GroupKey {
	var g GroupKey
	if by.Host {
		g.Host = sn.Hostname
	}
	if by.Paths {
		g.Paths = slices.Sorted(slices.Values(sn.Paths))
	}
	if by.Tags {
		g.Tags = slices.Sorted(slices.Values(sn.Tags))
	}
	return g
}

// compare orders groups, by account first.
func (g GroupKey) compare(o GroupKey) int {
	return cmp.Or(slices.Compare(g.Paths, o.Paths), cmp.Compare(g.Host, o.Host), slices.Compare(g.Tags, o.Tags))
}
