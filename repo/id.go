package repo

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
)

// An ID is a SHA-256. Blobs are named by the hash of their plaintext, everything else by the hash of the stored bytes.
type ID [sha256.Size]byte

// Hash returns the ID of p.
func Hash(p []byte) ID { return sha256.Sum256(p) }

// ParseID reads 64 lower-case hex digits.
func ParseID(s string) (ID, error) {
	var id ID
	err := id.UnmarshalText([]byte(s))
	return id, err
}

// String returns the 64 hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Short returns the first eight digits, as people are shown them.
func (id ID) Short() string { return hex.EncodeToString(id[:4]) }

// IsNull reports whether id is all zero, which no object has.
func (id ID) IsNull() bool { return id == ID{} }

// MarshalText writes the 64 hex digits.
func (id ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads 64 lower-case hex digits.
func (id *ID) UnmarshalText(s []byte) error {
	if len(s) != hex.EncodedLen(len(id)) {
		return errors.New("parse id: want 64 hex digits")
	}
	for _, c := range s {
		if c >= 'A' && c <= 'F' {
			return errors.New("parse id: want lower-case hex digits")
		}
	}
	if _, err := hex.Decode(id[:], s); err != nil {
		return fmt.Errorf("parse id: %w", err)
	}
	return nil
}

// A BlobType says what a blob holds. Two blobs of different type are different even with equal bytes.
type BlobType uint8

// The two types of blob; packs hold only one of them.
const (
	DataBlob BlobType = iota // part of a file
	TreeBlob                 // a directory, see Tree
)

// String returns the type's name in index files.
func (t BlobType) String() string {
	if t == TreeBlob {
		return "tree"
	}
	return "data"
}

func compareIDs(a, b ID) int { return bytes.Compare(a[:], b[:]) }
