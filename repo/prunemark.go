package repo

// marks are a bit for each record of an index: whether that place of its blob is needed. Nobody writes to the index meanwhile.
type marks struct {
	x     *index
	packs []packUse
	bits  [256][]uint64 // by shard and record
}

func newMarks(x *index, packs []packUse) *marks {
	m := &marks{x: x, packs: packs}
	for i := range m.bits {
		m.bits[i] = make([]uint64, (x.shards[i].n+63)/64)
	}
	return m
}

// has reports whether record n-1 of a shard is marked.
func (m *marks) has(shard int, n uint32) bool { return m.bits[shard][(n-1)/64]>>((n-1)%64)&1 != 0 }

func (m *marks) mark(shard int, n uint32)  { m.bits[shard][(n-1)/64] |= 1 << ((n - 1) % 64) }
func (m *marks) clear(shard int, n uint32) { m.bits[shard][(n-1)/64] &^= 1 << ((n - 1) % 64) }

// places yields the records of a blob in packs that are there.
func (m *marks) places(t BlobType, id *ID, yield func(n uint32, rec *record)) {
	sh := &m.x.shards[id[0]]
	for at := sh.head(id); at != 0; {
		rec := sh.at(at)
		next := rec.next
		if rec.id == *id && rec.typ() == t && m.packs[rec.number()].size != missing {
			yield(at, rec)
		}
		at = next
	}
}

// set marks all places of a blob. fresh: it was not marked before; there: it has a place.
func (m *marks) set(t BlobType, id ID) (fresh, there bool) {
	m.places(t, &id, func(n uint32, _ *record) {
		there = true
		if !m.has(int(id[0]), n) {
			fresh = true
			m.mark(int(id[0]), n)
		}
	})
	return fresh, there
}

// each calls fn for every record.
func (m *marks) each(fn func(shard int, n uint32, rec *record, marked bool)) {
	for i := range m.x.shards {
		sh := &m.x.shards[i]
		for n := uint32(1); n <= sh.n; n++ {
			fn(i, n, sh.at(n), m.has(i, n))
		}
	}
}

// chooseCopies leaves one mark for each blob that stands in several places: in the pack that has most of what stands nowhere else, so that
// as few packs as can be are needed.
func (m *marks) chooseCopies() {
	alone := make([]int64, len(m.packs)) // octets of blobs that are needed and stand nowhere else
	dead := make([]int64, len(m.packs))  // octets that are not needed
	copies := func(rec *record) (n int) {
		m.places(rec.typ(), &rec.id, func(uint32, *record) { n++ })
		return n
	}
	twice := false
	m.each(func(_ int, _ uint32, rec *record, marked bool) {
		switch {
		case !marked:
			dead[rec.number()] += int64(rec.length)
		case copies(rec) == 1:
			alone[rec.number()] += int64(rec.length)
		default:
			twice = true
		}
	})
	if !twice {
		return
	}
	better := func(a, b *record) bool {
		na, nb := a.number(), b.number()
		switch {
		case alone[na] != alone[nb]:
			return alone[na] > alone[nb]
		case dead[na] != dead[nb]:
			return dead[na] < dead[nb]
		case na != nb:
			return compareIDs(m.packs[na].id, m.packs[nb].id) < 0
		}
		return a.offset < b.offset
	}
	m.each(func(shard int, n uint32, rec *record, marked bool) {
		if !marked {
			return
		}
		best, at := rec, n
		m.places(rec.typ(), &rec.id, func(other uint32, o *record) {
			if better(o, best) {
				best, at = o, other
			}
		})
		m.places(rec.typ(), &rec.id, func(other uint32, _ *record) { m.clear(shard, other) })
		m.mark(shard, at)
	})
}

// needed reports whether exactly this place of a blob is marked.
func (m *marks) needed(pack uint32, b *packed) (marked bool) {
	m.places(b.typ, &b.id, func(n uint32, rec *record) {
		marked = marked || rec.number() == pack && rec.offset == b.offset && m.has(int(b.id[0]), n)
	})
	return marked
}
