package imap

import (
	"bytes"
	"compress/flate"
	"context"
	"io"
)

// compress turns on COMPRESS=DEFLATE (RFC 4978). No other command may be in flight.
func (c *Client) compress(ctx context.Context) error {
	if err := c.run(ctx, "COMPRESS DEFLATE", &Pending{}, nil); err != nil {
		return err
	}
	// What is buffered behind the OK is compressed already.
	rest := c.reader.unread()
	c.reader.Reset(flate.NewReader(io.MultiReader(bytes.NewReader(rest), c.reader.src)))
	deflater, err := flate.NewWriter(c.writer.dst, flate.BestSpeed)
	if err != nil {
		return c.fail("COMPRESS", err)
	}
	c.writer.Reset(flushingWriter{deflater})
	return nil
}

// flushingWriter sends what it is given at once: a Writer writes only when it must.
type flushingWriter struct{ w *flate.Writer }

func (f flushingWriter) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.w.Flush()
	}
	return n, err
}
