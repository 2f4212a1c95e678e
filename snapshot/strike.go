package snapshot

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"roost/repo"
)

// Former returns those of slots, ascending, of which a bucket still knows identities, although their messages went before. Such
// lines mean nothing to readers, and stay until their file is written anew.
func (s *Source) Former(ctx context.Context, b Bucket, slots []Slot) ([]Slot, error) {
	if b.Meta.IsNull() || len(slots) == 0 {
		return nil, nil
	}
	t, err := s.repo.LoadTree(ctx, b.Meta)
	if err != nil {
		return nil, err
	}
	var former []Slot
	for _, first := range ranges(slots) {
		n := t.Find(first.String() + idsExt)
		if n == nil {
			continue
		}
		text, err := s.content(ctx, n)
		if err != nil {
			return nil, err
		}
		var in Interner
		entries, err := s.Entries(ctx, b, func(r Slot) bool { return r == first }, &in)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(text) {
			number, _, _ := bytes.Cut(line, []byte{'\t'})
			slot, err := parseUint(number)
			if err != nil {
				return nil, fmt.Errorf("identities %s: bad line for message %.20q", first, number)
			}
			if _, asked := slices.BinarySearch(slots, Slot(slot)); asked && !hasEntry(entries, Slot(slot)) {
				former = append(former, Slot(slot))
			}
		}
	}
	slices.Sort(former)
	return slices.Compact(former), nil
}

func hasEntry(entries []Entry, slot Slot) bool {
	_, ok := slices.BinarySearchFunc(entries, slot, bySlot)
	return ok
}

func bySlot(e Entry, s Slot) int {
	switch {
	case e.Slot < s:
		return -1
	case e.Slot > s:
		return 1
	}
	return 0
}

// ranges are the ranges in which slots, ascending, lie.
func ranges(slots []Slot) []Slot {
	var firsts []Slot
	for _, s := range slots {
		if n := len(firsts); n == 0 || firsts[n-1] != s.Range() {
			firsts = append(firsts, s.Range())
		}
	}
	return firsts
}

// Strike takes messages out of a bucket, with all that is said of them, and what is left of former ones, both ascending. It
// returns the bucket without them and how many octets the messages had.
func Strike(ctx context.Context, session *repo.Session, s *Source, b Bucket, messages, former []Slot) (Bucket, int64, error) {
	e := Edit{Remove: messages, Ranges: ranges(messages)}
	e.IDs = append(slices.Clone(e.Ranges), ranges(former)...)
	slices.Sort(e.IDs)
	e.IDs = slices.Compact(e.IDs)
	var in Interner
	entries, err := s.Entries(ctx, b, func(r Slot) bool { return slices.Contains(e.IDs, r) }, &in)
	if err != nil {
		return b, 0, err
	}
	e.Entries = slices.DeleteFunc(entries, func(e Entry) bool {
		_, struck := slices.BinarySearch(messages, e.Slot)
		return struck
	})
	return EditBucket(ctx, session, s, b, e)
}

// Strange names what stands in the snapshot's tree and is not of the layout. A snapshot that is written anew would lose it.
func (s *Source) Strange() []string {
	strange := slices.Clone(s.beside)
	for i := range s.root.Nodes {
		name := s.root.Nodes[i].Name
		if !slices.Contains([]string{accountFile, ledgerFile, problemsFile, erasedFile, mailboxesFile, mailDir, metaDir}, name) {
			strange = append(strange, name)
		}
	}
	return strange
}
