package repo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"roost/blob"
)

// inOrder are blobs as they stand in their pack.
func inOrder(blobs []packed) []packed {
	return slices.SortedFunc(slices.Values(blobs), func(a, b packed) int { return int(int64(a.offset) - int64(b.offset)) })
}

// read loads a pack and the entries of its header.
func (m *mender) read(ctx context.Context, id ID) (p []byte, blobs []packed, err error) {
	p, err = m.repo.bucket.Load(ctx, blob.Handle{Kind: blob.Pack, Name: id.String()}, maxPack)
	if err != nil {
		if !errors.Is(err, blob.ErrNotExist) { // it may be whole: a line that fails must cost no mail
			m.mu.Lock()
			m.broken = cmp.Or(m.broken, err)
			m.mu.Unlock()
		}
		return nil, nil, err
	}
	if Hash(p) != id {
		err = errHash
	}
	sealed, _, splitErr := splitPack(p)
	if splitErr != nil {
		return p, nil, errors.Join(err, splitErr)
	}
	header, openErr := m.repo.seal.open(slices.Clone(sealed))
	if openErr != nil {
		return p, nil, errors.Join(err, fmt.Errorf("pack header: %w", openErr))
	}
	blobs, decodeErr := decodeHeader(header)
	if err == nil && decodeErr == nil && packSize(blobs) != int64(len(p)) {
		err = errors.New("pack and its header differ in size")
	}
	return p, blobs, errors.Join(err, decodeErr)
}

// good returns those of blobs that can be read in the pack p; an error if not all.
func (m *mender) good(p []byte, blobs []packed) (good []packed, err error) {
	for i := range blobs {
		b := &blobs[i]
		if _, openErr := m.open(p, b); openErr != nil {
			err = openErr
			continue
		}
		good = append(good, *b)
	}
	return good, err
}

func (m *mender) open(p []byte, b *packed) ([]byte, error) {
	end := uint64(b.offset) + uint64(b.length)
	if end > uint64(len(p)) {
		return nil, fmt.Errorf("blob %v: behind the end of the pack", b.id)
	}
	return m.repo.openBlob(b, slices.Clone(p[b.offset:end]), nil)
}

// salvage copies what is good in packs that are not whole, and is nowhere else, into new packs.
func (m *mender) salvage(ctx context.Context, l *Lock) error {
	if err := m.repo.LoadIndex(ctx); err != nil {
		return err
	}
	for id := range m.bad {
		m.repo.index.Load().lose(id) // what is in it counts as not stored
	}
	if m.o.DryRun {
		return m.salvageAll(ctx, func(BlobType, []byte) error { return nil })
	}
	return m.repo.write(ctx, l, WriteOptions{}, func(ctx context.Context, s *Session) error {
		return m.salvageAll(ctx, func(t BlobType, p []byte) error {
			_, known, _, err := s.SaveBlob(ctx, t, p, Text)
			if err == nil && !known {
				m.report.Saved++
			}
			return err
		})
	})
}

func (m *mender) salvageAll(ctx context.Context, save func(BlobType, []byte) error) error {
	for _, id := range slices.SortedFunc(maps.Keys(m.bad), func(a, b ID) int { return bytes.Compare(a[:], b[:]) }) {
		bad := m.bad[id]
		bad.problem = &Problem{Object: blob.Handle{Kind: blob.Pack, Name: id.String()}, Errs: []error{bad.why}}
		m.report.BadPacks = append(m.report.BadPacks, bad.problem)
		var p []byte
		if bad.there {
			var told []packed
			var err error
			if p, told, err = m.read(ctx, id); m.broken != nil {
				return cmp.Or(context.Cause(ctx), m.broken)
			} else if p == nil {
				bad.problem.Errs = append(bad.problem.Errs, err)
			}
			bad.blobs = union(bad.blobs, told)
		}
		for i := range bad.blobs {
			b := &bad.blobs[i]
			plain, err := m.open(p, b)
			if err != nil {
				bad.spoilt = append(bad.spoilt, *b)
				continue
			}
			if err := save(b.typ, plain); err != nil {
				return err
			}
			m.found[typedID{b.typ, b.id}] = true
		}
	}
	return nil
}

// countLost notes which blobs of the packs that are not whole are nowhere else.
func (m *mender) countLost(ctx context.Context) error {
	if err := m.repo.LoadIndex(ctx); err != nil {
		return err
	}
	for _, bad := range m.bad {
		for _, b := range bad.spoilt {
			pack, there := m.repo.BlobPack(b.typ, b.id)
			if m.o.DryRun {
				there = there && m.named[pack]
			}
			if !there && !m.found[typedID{b.typ, b.id}] && !slices.Contains(bad.problem.Blobs, b.id) {
				bad.problem.Blobs = append(bad.problem.Blobs, b.id)
			}
		}
	}
	return nil
}

// union are the places in both lists, each once.
func union(a, b []packed) []packed {
	for _, p := range b {
		if !slices.Contains(a, p) {
			a = append(a, p)
		}
	}
	return a
}
