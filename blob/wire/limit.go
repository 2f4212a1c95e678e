package wire

import (
	"io"
	"sync"
	"time"
)

// A Limit bounds how many octets pass in a second, over all that share it. A nil Limit bounds nothing.
type Limit struct {
	rate float64 // octets a second

	mu   sync.Mutex // guards what follows
	paid time.Time  // when all that was let through is paid for
}

// NewLimit returns a limit of so many KiB a second, as restic counts them; nil for 0.
func NewLimit(kib int) *Limit {
	if kib <= 0 {
		return nil
	}
	return &Limit{rate: float64(kib) * 1024}
}

// piece is how many octets go by at a time: an eighth of a second's worth. So nobody waits for long, and those who share the
// limit take turns.
func (l *Limit) piece() int { return max(1, int(l.rate/8)) }

// pass waits until n more octets may go by. What was not used of the last quarter of a second still may be.
func (l *Limit) pass(n int) {
	l.mu.Lock()
	now := time.Now()
	if earliest := now.Add(-time.Second / 4); l.paid.Before(earliest) {
		l.paid = earliest
	}
	l.paid = l.paid.Add(time.Duration(float64(n) / l.rate * float64(time.Second)))
	wait := l.paid.Sub(now)
	l.mu.Unlock()
	if wait > 0 {
		time.Sleep(wait)
	}
}

// Reader returns r at the speed of l.
func (l *Limit) Reader(r io.Reader) io.Reader {
	if l == nil {
		return r
	}
	return &limitedReader{r, l}
}

type limitedReader struct {
	r io.Reader
	l *Limit
}

func (r *limitedReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p[:min(len(p), r.l.piece())])
	r.l.pass(n)
	return n, err
}

// Writer returns w at the speed of l.
func (l *Limit) Writer(w io.Writer) io.Writer {
	if l == nil {
		return w
	}
	return &limitedWriter{w, l}
}

type limitedWriter struct {
	w io.Writer
	l *Limit
}

func (w *limitedWriter) Write(p []byte) (written int, err error) {
	for len(p) > 0 {
		part := p[:min(len(p), w.l.piece())]
		w.l.pass(len(part))
		n, err := w.w.Write(part)
		written += n
		if err != nil {
			return written, err
		}
		p = p[n:]
	}
	return written, nil
}
