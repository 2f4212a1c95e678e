package blobtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"sync"

	"roost/blob"
)

// Memory is a bucket in memory. The zero value is empty and ready.
type Memory struct {
	mu      sync.RWMutex // guards what follows
	objects map[blob.Handle][]byte
}

// Save implements blob.Bucket.
func (m *Memory) Save(ctx context.Context, h blob.Handle, body []byte) error {
	if err := check(ctx, h); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[h]; ok {
		return fmt.Errorf("save %v: %w", h, blob.ErrExist)
	}
	if m.objects == nil {
		m.objects = map[blob.Handle][]byte{}
	}
	m.objects[h] = bytes.Clone(body)
	return nil
}

// Put stores body under h whatever was there, as damage does.
func (m *Memory) Put(h blob.Handle, body []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[h] = bytes.Clone(body)
}

// Clone returns a copy that shares nothing that can change.
func (m *Memory) Clone() *Memory {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return &Memory{objects: maps.Clone(m.objects)}
}

// Load implements blob.Bucket.
func (m *Memory) Load(ctx context.Context, h blob.Handle, limit int64) ([]byte, error) {
	body, err := m.find(ctx, h)
	if err != nil {
		return nil, err
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("load %v: %d octets, the limit is %d", h, len(body), limit)
	}
	return append([]byte{}, body...), nil
}

// ReadAt implements blob.Bucket.
func (m *Memory) ReadAt(ctx context.Context, h blob.Handle, p []byte, off int64) error {
	body, err := m.find(ctx, h)
	if err != nil {
		return err
	}
	if off > int64(len(body)) || int64(len(p)) > int64(len(body))-off {
		return fmt.Errorf("read %v at %d: %w", h, off, io.ErrUnexpectedEOF)
	}
	copy(p, body[off:])
	return nil
}

// Stat implements blob.Bucket.
func (m *Memory) Stat(ctx context.Context, h blob.Handle) (int64, error) {
	body, err := m.find(ctx, h)
	return int64(len(body)), err
}

func (m *Memory) find(ctx context.Context, h blob.Handle) ([]byte, error) {
	if err := check(ctx, h); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	body, ok := m.objects[h]
	if !ok {
		return nil, fmt.Errorf("find %v: %w", h, blob.ErrNotExist)
	}
	return body, nil
}

// List implements blob.Bucket.
func (m *Memory) List(ctx context.Context, kind blob.Kind) iter.Seq2[blob.Entry, error] {
	return func(yield func(blob.Entry, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(blob.Entry{}, err)
			return
		}
		m.mu.RLock()
		objects := maps.Clone(m.objects)
		m.mu.RUnlock()
		for h, body := range objects {
			if h.Kind == kind && kind != blob.Config && !yield(blob.Entry{Name: h.Name, Size: int64(len(body))}, nil) {
				return
			}
		}
	}
}

// Remove implements blob.Bucket.
func (m *Memory) Remove(ctx context.Context, h blob.Handle) error {
	if _, err := m.find(ctx, h); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, h)
	return nil
}

// Close implements blob.Bucket.
func (m *Memory) Close() error { return nil }

func check(ctx context.Context, h blob.Handle) error {
	if err := h.Valid(); err != nil {
		return err
	}
	return ctx.Err()
}
