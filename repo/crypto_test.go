package repo

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func newTestSealer(t testing.TB) *sealer {
	t.Helper()
	s, err := newSealer(newMasterKey())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What was sealed opens to the same bytes; what was changed by one bit anywhere does not open.
func TestSealOpen(t *testing.T) {
	s := newTestSealer(t)
	for _, n := range []int{0, 1, 15, 16, 17, 4096, 100_000} {
		p := bytes.Repeat([]byte{0xa5}, n)
		sealed := s.seal([]byte("head"), p)[4:]
		if len(sealed) != n+sealOverhead {
			t.Fatalf("seal of %d octets has %d, want %d", n, len(sealed), n+sealOverhead)
		}
		for _, at := range []int{0, ivSize - 1, ivSize, len(sealed) / 2, len(sealed) - 1} {
			bad := bytes.Clone(sealed)
			bad[at] ^= 0x10
			if _, err := s.open(bad); !errors.Is(err, errDamaged) {
				t.Errorf("open of %d octets with octet %d changed = %v, want errDamaged", n, at, err)
			}
		}
		if _, err := s.open(bytes.Clone(sealed[:len(sealed)-1])); err == nil {
			t.Errorf("open of %d octets cut short: no error", n)
		}
		if got, err := s.open(sealed); err != nil || !bytes.Equal(got, p) {
			t.Errorf("open(seal(%d octets)) = %d octets, %v", n, len(got), err)
		}
	}
	for n := range sealOverhead {
		if _, err := s.open(make([]byte, n)); !errors.Is(err, errDamaged) {
			t.Errorf("open of %d octets = %v, want errDamaged", n, err)
		}
	}
}

// Sealing in place gives what sealing elsewhere gives, whether the buffer must grow or not.
func TestSealInPlace(t *testing.T) {
	s := newTestSealer(t)
	for _, spare := range []int{0, 1, tagSize, 100} {
		p := []byte("the plaintext stands where the ciphertext will")
		buf := append(make([]byte, ivSize, ivSize+len(p)+spare), p...)
		got, err := s.open(s.seal(buf[:0], buf[ivSize:]))
		if err != nil || !bytes.Equal(got, p) {
			t.Errorf("open(seal in place, %d spare) = %q, %v, want %q", spare, got, err, p)
		}
	}
}

// No two seals share an IV, or the keystream would be used twice.
func TestSealIVsDiffer(t *testing.T) {
	s := newTestSealer(t)
	seen := map[[ivSize]byte]bool{}
	for range 5000 {
		iv := [ivSize]byte(s.seal(nil, nil))
		if seen[iv] {
			t.Fatalf("IV %x came twice", iv)
		}
		seen[iv] = true
	}
}

// A zero key is what a damaged key file gives; nothing may be sealed with it.
func TestZeroKeyIsRefused(t *testing.T) {
	for _, name := range []string{"encrypt", "k", "r"} {
		key := newMasterKey()
		switch name {
		case "encrypt":
			key.encrypt = [32]byte{}
		case "k":
			key.k = [16]byte{}
		case "r":
			key.r = [16]byte{}
		}
		if _, err := newSealer(key); err == nil {
			t.Errorf("newSealer with zero %s: no error", name)
		}
	}
}

// A password shows in no format, log or encoding.
func TestPasswordIsHidden(t *testing.T) {
	p := NewPassword("hunter2")
	var out strings.Builder
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T %v"} {
		if format == "%T %v" {
			fmt.Fprintf(&out, format, p, &p)
			continue
		}
		fmt.Fprintf(&out, format, p)
		fmt.Fprintf(&out, format, struct{ P Password }{p})
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "p", p, "in", struct{ P Password }{p})
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "p", p, "in", struct{ P Password }{p})
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), "68756e74657232") {
		t.Errorf("the password shows:\n%s", out.String())
	}
}

// restic's polynomials are irreducible; products are not.
func TestPolynomialIrreducible(t *testing.T) {
	for range 5 {
		f := randomPolynomial()
		if f.degree() != polynomialDegree || !f.irreducible() {
			t.Errorf("randomPolynomial() = %#x", uint64(f))
		}
		text, err := f.MarshalText()
		var g polynomial
		if err != nil || g.UnmarshalText(text) != nil || g != f {
			t.Errorf("polynomial %#x does not survive its text %q", uint64(f), text)
		}
	}
	// The plainest way to know: no divisor up to half the degree.
	for f := polynomial(2); f < 1<<10; f++ {
		want := true
		for d := polynomial(2); d.degree() <= f.degree()/2; d++ {
			if f.mod(d) == 0 {
				want = false
			}
		}
		if f.irreducible() != want {
			t.Errorf("polynomial %#b irreducible = %v, want %v", uint64(f), f.irreducible(), want)
		}
	}
	for _, s := range []string{"", "0", "1", "x", "3da3358b4dc174", "ffffffffffffffff", "10000000000000000"} {
		var f polynomial
		if err := f.UnmarshalText([]byte(s)); err == nil {
			t.Errorf("polynomial %q was accepted", s)
		}
	}
	var f polynomial
	if err := f.UnmarshalText([]byte("3da3358b4dc173")); err != nil { // restic's documented example
		t.Errorf("polynomial 3da3358b4dc173: %v", err)
	}
}

// Every plaintext comes back from either hint, and no frame grows beyond the limit it is given.
func TestCompress(t *testing.T) {
	c, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	for _, hint := range []Hint{Text, Base64} {
		for _, n := range []int{1, 100, 5900, 1 << 20} {
			p := bytes.Repeat([]byte("some text "), n/10+1)[:n]
			z := c.compress(nil, p, hint)
			for _, guess := range []int{0, n - 1, n, n + 1} {
				got, err := c.decompress(nil, z, guess, 2<<20)
				if err != nil || !bytes.Equal(got, p) {
					t.Errorf("decompress with guess %d of %d = %d octets, %v", guess, n, len(got), err)
				}
			}
			if _, err := c.decompress(nil, z, 0, n-1); err == nil {
				t.Errorf("decompress of %d octets with limit %d: no error", n, n-1)
			}
		}
	}
	bomb := c.compress(nil, make([]byte, 64<<20), Text)
	if _, err := c.decompress(nil, bomb, 0, 1<<20); err == nil {
		t.Error("a bomb of 64 MiB passed a limit of 1 MiB")
	}
}
