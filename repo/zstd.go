package repo

import (
	"io"

	"github.com/klauspost/compress/zstd"
)

// maxWindow is the largest window of a zstd frame that Zstd reads, in octets: that
// of level 22. It is what one stream may take of memory.
const maxWindow = 128 << 20

// Zstd reads what a program compressed as a zstd stream, for stores whose files are
// so: the library enters by this package. It holds no more than one window.
func Zstd(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}
