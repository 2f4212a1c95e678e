package maildir

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"roost/mail"
)

// BenchmarkListingMemory lists 200,000 empty files with UIDs and reports how much the heap holds in
// octets a message: at most while it lists, and of what it returned and remembers.
func BenchmarkListingMemory(b *testing.B) {
	const n = 200_000
	dir := b.TempDir()
	s := openStore(b, dir, Options{NoSync: true})
	if err := s.Create(b.Context(), mail.Inbox); err != nil {
		b.Fatal(err)
	}
	var list bytes.Buffer
	fmt.Fprintf(&list, "3 V1 N%d G8a5e3c2fb05e1c4f0e7300008b5f6c2d\n", n+1)
	for i := range n {
		base := fmt.Sprintf("%d.M%dP12Q3.mail.example.com,S=14,W=16", 1323785716+i/10, i)
		fmt.Fprintf(&list, "%d :%s\n", i+1, base)
		if err := os.WriteFile(filepath.Join(dir, "cur", base+":2,S"), nil, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, uidlistFile), list.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	then := time.Now().Add(-time.Hour)
	for _, name := range []string{"cur", "new", uidlistFile} {
		if err := os.Chtimes(filepath.Join(dir, name), then, then); err != nil {
			b.Fatal(err)
		}
	}
	list = bytes.Buffer{}
	var peak, live uint64
	for b.Loop() {
		inUse := func() uint64 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapInuse
		}
		runtime.GC()
		before := inUse()
		done, stopped := make(chan bool), make(chan bool)
		go func() {
			defer close(stopped)
			for every := time.NewTicker(5 * time.Millisecond); ; {
				select {
				case <-done:
					every.Stop()
					return
				case <-every.C:
					peak = max(peak, inUse()-before)
				}
			}
		}()
		ch, err := s.Changes(b.Context(), mail.Inbox, "")
		close(done)
		<-stopped
		if err != nil || len(ch.Messages) != n || ch.Messages[n-1].UID != n {
			b.Fatalf("%d messages, %v", len(ch.Messages), err)
		}
		runtime.GC()
		live = inUse() - before
		runtime.KeepAlive(ch)
		ch = mail.Changes{}
		s.forget()
	}
	b.ReportMetric(float64(peak)/n, "peak-B/msg")
	b.ReportMetric(float64(live)/n, "live-B/msg")
}
