package repo

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/klauspost/compress/zstd"
)

// A Hint says what kind of bytes a blob holds, so that no time goes into what cannot pay. It changes size, never content.
type Hint uint8

// The hints.
const (
	Text   Hint = iota // anything: matches are searched
	Base64             // few or no matches: only the literals are packed, 8 bits into 6
)

// zstdWindow is restic's window. A larger one costs memory in each encoder, and blobs are small.
const zstdWindow = 512 << 10

// A codec compresses and decompresses. Safe for concurrent use.
type codec struct {
	text   *zstd.Encoder
	base64 *zstd.Encoder
	dec    *zstd.Decoder
}

func newCodec() (*codec, error) {
	workers := zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0))
	common := []zstd.EOption{workers, zstd.WithEncoderCRC(false), zstd.WithWindowSize(zstdWindow)}
	text, err := zstd.NewWriter(nil, append(common[:len(common):len(common)], zstd.WithEncoderLevel(zstd.SpeedDefault))...)
	if err != nil {
		return nil, fmt.Errorf("make encoder: %w", err)
	}
	base64, err := zstd.NewWriter(nil, append(common[:len(common):len(common)],
		// At the fast levels the encoder leaves literals as they are when it finds no match, which is what base64 is made of.
		zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithAllLitEntropyCompression(true))...)
	if err != nil {
		return nil, fmt.Errorf("make encoder: %w", err)
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, fmt.Errorf("make decoder: %w", err)
	}
	return &codec{text: text, base64: base64, dec: dec}, nil
}

// compress appends the zstd frame of p, which is not empty, to dst.
func (c *codec) compress(dst, p []byte, hint Hint) []byte {
	if hint == Base64 {
		return c.base64.EncodeAll(p, dst)
	}
	return c.text.EncodeAll(p, dst)
}

// decompress returns the contents of the frames in p, at most limit octets. size is what is expected, to allocate
// once; it may be wrong. buf's space is used if it suffices.
func (c *codec) decompress(buf, p []byte, size, limit int) ([]byte, error) {
	if size > limit {
		return nil, fmt.Errorf("decompress: %d octets announced, the limit is %d", size, limit)
	}
	buf = grow(buf[:0], size)[:0]
	for {
		// The decoder stops at the capacity, so a bomb cannot grow beyond what we offer.
		out, err := c.dec.DecodeAll(p, buf[:0:cap(buf)])
		if err == nil {
			if len(out) > limit {
				return nil, fmt.Errorf("decompress: more than %d octets", limit)
			}
			return out, nil
		}
		if !errors.Is(err, zstd.ErrDecoderSizeExceeded) {
			return nil, fmt.Errorf("decompress: %w", err)
		}
		if cap(buf) >= limit {
			return nil, fmt.Errorf("decompress: more than %d octets", limit)
		}
		buf = make([]byte, 0, min(limit, max(4*cap(buf), 4*len(p), 64<<10)))
	}
}
