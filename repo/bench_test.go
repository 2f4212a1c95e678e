package repo

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"

	"roost/blob"
)

// BenchmarkSaveBlob measures the whole store path into a bucket in memory, all workers busy.
func BenchmarkSaveBlob(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
		hint Hint
	}{
		{"text 5.9 KB", 5900, Text},
		{"base64 500 KB", 500 << 10, Base64},
	} {
		b.Run(c.name, func(b *testing.B) {
			r, _ := newMemoryRepo(b)
			r.bucket = discard{r.bucket}
			body := benchBody(c.size, c.hint)
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			var n atomic.Uint64
			err := r.Write(b.Context(), WriteOptions{}, func(ctx context.Context, s *Session) error {
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					p := append([]byte(nil), body...)
					for pb.Next() {
						copy(p, fmt.Appendf(nil, "%020d", n.Add(1)))
						if _, _, _, err := s.SaveBlob(ctx, DataBlob, p, c.hint); err != nil {
							b.Error(err)
							return
						}
					}
				})
				b.StopTimer()
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}

// discard keeps everything but packs.
type discard struct{ blob.Bucket }

func (d discard) Save(ctx context.Context, h blob.Handle, body []byte) error {
	if h.Kind == blob.Pack {
		return nil
	}
	return d.Bucket.Save(ctx, h, body)
}

func benchBody(size int, hint Hint) []byte {
	if hint == Base64 {
		raw := make([]byte, size)
		rand.Read(raw)
		return []byte(base64.StdEncoding.EncodeToString(raw))[:size]
	}
	var p []byte
	for i := 0; len(p) < size; i++ {
		p = append(p, message(i)...)
	}
	return p[:size]
}

// BenchmarkLoadIndex measures what opening a repository of 200,000 blobs costs before the first lookup.
func BenchmarkLoadIndex(b *testing.B) {
	r, bucket := newMemoryRepo(b)
	const files, each = 4, 50_000
	for f := range files {
		p := packEntry{id: Hash([]byte{byte(f)}), blobs: make([]packed, each)}
		for i := range p.blobs {
			id := Hash(binary.BigEndian.AppendUint32(nil, uint32(f*each+i)))
			p.blobs[i] = packed{id: id, offset: uint32(i * 3000), length: 3000, plain: 5900}
		}
		if _, err := r.saveUnpacked(b.Context(), blob.Index, appendIndex(nil, []packEntry{p})); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		again, err := newRepo(bucket, r.seal.key, r.keyInUse())
		if err != nil {
			b.Fatal(err)
		}
		if err := again.LoadIndex(context.WithoutCancel(b.Context())); err != nil {
			b.Fatal(err)
		}
	}
}
