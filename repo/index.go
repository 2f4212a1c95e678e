package repo

import (
	"encoding/binary"
	"sync"
)

// index answers where a blob is: all blobs of the repository in memory, 53 or 54 octets each.
//
// A blob is a record in one of 256 shards, chosen by the first octet of its ID; the IDs are hashes, so the shards fill
// evenly. Within a shard the records stand in slabs that are never moved, chained from a table of heads that doubles.
// The same blob may stand in several packs; every place is kept, so that damage to one can be survived.
//
// Records of a session's packs enter when the pack gets its place and count for that session only, until an index file
// that names them is stored: what other runs may trust is decided by durable index files alone.
type index struct {
	shards [256]shard

	mu     sync.RWMutex // guards what follows
	packs  []packInfo
	byPack map[ID]uint32

	doubts doubts
}

// packInfo is a pack as records name it, by its number.
type packInfo struct {
	id    ID
	owner *Session // whose unfinished pack it is; nil once an index file names it
	lost  bool     // it was not there when it was to be read
}

type shard struct {
	mu    sync.RWMutex // guards what follows
	heads []uint32     // number of a chain's first record + 1; a power of two long
	slabs [][]record
	n     uint32
}

// record is one place of one blob: 52 octets.
type record struct {
	id     ID
	pack   uint32 // number of the pack, shifted left by recordFlags, and recordTree
	offset uint32
	length uint32
	plain  uint32
	next   uint32 // number of the chain's next record + 1
}

const (
	recordTree = 1 << iota
	recordRaw

	recordFlags = 2   // bits
	slabSize    = 128 // records: 6.6 KB
	chainLength = 4   // records in a chain in the mean, at most
)

func newIndex() *index { return &index{byPack: map[ID]uint32{}} }

// location is where a blob is stored.
type location struct {
	pack ID
	packed
}

// addPack returns the number of a pack that an index file names.
func (x *index) addPack(id ID) uint32 {
	x.mu.Lock()
	defer x.mu.Unlock()
	if n, ok := x.byPack[id]; ok {
		x.packs[n].owner = nil
		return n
	}
	n := uint32(len(x.packs))
	x.packs = append(x.packs, packInfo{id: id})
	x.byPack[id] = n
	return n
}

// openPack returns the number of a new pack of session s, whose ID is not known yet.
func (x *index) openPack(s *Session) uint32 {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.packs = append(x.packs, packInfo{owner: s})
	return uint32(len(x.packs) - 1)
}

// publish makes a session's packs known to all: an index file names them now.
func (x *index) publish(packs []*pack) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, p := range packs {
		x.packs[p.number] = packInfo{id: p.id}
		x.byPack[p.id] = p.number
	}
}

// add notes a place of a blob. Adding what is there already changes nothing and returns false.
func (x *index) add(pack uint32, b *packed) (added bool) {
	rec := record{id: b.id, pack: pack << recordFlags, offset: b.offset, length: b.length, plain: b.plain}
	if b.typ == TreeBlob {
		rec.pack |= recordTree
	}
	s := &x.shards[b.id[0]]
	s.mu.Lock()
	defer s.mu.Unlock()
	for at := s.head(&b.id); at != 0; {
		old := s.at(at)
		if old.id == b.id && old.pack == rec.pack && old.offset == rec.offset {
			return false
		}
		at = old.next
	}
	s.insert(rec)
	return true
}

// lookup returns the places of a blob in packs that an index file names, at most four: more are not needed to survive.
func (x *index) lookup(t BlobType, id ID) []location {
	var places []location
	sh := &x.shards[id[0]]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for at := sh.head(&id); at != 0 && len(places) < 4; {
		rec := sh.at(at)
		if rec.id == id && rec.typ() == t {
			if info := x.pack(rec); info.owner == nil {
				places = append(places, location{pack: info.id, packed: rec.packed()})
			}
		}
		at = rec.next
	}
	return places
}

// pack returns what is known of the pack that rec names.
func (x *index) pack(rec *record) packInfo {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.packs[rec.number()]
}

// claim reports whether s may rely on the blob being stored; if not, it is from now on the caller's to store,
// and every later claim of the session answers true. number is the session's stand-in for a pack. A place that is known
// to be damaged is no place.
func (x *index) claim(s *Session, number uint32, t BlobType, id ID) (known bool) {
	sh := &x.shards[id[0]]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	doubted := x.doubts.take(t, id)
	for at := sh.head(&id); at != 0 && !doubted; {
		rec := sh.at(at)
		if rec.id == id && rec.typ() == t {
			if info := x.pack(rec); !info.lost && (info.owner == nil || info.owner == s) {
				return true
			}
		}
		at = rec.next
	}
	rec := record{id: id, pack: number << recordFlags}
	if t == TreeBlob {
		rec.pack |= recordTree
	}
	sh.insert(rec)
	return false
}

// settle replaces the claim by the place that the blob got.
func (x *index) settle(claimed, pack uint32, b *packed) {
	sh := &x.shards[b.id[0]]
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for at := sh.head(&b.id); at != 0; {
		rec := sh.at(at)
		if rec.id == b.id && rec.number() == claimed && rec.typ() == b.typ {
			rec.pack = pack<<recordFlags | rec.pack&recordTree
			rec.offset, rec.length, rec.plain = b.offset, b.length, b.plain
			return
		}
		at = rec.next
	}
}

// number returns the number of the pack.
func (rec *record) number() uint32 { return rec.pack >> recordFlags }

func (rec *record) typ() BlobType {
	if rec.pack&recordTree != 0 {
		return TreeBlob
	}
	return DataBlob
}

func (rec *record) packed() packed {
	return packed{id: rec.id, typ: rec.typ(), offset: rec.offset, length: rec.length, plain: rec.plain}
}

// at returns the record with number n-1.
func (s *shard) at(n uint32) *record { return &s.slabs[(n-1)/slabSize][(n-1)%slabSize] }

// chain returns which chain an ID belongs to; the first octet chose the shard.
func (s *shard) chain(id *ID) uint32 {
	return binary.LittleEndian.Uint32(id[1:]) & uint32(len(s.heads)-1)
}

func (s *shard) head(id *ID) uint32 {
	if len(s.heads) == 0 {
		return 0
	}
	return s.heads[s.chain(id)]
}

func (s *shard) insert(rec record) {
	if int(s.n) >= chainLength*len(s.heads) {
		s.heads = make([]uint32, max(64, 2*len(s.heads)))
		for n := range s.n {
			s.link(n + 1)
		}
	}
	if s.n%slabSize == 0 {
		s.slabs = append(s.slabs, make([]record, slabSize))
	}
	s.n++
	*s.at(s.n) = rec
	s.link(s.n)
}

// link puts record n-1 in front of its chain.
func (s *shard) link(n uint32) {
	rec := s.at(n)
	c := s.chain(&rec.id)
	rec.next = s.heads[c]
	s.heads[c] = n
}

// count returns how many places of blobs are known.
func (x *index) count() (n int) {
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.RLock()
		n += int(s.n)
		s.mu.RUnlock()
	}
	return n
}

// has reports whether exactly this place of a blob is known.
func (x *index) has(pack ID, b *packed) bool {
	sh := &x.shards[b.id[0]]
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for at := sh.head(&b.id); at != 0; {
		rec := sh.at(at)
		if rec.packed() == *b && x.pack(rec).id == pack {
			return true
		}
		at = rec.next
	}
	return false
}

// number returns the number of a pack that an index file names.
func (x *index) number(pack ID) uint32 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byPack[pack]
}

// inPack returns all blobs of a pack by looking at every record: for the rare pack that cannot tell itself.
func (x *index) inPack(pack ID) []packed {
	x.mu.RLock()
	number, ok := x.byPack[pack]
	x.mu.RUnlock()
	if !ok {
		return nil
	}
	var blobs []packed
	for i := range x.shards {
		sh := &x.shards[i]
		sh.mu.RLock()
		for n := range sh.n {
			if rec := sh.at(n + 1); rec.number() == number {
				blobs = append(blobs, rec.packed())
			}
		}
		sh.mu.RUnlock()
	}
	return blobs
}
