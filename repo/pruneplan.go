package repo

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// An UnusedLimit says how much that is not needed may stay in a repository. The zero value is nothing.
type UnusedLimit struct {
	percent float64 // of all that is left
	octets  int64
}

// UnusedUnlimited lets all stay that shares its pack with something that is needed.
func UnusedUnlimited() UnusedLimit { return UnusedLimit{octets: math.MaxInt64} }

// UnusedOctets lets so many octets stay.
func UnusedOctets(n int64) UnusedLimit { return UnusedLimit{octets: n} }

// UnusedPercent lets so many parts of a hundred stay, of all that is left; 100 and more are no limit.
func UnusedPercent(p float64) UnusedLimit {
	if p >= 100 {
		return UnusedUnlimited()
	}
	return UnusedLimit{percent: p}
}

// ParseUnusedLimit reads "5%", "unlimited", or a number of octets by parse.
func ParseUnusedLimit(text string, parse func(string) (int64, error)) (UnusedLimit, error) {
	text = strings.TrimSpace(text)
	if text == "unlimited" {
		return UnusedUnlimited(), nil
	}
	if number, ok := strings.CutSuffix(text, "%"); ok {
		p, err := strconv.ParseFloat(number, 64)
		if err != nil || math.IsNaN(p) || p < 0 {
			return UnusedLimit{}, fmt.Errorf("%q is no share: write it as 5%%", text)
		}
		return UnusedPercent(p), nil
	}
	n, err := parse(text)
	if err != nil {
		return UnusedLimit{}, fmt.Errorf("%q is neither a share, as 5%%, nor a size, as 500M, nor unlimited", text)
	}
	return UnusedOctets(n), nil
}

// of returns the limit in octets, beside so many that are needed.
func (l UnusedLimit) of(used int64) int64 {
	if l.percent > 0 {
		return int64(l.percent / (100 - l.percent) * float64(used))
	}
	return l.octets
}

// missing is the size of a pack that is not there.
const missing = -1

// packUse is what a pack holds, and what is to become of it.
type packUse struct {
	id     ID
	size   int64 // octets of the object; missing if it is not there
	named  int64 // octets that it must have, as the index says
	used   int64 // octets of blobs that stay
	unused int64
	data   bool // it has data blobs
	trees  bool // it has tree blobs
	fate   fate
}

type fate uint8

const (
	keepPack fate = iota
	repackPack
	removePack
)

// tree reports whether the pack is not one of data alone. Such packs are read by everybody, and kept tidy whatever the limits.
func (u *packUse) tree() bool { return u.trees }

const (
	handful    = 10 // packs or index files that are small, and yet not worth the trouble
	smallShare = 25 // a pack that is smaller than this part of a whole one is small
)

// decidePacks says what becomes of each pack. Like restic's prune: packs that nobody needs go; those that are not full of what is needed are
// copied, the emptiest first, until few enough is left that is not needed; and small ones if there are many.
func decidePacks(packs []packUse, o *PruneOptions) {
	var candidates, small []*packUse
	var used, unused int64 // unused: in packs that stay
	whole := int64(o.PackSize) / smallShare
	if o.Small {
		whole = int64(o.PackSize) / 5 * 4
	}
	for i := range packs {
		u := &packs[i]
		used += u.used
		switch {
		case u.used == 0:
			u.fate = removePack
			continue
		case u.unused == 0 && !(u.data && u.trees) && u.size >= whole:
		case u.unused == 0 && !(u.data && u.trees):
			small = append(small, u)
		default:
			candidates = append(candidates, u)
		}
		unused += u.unused
	}
	if len(small) >= handful {
		candidates = append(candidates, small...)
	}
	slices.SortFunc(candidates, func(a, b *packUse) int { return compareCandidates(a, b, o.Small, whole) })
	limit := o.MaxUnused.of(used)
	var copied int64
	for _, u := range candidates {
		size := u.used + u.unused
		if o.MaxRepack > 0 && copied+size > o.MaxRepack || !u.tree() && unused <= limit && size >= whole {
			continue
		}
		u.fate = repackPack
		copied += size
		unused -= u.unused
	}
}

// compareCandidates orders packs: what is to be copied first comes first.
func compareCandidates(a, b *packUse, small bool, whole int64) int {
	first := func(a, b bool) int {
		if a == b {
			return 0
		}
		if a {
			return -1
		}
		return 1
	}
	if small {
		if c := first(a.used+a.unused < whole, b.used+b.unused < whole); c != 0 {
			return c
		}
	}
	share := func(u *packUse) float64 { return float64(u.unused) / float64(u.used) }
	return cmp.Or(first(a.tree(), b.tree()), cmp.Compare(share(b), share(a)), compareIDs(a.id, b.id))
}

// countUse sums up what each pack holds, and refuses packs that are not as the index says.
func (p *pruner) countUse() error {
	for i := range p.packs {
		p.packs[i].named = minPackSize
	}
	p.marks.each(func(_ int, _ uint32, rec *record, marked bool) {
		u := &p.packs[rec.number()]
		b := rec.packed()
		u.named += int64(b.length) + int64(b.headerSize())
		u.trees = u.trees || b.typ == TreeBlob
		u.data = u.data || b.typ == DataBlob
		if marked {
			u.used += int64(b.length)
		} else {
			u.unused += int64(b.length)
		}
	})
	for i := range p.packs {
		if u := &p.packs[i]; u.size != missing && u.size != u.named {
			return fmt.Errorf("%w: pack %v has %d octets, want %d", ErrDamagedRepository, u.id, u.size, u.named)
		}
	}
	return nil
}

// decide says what becomes of the packs, and tells of it.
func (p *pruner) decide() {
	decidePacks(p.packs, &p.o)
	for i := range p.packs {
		u := &p.packs[i]
		p.report.Used += u.used
		if u.size != missing {
			p.report.Unused += u.unused
		}
		switch u.fate {
		case keepPack:
			p.report.Kept++
			p.report.Remaining += u.unused
		case repackPack:
			p.report.Repacked++
			p.report.Copied += u.used
		case removePack:
			p.report.Removed++
		}
	}
	p.total = len(p.unnamed) + 2*p.report.Repacked + p.report.Removed
}
