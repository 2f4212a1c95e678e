package repo

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
)

// A polynomial over GF(2), bit i standing for x^i. restic cuts large files by a fingerprint modulo one,
// and refuses a repository whose polynomial is not irreducible; we only have to keep it.
type polynomial uint64

const polynomialDegree = 53

// randomPolynomial returns an irreducible polynomial of degree 53. About one odd polynomial in 27 is one.
func randomPolynomial() polynomial {
	for {
		var p [8]byte
		rand.Read(p[:])
		f := polynomial(binary.LittleEndian.Uint64(p[:]))
		f &= 1<<polynomialDegree - 1
		f |= 1<<polynomialDegree | 1
		if f.irreducible() {
			return f
		}
	}
}

// degree returns the highest power; -1 for 0.
func (f polynomial) degree() int { return bits.Len64(uint64(f)) - 1 }

// irreducible is Ben-Or's test: f of degree n is irreducible if and only if it shares no factor
// with x^(2^i) - x for each i up to n/2.
func (f polynomial) irreducible() bool {
	if f.degree() < 1 {
		return false
	}
	const x = polynomial(2)
	power := x.mod(f)
	for range f.degree() / 2 {
		power = power.mulMod(power, f)
		if gcd(f, power^x.mod(f)) != 1 {
			return false
		}
	}
	return true
}

func (f polynomial) mod(m polynomial) polynomial {
	for d := f.degree() - m.degree(); d >= 0; d = f.degree() - m.degree() {
		f ^= m << d
	}
	return f
}

// mulMod returns f*g mod m; f and g are below m, whose degree is at most 62.
func (f polynomial) mulMod(g, m polynomial) polynomial {
	var product polynomial
	for ; g != 0; g >>= 1 {
		if g&1 != 0 {
			product ^= f
		}
		f = (f << 1).mod(m)
	}
	return product
}

func gcd(a, b polynomial) polynomial {
	for b != 0 {
		a, b = b, a.mod(b)
	}
	return a
}

// MarshalText writes hex digits without prefix.
func (f polynomial) MarshalText() ([]byte, error) {
	return strconv.AppendUint(nil, uint64(f), 16), nil
}

// UnmarshalText reads hex digits and refuses what is not irreducible.
func (f *polynomial) UnmarshalText(s []byte) error {
	n, err := strconv.ParseUint(string(s), 16, 64)
	if err != nil {
		return fmt.Errorf("parse polynomial: %w", err)
	}
	p := polynomial(n)
	if p.degree() > 62 || !p.irreducible() {
		return errors.New("parse polynomial: not irreducible")
	}
	*f = p
	return nil
}
