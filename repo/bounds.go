package repo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"

	"roost/blob"
)

// Whoever has the key can store anything, also what would fill the memory of its reader: a few octets that decompress to many, or
// many empty elements of a list, each of which takes more in memory than in its text. So everything that is read has a
// bound, far above what programs write.

// maxStored is how many octets an object that is JSON may have as it is stored, and how many of JSON.
func maxStored(kind blob.Kind) (stored, plain int) {
	switch kind {
	case blob.Index:
		return 256 << 20, 1 << 30 // one of 50,000 blobs has 2.5 MB, foreign ones are larger
	case blob.Snapshot:
		return 64 << 20, 64 << 20 // real ones have some 600 octets; the rest is a long list of excludes
	default:
		return 1 << 20, 1 << 20 // locks
	}
}

const (
	maxTreeBlob = 1 << 30   // octets; a flat directory of a million files has 400 MB
	maxDataBlob = 128 << 20 // octets; restic's have at most 8 MB, other programs let their users choose
)

// maxBlob is the largest blob of a type that is read, in octets.
func maxBlob(t BlobType) int {
	if t == TreeBlob {
		return maxTreeBlob
	}
	return maxDataBlob
}

// listGrowth is how many times its text a list may take in memory, and listSlack how many elements it may have in any case.
const (
	listGrowth = 4
	listSlack  = 64
)

// maxElements is how many elements a list may have that is written in so many octets.
func maxElements[T any](octets int) int {
	return listSlack + int(listGrowth*int64(octets)/int64(reflect.TypeFor[T]().Size()))
}

// elements is a list in JSON that is bounded by its text.
type elements[T any] []T

// UnmarshalJSON reads one element after the other, so that a list that is too long is refused before it is in memory.
func (l *elements[T]) UnmarshalJSON(p []byte) error {
	*l = nil
	if string(p) == "null" {
		return nil
	}
	limit := maxElements[T](len(p))
	d := json.NewDecoder(bytes.NewReader(p))
	if open, err := d.Token(); err != nil {
		return err
	} else if open != json.Delim('[') {
		return fmt.Errorf("%.20q is no list", p)
	}
	for d.More() {
		if len(*l) == limit {
			return fmt.Errorf("more than %d elements in a list of %d octets", limit, len(p))
		}
		var one T
		if err := d.Decode(&one); err != nil {
			return err
		}
		*l = append(*l, one)
	}
	return nil
}
