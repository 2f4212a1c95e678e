package find

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"roost/mail"
	"roost/repo"
	"roost/snapshot"
)

// identity is what makes a message of a mailbox the same in two snapshots.
type identity struct {
	validity uint32
	store    string
	slot     snapshot.Slot
}

// sighting is a message on its way through the snapshots.
type sighting struct {
	Found
	identity
	first, last int // indices of snapshots
	live        bool
}

// content recognises equal bytes, by the blobs that they are in.
type content [sha256.Size]byte

func contentOf(blobs []repo.ID) content {
	h := sha256.New()
	for _, id := range blobs {
		h.Write(id[:])
	}
	return content(h.Sum(nil))
}

// follow follows the messages of a part from the first snapshot to the last.
func (r *run) follow(ctx context.Context, p *part) (all []*sighting, errs []error) {
	known := make(map[identity]*sighting)
	var now state
	for i, next := range p.states {
		if next.unknown || next == now {
			continue // what cannot be read is not taken for gone
		}
		listed, err := r.list(ctx, r.sources[i], p.name, next)
		if err != nil {
			errs = append(errs, fmt.Errorf("list %s in snapshot %s: %w", p.name, r.sources[i].ID().Short(), err))
			if ctx.Err() != nil {
				return nil, errs
			}
			continue
		}
		now = next
		here := make(map[identity]bool, len(listed))
		for _, s := range listed {
			here[s.identity] = true
			s.first, s.last, s.live = i, i, true
			if old := known[s.identity]; old != nil {
				s.first = old.first
				*old = *s
				continue
			}
			known[s.identity] = s
			all = append(all, s)
		}
		for _, s := range all {
			if s.live && !here[s.identity] {
				s.live, s.last = false, i-1
			}
		}
	}
	newest := len(r.sources) - 1
	for _, s := range all {
		if s.live {
			s.last = newest
		} else {
			s.Deleted = r.sources[s.last+1].Time()
		}
		s.source = r.sources[s.last]
		s.First, s.Last = r.seen(s.first), r.seen(s.last)
	}
	slices.SortFunc(all, func(a, b *sighting) int {
		return cmp.Or(cmp.Compare(a.slot, b.slot), cmp.Compare(a.first, b.first))
	})
	return all, errs
}

func (r *run) seen(i int) Seen { return Seen{r.sources[i].ID(), r.sources[i].Time()} }

var errNoBytes = errors.New("has flags but no bytes: the snapshot is damaged")

// list is what a snapshot holds of a part.
func (r *run) list(ctx context.Context, src *snapshot.Source, name mail.Name, st state) ([]*sighting, error) {
	var in snapshot.Interner
	entries, err := src.Entries(ctx, st.bucket, nil, &in)
	if err != nil {
		return nil, err
	}
	list := make([]*sighting, 0, len(entries))
	var shard snapshot.Shard
	for i := range entries {
		e := &entries[i]
		if !shard.Holds(st.bucket, e.Slot) {
			if shard, err = src.Shard(ctx, st.bucket, e.Slot); err != nil {
				return nil, err
			}
		}
		stored, ok := shard.Find(e.Slot)
		if !ok {
			return nil, fmt.Errorf("message %s %w", e.Slot, errNoBytes)
		}
		s := &sighting{identity: identity{st.validity, st.store, e.Slot}}
		s.Mailbox, s.SourceKey, s.Found.validity, s.content = name, e.Key, st.validity, contentOf(stored.Content)
		s.Message = mail.Message{Key: e.Slot.Key(), UID: e.Slot.UID(st.validity), ModSeq: e.ModSeq, GUID: e.GUID, Flags: e.Flags,
			InternalDate: stored.Date, Size: stored.Size}
		if e.Extra != nil {
			s.Message.Extra = &e.Extra.Extra
		}
		list = append(list, s)
	}
	return list, nil
}
