package maildir

import (
	"bytes"

	"roost/mail"
)

// A mailbox may hold a million files, so what is known of one takes 12 octets
// beside its name, and names stand behind each other in slabs: a string of its own
// for each would cost the header of that string and what the allocator rounds up.

// names are the names of files. The zero value is empty.
type names struct {
	slabs []string
	open  []byte // the slab that is being filled
}

// slabSize is small, since a key that somebody keeps holds its slab.
const slabSize = 8 << 10

// file is one message as the directories show it.
type file struct {
	slab           uint32
	at, size, base uint16 // in the slab; octets of the name, and of its base name
	dir            subdir
	twin           bool // another file has the same base name; the key is the whole name
}

// add adds a name without its directory. Nothing can be asked of it before seal.
func (n *names) add(name []byte, dir subdir) file {
	if len(n.open)+len(name) > slabSize {
		n.seal()
	}
	base := bytes.IndexByte(name, ':')
	if base < 0 {
		base = baseLen(string(name))
	}
	f := file{slab: uint32(len(n.slabs)), at: uint16(len(n.open)), size: uint16(len(name)), base: uint16(base), dir: dir}
	n.open = append(n.open, name...)
	return f
}

// seal ends the slab that is being filled.
func (n *names) seal() {
	n.slabs = append(n.slabs, string(n.open))
	n.open = n.open[:0]
}

// name is the name of a file without its directory.
func (n *names) name(f file) string { return n.slabs[f.slab][f.at : f.at+f.size] }

func (n *names) baseName(f file) string { return n.slabs[f.slab][f.at : f.at+f.base] }

func (n *names) key(f file) mail.Key {
	switch {
	case !f.twin:
		return mail.Key(n.baseName(f))
	case f.dir == fresh:
		return mail.Key("new/" + n.name(f)) // no file name has a slash
	}
	return mail.Key("cur/" + n.name(f))
}

func (n *names) path(f file) string { return f.dir.String() + "/" + n.name(f) }
