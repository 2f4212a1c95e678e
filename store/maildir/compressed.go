package maildir

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"roost/mail"
)

// What Dovecot's compression plugin writes begins as no mail does.
var (
	magicGzip  = []byte("\x1f\x8b\x08")
	magicBzip2 = []byte("BZh")
	magicBlock = []byte("1AY&SY") // behind bzip2's magic and a digit
	magicZstd  = []byte("\x28\xb5\x2f\xfd")
	magicLZ4   = []byte("Dovecot-LZ4\x0d\x2a\x9b\xc5")
	magicXZ    = []byte("\xfd7zXZ\x00")
)

// decompress is the message in a file, and its size; -1 if it is not known.
func (s *Store) decompress(f *os.File) (io.Reader, int64, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if !info.Mode().IsRegular() {
		return nil, 0, errors.New("not a regular file")
	}
	var head [16]byte
	n, err := f.ReadAt(head[:], 0)
	if err != nil && err != io.EOF {
		return nil, 0, err
	}
	var body io.Reader
	switch magic := head[:n]; {
	case bytes.HasPrefix(magic, magicGzip):
		body, err = gzip.NewReader(bufio.NewReader(f))
	case bytes.HasPrefix(magic, magicBzip2) && n >= 10 && bytes.Equal(magic[4:10], magicBlock):
		body = bzip2.NewReader(f)
	case bytes.HasPrefix(magic, magicZstd) && s.options.Zstd != nil:
		body, err = s.options.Zstd(f)
	case bytes.HasPrefix(magic, magicZstd):
		err = fmt.Errorf("compressed by zstd: %w", mail.ErrUnsupported)
	case bytes.HasPrefix(magic, magicLZ4):
		err = fmt.Errorf("compressed by LZ4: %w", mail.ErrUnsupported)
	case bytes.HasPrefix(magic, magicXZ):
		err = fmt.Errorf("compressed by xz: %w", mail.ErrUnsupported)
	default:
		return f, info.Size(), nil
	}
	if err != nil {
		return nil, 0, err
	}
	return &expanded{body, maxExpanded}, -1, nil
}

// maxExpanded is how large a message may become that is compressed, in octets. No
// mail is larger; a few octets that somebody sent may say that they are.
const maxExpanded = 1 << 30

var errExpanded = fmt.Errorf("compressed, it holds more than %d octets: %w", maxExpanded, mail.ErrTooBig)

// expanded reads what was compressed, up to a bound.
type expanded struct {
	r    io.Reader
	left int64
}

func (e *expanded) Read(p []byte) (int, error) {
	if e.left <= 0 {
		if n, err := e.r.Read(make([]byte, 1)); n == 0 {
			return 0, err
		}
		return 0, errExpanded
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	e.left -= int64(n)
	return n, err
}

// Close ends the decoder, if that has an end.
func (e *expanded) Close() error {
	if c, ok := e.r.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
