package repo

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"golang.org/x/crypto/scrypt"
)

// scryptKey gives what the library gives, for all costs.
func TestScryptKey(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 9))
		n, r, p := 2<<rnd.IntN(9), 1+rnd.IntN(9), 1+rnd.IntN(9)
		password, salt := fmt.Sprint(rnd.Uint64()), fmt.Append(nil, rnd.Uint64())
		want, err := scrypt.Key([]byte(password), salt, n, r, p, 64)
		if err != nil {
			t.Fatal(err)
		}
		got, err := scryptKey(password, salt, n, r, p, 64)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("scryptKey(N=%d, r=%d, p=%d) = %x, %v, want %x", n, r, p, got, err, want)
		}
	}
	for _, n := range []int{-1, 0, 1, 3, 1000} {
		if _, err := scryptKey("x", make([]byte, 64), n, 8, 1, 64); err == nil {
			t.Errorf("scryptKey(N=%d) gives a key", n)
		}
	}
}

// BenchmarkScrypt opens a key of the usual cost.
func BenchmarkScrypt(b *testing.B) {
	salt := make([]byte, saltSize)
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			scryptKey("x", salt, 32768, 8, 8, 64)
		}
	})
	b.Run("ours, one lane", func(b *testing.B) {
		for b.Loop() {
			scryptKey("x", salt, 32768, 8, 1, 64)
		}
	})
	b.Run("library", func(b *testing.B) {
		for b.Loop() {
			scrypt.Key([]byte("x"), salt, 32768, 8, 8, 64)
		}
	})
}
