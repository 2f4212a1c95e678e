package repo

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// BenchmarkFloor does to each file in ROOST_FLOOR, a directory, no more than
// the format asks for: read, SHA-256, zstd at the default level, AES, write in
// packs. It is what a backup of the same files is measured against.
func BenchmarkFloor(b *testing.B) {
	dir := os.Getenv("ROOST_FLOOR")
	if dir == "" {
		b.Skip("ROOST_FLOOR names no directory")
	}
	for b.Loop() {
		if err := floor(dir, b.TempDir()); err != nil {
			b.Fatal(err)
		}
	}
}

func floor(dir, out string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var next atomic.Int64
	var workers sync.WaitGroup
	errs := make([]error, runtime.GOMAXPROCS(0))
	for w := range errs {
		workers.Go(func() {
			errs[w] = floorWorker(dir, filepath.Join(out, string(rune('a'+w))), entries, &next)
		})
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func floorWorker(dir, out string, entries []os.DirEntry, next *atomic.Int64) error {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false))
	if err != nil {
		return err
	}
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		return err
	}
	pack, err := os.Create(out)
	if err != nil {
		return err
	}
	defer pack.Close()
	var buffer []byte
	for n := next.Add(1); n <= int64(len(entries)); n = next.Add(1) {
		body, err := os.ReadFile(filepath.Join(dir, entries[n-1].Name()))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(body)
		start := len(buffer)
		buffer = enc.EncodeAll(body, buffer)
		cipher.NewCTR(block, sum[:aes.BlockSize]).XORKeyStream(buffer[start:], buffer[start:])
		if len(buffer) > 16<<20 {
			if _, err := pack.Write(buffer); err != nil {
				return err
			}
			buffer = buffer[:0]
		}
	}
	_, err = pack.Write(buffer)
	return err
}
