package imap

import (
	"errors"
	"io"
)

// A literal is as long as its head says, and a head can be wrong: then the octets are not the message, and what is read
// behind them is not the protocol. Nothing but what follows tells. So the last octets of a large body, which is handed on
// while it comes, are withheld until it is seen that the response goes on behind them as a response does.

// errLength is what such a body ends with. The connection ends with it too.
var errLength = errors.New("the server announced another number of octets than it sent")

// body yields a literal whose end is proved before its last octets are handed out.
type body struct {
	c    *Client
	size int64 // RFC822.SIZE; -1: not said
	n    int64 // octets that were announced
	err  error // errLength, or why what follows could not be read
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	l := &b.c.reader.literal
	n, err := l.Read(p)
	if l.left > 0 || n == 0 || err != nil && !errors.Is(err, io.EOF) {
		return n, err
	}
	goesOn, err := b.c.reader.goesOn()
	if err == nil && !goesOn && b.n != b.size {
		err = errLength
	}
	if err != nil {
		b.err = err
		return 0, err
	}
	return n, nil
}

// maxPeek is how many octets behind a body are looked at. No name of an item is longer.
const maxPeek = 32

// goesOn reports whether a FETCH response can go on with what stands behind the octets read: with its end, or with an
// item whose name is known. Nothing is consumed.
func (r *Reader) goesOn() (bool, error) {
	n, closed := 0, 0
	var word []byte
	for ; n < maxPeek; n++ {
		b, err := r.at(n)
		if err != nil {
			return false, r.eof(err)
		}
		switch {
		case b == ' ' && len(word) == 0: // QUIRK: Xeams: items stand behind the closing parenthesis too
		case b == ')' && len(word) == 0:
			closed++
		case b == '\r' && len(word) == 0:
		case b == '\n':
			return closed > 0 && len(word) == 0, nil
		case b == ' ', b == '(', b == '[':
			if b == '[' {
				return n > len(word) && equalFold(word, "BODY"), nil
			}
			return n > len(word) && isItem(word), nil
		default:
			word = append(word, b)
		}
	}
	return false, nil
}

// isItem reports whether a server may send an item of this name, asked or not.
func isItem(name []byte) bool {
	if fetchItem(name) != "" || isSection(name) {
		return true
	}
	for _, item := range [...]string{"ENVELOPE", "BODYSTRUCTURE", "RFC822.HEADER", "RFC822.TEXT", "SAVEDATE", "PREVIEW", "SNIPPET"} {
		if equalFold(name, item) {
			return true
		}
	}
	return false
}
