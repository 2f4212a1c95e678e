// Package blob stores named immutable bytes: the objects of a repository, wherever it lives.
// It knows kinds, names and sizes, never what the bytes mean; an object is written once, whole, and never changed.
package blob

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// ErrNotExist says that the bucket holds no object under that handle.
var ErrNotExist = errors.New("object does not exist")

// ErrExist says that the bucket already holds an object under that handle; it was left as it is.
var ErrExist = errors.New("object exists already")

// A Kind is one of the six sorts of object that a repository has.
type Kind uint8

// The kinds, in the order in which a repository is read.
const (
	Config   Kind = iota // one object, without a name
	Key                  // master key, wrapped by a password
	Lock                 // who works in the repository just now
	Snapshot             // root of a saved tree
	Index                // where the blobs are
	Pack                 // the blobs themselves
)

// String returns the kind's folder name, as every restic bucket spells it.
func (k Kind) String() string {
	switch k {
	case Config:
		return "config"
	case Key:
		return "keys"
	case Lock:
		return "locks"
	case Snapshot:
		return "snapshots"
	case Index:
		return "index"
	case Pack:
		return "data"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Kinds returns all kinds but Config: those that have a folder and can be listed.
func Kinds() []Kind { return []Kind{Key, Lock, Snapshot, Index, Pack} }

// A Handle is the full name of an object.
type Handle struct {
	Kind Kind
	Name string // 64 lower-case hex digits, SHA-256 of the bytes; empty for Config
}

// String returns the handle as people know it, such as "index/0123abcd".
func (h Handle) String() string {
	if h.Kind == Config {
		return h.Kind.String()
	}
	return h.Kind.String() + "/" + h.Name
}

// Valid returns nil if a bucket may use h, an error that names what is wrong otherwise.
// Names come from listings and from files that others wrote, so every driver asks before it builds a path.
func (h Handle) Valid() error {
	if h.Kind == Config {
		if h.Name != "" {
			return fmt.Errorf("config has no name, got %q", h.Name)
		}
		return nil
	}
	if h.Kind > Pack {
		return fmt.Errorf("unknown %v", h.Kind)
	}
	if !validName(h.Name) {
		return fmt.Errorf("%v: bad object name %q", h.Kind, h.Name)
	}
	return nil
}

func validName(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// An Entry is one line of a listing.
type Entry struct {
	Name string
	Size int64 // octets as stored
}

// A Bucket is a place that keeps objects. All methods may be called concurrently, and other programs may use
// the same place at the same time. Errors name the handle; a cancelled ctx ends a call early with ctx's error,
// except that Save may nevertheless have happened.
type Bucket interface {
	// Save stores body under h. It is atomic (readers see all of it or nothing) and durable when Save returns nil.
	// If h exists, Save changes nothing and returns ErrExist; for Config that holds even between two callers at
	// once, for other kinds two callers at once may both succeed, which is harmless as equal names mean equal bytes.
	// After an error the object may or may not be there. Save does not keep body.
	Save(ctx context.Context, h Handle, body []byte) error

	// Load returns all bytes of h: ErrNotExist if there is none, and an error without reading on if there are more
	// than limit. It does not compare them with the name.
	Load(ctx context.Context, h Handle, limit int64) ([]byte, error)

	// ReadAt fills p with the bytes of h from offset off. Fewer bytes than that is io.ErrUnexpectedEOF, no object
	// is ErrNotExist. An empty p reads nothing and still tells whether h exists.
	ReadAt(ctx context.Context, h Handle, p []byte, off int64) error

	// Stat returns the size of h in octets, or ErrNotExist.
	Stat(ctx context.Context, h Handle) (int64, error)

	// List yields every object of a kind once, in no order. Names that cannot be ours are passed over. A yielded
	// error ends the listing, and then it is not complete. An object saved or removed meanwhile may be in it or not.
	// A folder that is missing is an empty one. Config is not listed.
	List(ctx context.Context, kind Kind) iter.Seq2[Entry, error]

	// Remove deletes h, or returns ErrNotExist.
	Remove(ctx context.Context, h Handle) error

	// Close lets go of connections. The bucket is not used after it.
	Close() error
}

// Parallel is an optional power of a bucket: to say how many objects it is good to save in it at once.
type Parallel interface {
	// Parallel returns a number from 2 up. Whoever saves so many holds so many in memory.
	Parallel() int
}

// ParallelOf returns how many objects it is good to save in b at once. One that does not say is a disk, which takes
// an object in less time than it takes to make one.
func ParallelOf(b Bucket) int {
	if p, ok := b.(Parallel); ok {
		return p.Parallel()
	}
	return 2
}
