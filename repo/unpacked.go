package repo

import (
	"context"
	"errors"
	"fmt"

	"roost/blob"
)

// Snapshots, indexes and locks are sealed JSON, compressed behind a version byte: 0x02 || zstd(JSON).
// Older and foreign ones may be bare JSON, told by its first byte.
const unpackedVersion = 2

// saveUnpacked stores the JSON p and returns the ID under which it now is.
func (r *Repo) saveUnpacked(ctx context.Context, kind blob.Kind, p []byte) (ID, error) {
	// An index has 8 MB of JSON, a third of that compressed: it is sealed where it stands.
	body := make([]byte, ivSize+1, ivSize+1+len(p)/2+sealOverhead)
	body[ivSize] = unpackedVersion
	body = r.codec.compress(body, p, Text)
	sealed := r.seal.seal(body[:0], body[ivSize:])
	id := Hash(sealed)
	return id, r.bucket.Save(ctx, blob.Handle{Kind: kind, Name: id.String()}, sealed)
}

// loadUnpacked returns the JSON of an object, after comparing the stored bytes with its name.
func (r *Repo) loadUnpacked(ctx context.Context, kind blob.Kind, id ID) ([]byte, error) {
	h := blob.Handle{Kind: kind, Name: id.String()}
	stored, plain := maxStored(kind)
	body, err := r.bucket.Load(ctx, h, int64(stored))
	if err != nil {
		return nil, err
	}
	if Hash(body) != id {
		return nil, fmt.Errorf("load %v: %w", h, errHash)
	}
	p, err := r.openUnpacked(body, plain)
	if err != nil {
		return nil, fmt.Errorf("load %v: %w", h, damaged(err))
	}
	return p, nil
}

// errHash says that stored bytes are not those that their name promises.
var errHash = fmt.Errorf("bytes do not match the name: %w", ErrDamaged)

// damaged is err as a kind of ErrDamaged.
func damaged(err error) error {
	if err == nil || errors.Is(err, ErrDamaged) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// openUnpacked decrypts body in place and returns the JSON in it, at most limit octets.
func (r *Repo) openUnpacked(body []byte, limit int) ([]byte, error) {
	p, err := r.seal.open(body)
	if err != nil {
		return nil, err
	}
	return r.codec.unpack(p, limit)
}

// unpack returns the JSON behind the version byte.
func (c *codec) unpack(p []byte, limit int) ([]byte, error) {
	if len(p) == 0 {
		return nil, errors.New("object is empty")
	}
	switch p[0] {
	case '{', '[':
		if len(p) > limit {
			return nil, fmt.Errorf("more than %d octets", limit)
		}
		return p, nil
	case unpackedVersion:
		return c.decompress(nil, p[1:], min(4*len(p), limit), limit)
	}
	return nil, fmt.Errorf("unknown version byte %#02x", p[0])
}
