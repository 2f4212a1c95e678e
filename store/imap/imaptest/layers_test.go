package imaptest_test

import (
	"compress/flate"
	"io"
)

func inflate(r io.Reader) io.Reader { return flate.NewReader(r) }

// deflate compresses each write and sends it at once.
func deflate(w io.Writer) io.Writer {
	f, err := flate.NewWriter(w, flate.DefaultCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	return flushing{f}
}

type flushing struct{ *flate.Writer }

func (f flushing) Write(b []byte) (int, error) {
	n, err := f.Writer.Write(b)
	if err == nil {
		err = f.Flush()
	}
	return n, err
}
