package backup

import (
	"slices"

	"roost/mail"
	"roost/snapshot"
)

// work is what must be done in one bucket of a mailbox.
type work struct {
	old   snapshot.Bucket // null trees: the bucket is new
	roll  roll            // what the source lists in it
	count int             // how many messages of it are new

	damaged *snapshot.Bucket // what the last snapshot has here, but cannot be kept; nil mostly

	// While its batch runs:
	folded
	items   []item  // one for each of fresh
	rescued *rescue // of damaged

	new     snapshot.Bucket // when it is done
	removed int64           // octets of messages that went
}

// item is a new message on its way into the repository.
type item struct {
	listed
	again    bool // the snapshot holds it already, otherwise than it should
	state    state
	err      error  // why it failed; nil if the whole mailbox did
	known    bool   // recognised by its GUID, not fetched
	innocent bool   // long, and not the erased message as which it begins
	altered  string // how a rule changed it
	octets   int64  // transferred
	stored   snapshot.Stored
}

// state is what became of an item. It begins as failed: what nobody answered for is not stored.
type state uint8

const (
	failed   state = iota
	stored         // its bytes are in the repository
	excluded       // by a rule
	vanished       // gone before it could be fetched
	erased         // by the user, and not wanted again
)

// edit is what the bucket becomes, once all items have their state.
func (w *work) edit() snapshot.Edit {
	e := snapshot.Edit{Ranges: w.touched, IDs: w.renamed, Remove: w.vanished}
	put := make(map[snapshot.Slot]bool)
	var entries []snapshot.Entry
	for i := range w.items {
		it := &w.items[i]
		if it.state != stored {
			continue
		}
		e.Put = append(e.Put, it.stored)
		put[it.slot] = true
		entry := entryOf(it.listed, it.altered, it.stored.Size)
		entries = append(entries, entry)
		e.Ranges = append(e.Ranges, it.slot.Range())
		e.IDs = append(e.IDs, it.slot.Range())
	}
	e.Remove = slices.DeleteFunc(slices.Clone(e.Remove), func(s snapshot.Slot) bool { return put[s] })
	for i := range w.former {
		if !put[w.former[i].Slot] {
			entries = append(entries, w.former[i])
		}
	}
	e.Entries = merge(w.keep, entries)
	e.Ranges, e.IDs = sortedOnce(e.Ranges), sortedOnce(e.IDs)
	return e
}

// merge joins two lists that share no slot to an ascending one.
func merge(a, b []snapshot.Entry) []snapshot.Entry {
	all := slices.Grow(slices.Clone(a), len(b))
	all = append(all, b...)
	slices.SortFunc(all, func(x, y snapshot.Entry) int { return compare(x.Slot, y.Slot) })
	return all
}

func sortedOnce(ranges []snapshot.Slot) []snapshot.Slot {
	ranges = slices.Clone(ranges)
	slices.Sort(ranges)
	return slices.Compact(ranges)
}

// How much one batch takes: enough to keep a pipeline full, little enough that
// several run at once in a mailbox of a few thousand messages.
const (
	batchFresh = 1024 // new messages
	batchWorks = 64   // buckets
)

// inBatches groups works that are fetched together.
func inBatches(works []*work) [][]*work {
	var batches [][]*work
	var now []*work
	fresh := 0
	for _, w := range works {
		if len(now) > 0 && (fresh+w.count > batchFresh || len(now) == batchWorks) {
			batches = append(batches, now)
			now, fresh = nil, 0
		}
		now = append(now, w)
		fresh += w.count
	}
	if len(now) > 0 {
		batches = append(batches, now)
	}
	return batches
}

func keysOf(items []*item) []mail.Key {
	keys := make([]mail.Key, len(items))
	for i, it := range items {
		keys[i] = it.m.Key
	}
	return keys
}
