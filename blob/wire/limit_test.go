package wire

import (
	"bytes"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// All that share a limit pass together what it lets through, and not much less.
func TestLimitIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLimit(100)
		began := time.Now()
		done := make(chan error)
		for range 4 {
			go func() {
				_, err := io.Copy(io.Discard, l.Reader(bytes.NewReader(make([]byte, 100<<10))))
				done <- err
			}()
		}
		for range 4 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(began); took < 3500*time.Millisecond || took > 4500*time.Millisecond {
			t.Errorf("400 KiB at 100 KiB a second took %v, want about 4s", took)
		}
	})
}
