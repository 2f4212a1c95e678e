package message

import (
	"bytes"
	"io"
)

// HeaderOf returns a reader of the header of the message in r, up to and with the empty line that
// ends it. It reads on in r as little as r's own buffer makes it, holds no more than one piece,
// and ends with r if there is no empty line.
func HeaderOf(r io.Reader) io.Reader { return &headerReader{r: r, place: lineStart} }

type headerReader struct {
	r     io.Reader
	place linePlace
}

func (h *headerReader) Read(p []byte) (int, error) {
	if h.place == behind {
		return 0, io.EOF
	}
	n, err := h.r.Read(p)
	for i := 0; i < n; {
		switch c := p[i]; {
		case c == '\n' && h.place != lineRest:
			h.place = behind
			return i + 1, nil
		case c == '\r' && h.place == lineStart:
			h.place = lineCR
			i++
			continue
		}
		end := bytes.IndexByte(p[i:n], '\n')
		if end < 0 {
			h.place = lineRest
			break
		}
		i += end + 1
		h.place = lineStart
	}
	return n, err
}
