package backup

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"roost/snapshot"
)

// knownGUIDs finds messages by GUID: those of the last snapshot, in whatever
// mailbox they stood, and those of this run in accounts that show one message in
// several mailboxes. So what was moved is not fetched again.
type knownGUIDs struct {
	prev     *snapshot.Source // nil: no snapshot of this store
	identity string           // of the store

	once   sync.Once // builds places, when first asked
	err    error
	places map[guidDigest]place

	mu      sync.Mutex // guards what follows
	buckets map[int32][]snapshot.Bucket
	run     map[guidDigest]snapshot.Stored // nil: this run does not remember
}

// guidDigest stands for a GUID, which may be long, in 16 octets. It is cut from
// a SHA-256, so that no two GUIDs of a mailbox can be made to share one.
type guidDigest [16]byte

func digestOf(guid string) guidDigest {
	sum := sha256.Sum256([]byte(guid))
	return guidDigest(sum[:16])
}

// place is where a message stands in the last snapshot.
type place struct {
	slot snapshot.Slot
	box  int32
}

// remember makes the messages of this run known as well.
func (k *knownGUIDs) remember() { k.run = make(map[guidDigest]snapshot.Stored) }

// add notes a message of this run.
func (k *knownGUIDs) add(guid string, m snapshot.Stored) {
	if k.run == nil || guid == "" {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.run[digestOf(guid)] = m
}

// find returns the stored message with that GUID. Its slot is that of the place
// where it was found.
func (k *knownGUIDs) find(ctx context.Context, guid string) (snapshot.Stored, bool, error) {
	if guid == "" || k.prev == nil && k.run == nil {
		return snapshot.Stored{}, false, nil
	}
	digest := digestOf(guid)
	if k.run != nil {
		k.mu.Lock()
		m, ok := k.run[digest]
		k.mu.Unlock()
		if ok {
			return m, true, nil
		}
	}
	if k.prev == nil {
		return snapshot.Stored{}, false, nil
	}
	k.once.Do(func() { k.err = k.read(ctx) })
	if k.err != nil {
		return snapshot.Stored{}, false, fmt.Errorf("read the identities of the last snapshot: %w", k.err)
	}
	at, ok := k.places[digest]
	if !ok {
		return snapshot.Stored{}, false, nil
	}
	return k.load(ctx, at)
}

// read collects the GUIDs of the last snapshot: 45 octets a message in memory.
// What is damaged is passed over: its messages are not recognised.
func (k *knownGUIDs) read(ctx context.Context) error {
	k.places = make(map[guidDigest]place)
	k.buckets = make(map[int32][]snapshot.Bucket)
	var in snapshot.Interner
	boxes := k.prev.Boxes()
	for i := range boxes {
		if boxes[i].Messages == 0 || k.prev.StoreOf(&boxes[i]) != k.identity {
			continue
		}
		buckets, _ := k.prev.BucketsLeft(ctx, boxes[i].Name)
		if err := ctx.Err(); err != nil {
			return err
		}
		k.buckets[int32(i)] = buckets
		for _, b := range buckets {
			entries, err := k.prev.Entries(ctx, b, nil, &in)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err != nil {
				continue
			}
			for j := range entries {
				if e := &entries[j]; e.GUID != "" && (e.Extra == nil || e.Extra.Altered == "") {
					k.places[digestOf(e.GUID)] = place{slot: e.Slot, box: int32(i)}
				}
			}
		}
	}
	return nil
}

func (k *knownGUIDs) load(ctx context.Context, at place) (snapshot.Stored, bool, error) {
	for _, b := range k.buckets[at.box] {
		if b.First != at.slot.Bucket() {
			continue
		}
		shard, err := k.prev.Shard(ctx, b, at.slot)
		if err != nil {
			return snapshot.Stored{}, false, ctx.Err() // of a damaged one nothing is known
		}
		m, ok := shard.Find(at.slot)
		return m, ok && k.prev.Trusts(&m), nil
	}
	return snapshot.Stored{}, false, nil
}
