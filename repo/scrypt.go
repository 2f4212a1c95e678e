package repo

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"

	//lint:ignore SA1019 scrypt is made of it, and the library's scrypt runs its lanes one after the other
	"golang.org/x/crypto/salsa20/salsa"
)

// scryptMemory bounds what the lanes that run at once take, in octets; one lane runs however much it takes.
const scryptMemory = 128 << 20

// scryptKey is scrypt (RFC 7914). It gives what golang.org/x/crypto/scrypt gives, but the p lanes, which do not need each other,
// run at once. restic fills half a second with lanes (p is 5 to 9 on machines of today), and every run begins by
// waiting for them.
func scryptKey(password string, salt []byte, n, r, p, size int) ([]byte, error) {
	if n < 2 || n&(n-1) != 0 || r < 1 || p < 1 {
		return nil, errors.New("scrypt: cost is no power of two")
	}
	lane := 128 * r
	b, err := pbkdf2.Key(sha256.New, password, salt, 1, p*lane)
	if err != nil {
		return nil, err
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(p, runtime.GOMAXPROCS(0), max(1, scryptMemory/(lane*n))) {
		wg.Go(func() {
			v := make([]byte, n*lane)
			scratch := make([]byte, lane)
			for i := int(next.Add(1)) - 1; i < p; i = int(next.Add(1)) - 1 {
				scryptLane(b[i*lane:(i+1)*lane], n, v, scratch)
			}
		})
	}
	wg.Wait()
	return pbkdf2.Key(sha256.New, password, b, 1, size)
}

// scryptLane is scryptROMix: it mixes x in place. v has room for n times x, and scratch for one.
func scryptLane(x []byte, n int, v, scratch []byte) {
	lane := len(x)
	y := scratch
	from := x
	for i := range n {
		block := v[i*lane : (i+1)*lane]
		copy(block, x)
		scryptMix(y, block)
		x, y = y, x
	}
	for range n {
		j := int(binary.LittleEndian.Uint64(x[lane-64:]) & uint64(n-1))
		subtle.XORBytes(x, x, v[j*lane:(j+1)*lane])
		scryptMix(y, x)
		x, y = y, x
	}
	copy(from, x)
}

// scryptMix is scryptBlockMix: the even blocks of 64 octets of in come first in out, then the odd ones.
func scryptMix(out, in []byte) {
	var x [64]byte
	half := len(in) / 2
	copy(x[:], in[len(in)-64:])
	for i := 0; i < len(in); i += 128 {
		subtle.XORBytes(x[:], x[:], in[i:i+64])
		salsa.Core208(&x, &x)
		copy(out[i/2:], x[:])
		subtle.XORBytes(x[:], x[:], in[i+64:i+128])
		salsa.Core208(&x, &x)
		copy(out[half+i/2:], x[:])
	}
}
