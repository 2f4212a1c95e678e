package repo

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A pack is
//
//	blob || blob || ... || sealed header || length of the sealed header, 4 octets, little-endian
//
// without gaps, so that offsets follow from the order. A header entry is
//
//	type 1 | stored length 4 | [plaintext length 4] | ID 32
//
// where type is 0 data, 1 tree, 2 data compressed, 3 tree compressed; only compressed ones have the plaintext length.
const (
	packTypeTree       = 1
	packTypeCompressed = 2

	packEntryRaw  = 1 + 4 + len(ID{})
	packEntryZstd = packEntryRaw + 4
	packLength    = 4 // octets of the length at the end

	maxPackHeader = 16 << 20 // octets, as restic
	maxPackBlobs  = (maxPackHeader - sealOverhead) / packEntryZstd
	minPackSize   = packLength + sealOverhead
)

// A packed is one blob in a pack.
type packed struct {
	id     ID
	typ    BlobType
	offset uint32 // octets from the start of the pack
	length uint32 // octets stored, with the sealing
	plain  uint32 // octets of plaintext; 0 if not compressed, as an empty blob never is
}

// raw reports whether the blob is stored without compression.
func (b *packed) raw() bool { return b.plain == 0 }

// size returns the octets of plaintext.
func (b *packed) size() uint32 {
	if b.raw() {
		return max(b.length, sealOverhead) - sealOverhead
	}
	return b.plain
}

// headerSize returns the octets that the blob takes in a pack's header.
func (b *packed) headerSize() int {
	if b.raw() {
		return packEntryRaw
	}
	return packEntryZstd
}

// appendHeader appends the header's plaintext.
func appendHeader(dst []byte, blobs []packed) []byte {
	for i := range blobs {
		b := &blobs[i]
		t := byte(b.typ)
		if !b.raw() {
			t |= packTypeCompressed
		}
		dst = binary.LittleEndian.AppendUint32(append(dst, t), b.length)
		if !b.raw() {
			dst = binary.LittleEndian.AppendUint32(dst, b.plain)
		}
		dst = append(dst, b.id[:]...)
	}
	return dst
}

// decodeHeader reads the header's plaintext.
func decodeHeader(p []byte) ([]packed, error) {
	blobs := make([]packed, 0, len(p)/packEntryZstd+1)
	var offset uint64
	for len(p) > 0 {
		t := p[0]
		if t > packTypeTree|packTypeCompressed {
			return nil, fmt.Errorf("decode pack header: unknown blob type %d", t)
		}
		b := packed{typ: BlobType(t & packTypeTree)}
		size := packEntryRaw
		if t&packTypeCompressed != 0 {
			size = packEntryZstd
		}
		if len(p) < size {
			return nil, errors.New("decode pack header: cut short")
		}
		b.length = binary.LittleEndian.Uint32(p[1:])
		if size == packEntryZstd {
			b.plain = binary.LittleEndian.Uint32(p[5:])
		}
		b.id = ID(p[size-len(b.id):])
		if offset+uint64(b.length) > 1<<32-1 {
			return nil, errors.New("decode pack header: more than 4 GiB")
		}
		b.offset = uint32(offset)
		offset += uint64(b.length)
		blobs = append(blobs, b)
		p = p[size:]
	}
	return blobs, nil
}

// packSize returns what a pack of these blobs must measure, in octets.
func packSize(blobs []packed) int64 {
	n := int64(minPackSize)
	for i := range blobs {
		n += int64(blobs[i].length) + int64(blobs[i].headerSize())
	}
	return n
}

// splitPack returns the sealed header of a whole pack and the octets before it.
func splitPack(p []byte) (header, blobs []byte, err error) {
	if len(p) < minPackSize {
		return nil, nil, fmt.Errorf("pack has %d octets, want at least %d", len(p), minPackSize)
	}
	rest := p[:len(p)-packLength]
	n := uint64(binary.LittleEndian.Uint32(p[len(rest):]))
	if n < sealOverhead || n > uint64(len(rest)) || n > maxPackHeader {
		return nil, nil, fmt.Errorf("pack header of %d octets in a pack of %d", n, len(p))
	}
	cut := len(rest) - int(n)
	return rest[cut:], rest[:cut], nil
}
