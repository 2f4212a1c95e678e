package eml

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"time"

	"roost/mail"
	"roost/store/tree"
)

// A token is a digest of what all message files of a directory and its sidecar look
// like from outside: name, times, size, inode. So it tells every change, also that
// of a file that somebody edits in place, at the price of a stat a message, and of
// no byte of one. While any of them is so young that a change to it might not show,
// no token equals another.

// fingerprint makes the token of a directory.
type fingerprint struct {
	began time.Time
	young bool
	sum   hash.Hash
	text  []byte
}

func newFingerprint(began time.Time) *fingerprint {
	return &fingerprint{began: began, sum: sha256.New()}
}

// add adds a file; info is nil if it cannot be looked at.
func (p *fingerprint) add(name string, info fs.FileInfo) {
	p.text = append(append(p.text[:0], name...), 0) // no name holds a NUL
	if info == nil {
		p.young = true
	} else {
		stamp := tree.StampOf(info)
		p.young = p.young || !stamp.Settled(p.began)
		p.text = stamp.Append(p.text)
	}
	p.text = append(p.text, 0)
	p.sum.Write(p.text)
}

// addFile looks at a file that may not be there.
func (p *fingerprint) addFile(root *os.Root, file string) {
	if info, err := root.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		p.add(file, info)
	}
}

func (p *fingerprint) token() mail.Token {
	if p.young {
		return mail.Token(fmt.Sprintf("eml1 young %d", p.began.UnixNano()))
	}
	return mail.Token("eml1 " + hex.EncodeToString(p.sum.Sum(nil)))
}
