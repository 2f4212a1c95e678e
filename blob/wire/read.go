package wire

import (
	"errors"
	"fmt"
	"io"
)

// ReadAll reads an object whose server says that it has size octets; -1: it does not say. More than limit is an error.
func ReadAll(body io.Reader, size, limit int64) ([]byte, error) {
	if size < 0 {
		p, err := io.ReadAll(io.LimitReader(body, limit+1))
		if err == nil && int64(len(p)) > limit {
			err = fmt.Errorf("more than %d octets", limit)
		} else {
			err = Fault(err)
		}
		return p, err
	}
	p := make([]byte, size)
	_, err := io.ReadFull(body, p)
	drain(body)
	return p, Fault(err)
}

// ReadRange fills p from the answer to a request for just that range, in which the server has put size octets; fewer than
// asked for means that the object ends there.
func ReadRange(body io.Reader, p []byte, size int64) error {
	short := size >= 0 && size < int64(len(p))
	if short {
		p = p[:max(0, size)]
	}
	n, err := io.ReadFull(body, p)
	if size < 0 && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		return io.ErrUnexpectedEOF // an answer of unknown length that ended as it should
	}
	if err != nil {
		return Fault(fmt.Errorf("after %d octets: %w", n, err))
	}
	drain(body)
	if short {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// drain reads the end of an answer, so that its connection serves again.
func drain(body io.Reader) {
	var p [1]byte
	body.Read(p[:]) // the end, or nothing that matters
}
