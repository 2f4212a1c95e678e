package repo

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"sync"

	//lint:ignore SA1019 the repository format asks for Poly1305-AES, which no other package of the module offers
	"golang.org/x/crypto/poly1305"
)

// Sealed bytes are IV(16) || AES-256-CTR(plaintext) || TAG(16). The tag is Poly1305-AES over the ciphertext alone;
// its one-time key is r || AES-128(k, IV).
const (
	ivSize  = aes.BlockSize
	tagSize = poly1305.TagSize

	// sealOverhead is what sealing adds, in octets.
	sealOverhead = ivSize + tagSize
)

// ErrDamaged says that an object of the repository is missing, or is not what was stored under its name.
var ErrDamaged = errors.New("damaged")

// OnlyDamage reports whether err is ErrDamaged, in each of the errors that it joins: what is told by it is lost already,
// and trying again will not help. nil is no damage.
func OnlyDamage(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		errs := joined.Unwrap()
		for _, one := range errs {
			if !errors.Is(one, ErrDamaged) {
				return false
			}
		}
		return len(errs) > 0
	}
	return errors.Is(err, ErrDamaged)
}

// errDamaged says that sealed bytes are not what was sealed with this key.
var errDamaged = fmt.Errorf("authentication failed: %w, or sealed with another key", ErrDamaged)

// keyBytes is a key as it is stored: the secret that everything in the repository hangs on.
type keyBytes struct {
	encrypt [32]byte // AES-256
	k       [16]byte // AES-128, makes one-time keys
	r       [16]byte // Poly1305; clamped on use by the library
}

// sealer seals and opens with one key. Key schedules are computed once. Safe for concurrent use.
type sealer struct {
	key   *keyBytes
	data  cipher.Block
	nonce cipher.Block
	pool  sync.Pool // of *bufio.Reader over the system's random source
}

// Format writes "(hidden)" for every verb. So does that of all who have a field with a key in it: with some verbs fmt looks
// behind pointers.
func (*keyBytes) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// Format writes "(hidden)" for every verb.
func (*sealer) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

func newSealer(key *keyBytes) (*sealer, error) {
	if key.encrypt == [32]byte{} || key.k == [16]byte{} || key.r == [16]byte{} {
		return nil, errors.New("key is all zero")
	}
	data, err := aes.NewCipher(key.encrypt[:])
	if err != nil {
		return nil, err
	}
	nonce, err := aes.NewCipher(key.k[:])
	if err != nil {
		return nil, err
	}
	s := &sealer{key: key, data: data, nonce: nonce}
	// A system call for each small blob would cost as much as sealing it.
	s.pool.New = func() any { return bufio.NewReaderSize(rand.Reader, 256*ivSize) }
	return s, nil
}

// seal appends the sealed form of p to dst. With p == dst[len(dst)+ivSize:][:n], it seals in place.
func (s *sealer) seal(dst, p []byte) []byte {
	n := len(dst)
	out := grow(dst, len(p)+sealOverhead)
	body := out[n+ivSize : n+ivSize+len(p)]
	copy(body, p) // before the IV is drawn: p may lie in place
	iv := out[n : n+ivSize]
	s.randomIV(iv)
	cipher.NewCTR(s.data, iv).XORKeyStream(body, body)
	var tag [tagSize]byte
	key := s.oneTimeKey(iv)
	poly1305.Sum(&tag, body, &key)
	copy(out[n+ivSize+len(p):], tag[:])
	return out
}

// open checks p, decrypts it in place and returns the part of p that is the plaintext.
func (s *sealer) open(p []byte) ([]byte, error) {
	if len(p) < sealOverhead {
		return nil, errDamaged
	}
	iv, body := p[:ivSize], p[ivSize:len(p)-tagSize]
	var tag [tagSize]byte
	key := s.oneTimeKey(iv)
	poly1305.Sum(&tag, body, &key)
	if subtle.ConstantTimeCompare(tag[:], p[len(p)-tagSize:]) != 1 {
		return nil, errDamaged
	}
	cipher.NewCTR(s.data, iv).XORKeyStream(body, body)
	return body, nil
}

func (s *sealer) oneTimeKey(iv []byte) (key [32]byte) {
	copy(key[:16], s.key.r[:])
	s.nonce.Encrypt(key[16:], iv)
	return key
}

func (s *sealer) randomIV(iv []byte) {
	src := s.pool.Get().(*bufio.Reader)
	defer s.pool.Put(src)
	for {
		// crypto/rand never fails; it ends the program where the system has no randomness.
		io.ReadFull(src, iv)
		if [ivSize]byte(iv) != [ivSize]byte{} { // restic refuses a zero IV
			return
		}
	}
}

// grow returns dst longer by n octets, whose contents are not defined, copying only when its capacity is used up.
func grow(dst []byte, n int) []byte {
	if len(dst)+n <= cap(dst) {
		return dst[:len(dst)+n]
	}
	return append(dst, make([]byte, n)...)
}
