package repo

// plainIndex reads an index file as restic and we write it; false if it is unlike that. A repository of a million blobs has 150 MB of
// this, and every run begins by reading it.
func plainIndex(p []byte) ([]packEntry, bool) {
	c := plain{rest: p}
	var packs []packEntry
	var starts []int // of the blobs of each pack
	all := make([]packed, 0, min(len(p)/indexBlobJSON+1, 2*maxIndexBlobs))
	c.is(`{"packs":[`)
	for first := true; c.more("]", first); first = false {
		var id ID
		starts = append(starts, len(all))
		all = c.indexPack(&id, all)
		packs = append(packs, packEntry{id: id})
	}
	c.is("}")
	if !c.end() {
		return nil, false
	}
	for i := range packs {
		end := len(all)
		if i+1 < len(packs) {
			end = starts[i+1]
		}
		packs[i].blobs = all[starts[i]:end:end]
	}
	return packs, true
}

// indexBlobJSON is what one blob takes in an index file, in octets.
const indexBlobJSON = 145

func (c *plain) indexPack(id *ID, all []packed) []packed {
	var seen fieldSet
	c.is("{")
	for first := true; c.more("}", first); first = false {
		switch name := string(c.field()); {
		case name == "id" && !seen.twice(0):
			c.id(id)
		case name == "blobs" && !seen.twice(1):
			c.is("[")
			for first := true; c.more("]", first); first = false {
				all = append(all, packed{})
				c.indexBlob(&all[len(all)-1])
			}
		default:
			c.bad = true
		}
	}
	if id.IsNull() {
		c.bad = true // let the patient reader word the error
	}
	return all
}

func (c *plain) indexBlob(b *packed) {
	var seen fieldSet
	c.is("{")
	for first := true; c.more("}", first); first = false {
		switch name := string(c.field()); {
		case name == "id" && !seen.twice(0):
			c.id(&b.id)
		case name == "type" && !seen.twice(1):
			switch {
			case c.maybe(`"data"`):
			case c.maybe(`"tree"`):
				b.typ = TreeBlob
			default:
				c.bad = true
			}
		case name == "offset" && !seen.twice(2):
			b.offset = uint32(c.number(1<<32 - 1))
		case name == "length" && !seen.twice(3):
			b.length = uint32(c.number(1<<32 - 1))
		case name == "uncompressed_length" && !seen.twice(4):
			b.plain = uint32(c.number(1<<32 - 1))
		default:
			c.bad = true
		}
	}
	if !seen.twice(1) {
		c.bad = true // no type
	}
}
