package imap

import (
	"context"
	"errors"
	"io"
	"sync"

	"roost/mail"
)

// How a Fetch over several connections hands over what it reads. At most this much is in memory for each connection:
// a batch that is filled, batchesAhead that wait, and one that is read.
const (
	batchOctets   = 256 << 10
	batchMessages = 64
	batchesAhead  = 2
	maxCopied     = 1 << 20 // octets of a body that goes into a batch; a larger one is read from the connection itself
)

// batch is some answers of one connection.
type batch struct {
	answers []answer
	octets  []byte // bodies of the answers, one after the other
	err     error  // ends the stream; then there are no answers
}

// answer is one key's.
type answer struct {
	key  mail.Key
	size int       // octets in the batch
	body io.Reader // if not nil, read from the connection, which waits for done
	long int64     // octets of body
	done chan<- struct{}
	err  error
}

// parallel is a Fetch over several connections.
type parallel struct {
	yield   func(mail.Fetched, error) bool
	batches chan *batch
	spare   chan *batch // read, to be used again

	mu   sync.Mutex  // guards what follows
	left []*fetching // could get no connection, while others could
}

// moreSlots takes slots for connections beyond the first, as many as are free and worth it for so many messages.
func (s *Store) moreSlots(messages int) int {
	more := 0
	for ; more < messages/(2*fetchChunk); more++ {
		select {
		case <-s.bodies:
			continue
		default:
		}
		break
	}
	return more
}

func (s *Store) giveSlots(n int) {
	for range n {
		s.bodies.give()
	}
}

// fetchParallel answers the keys of all parts, each over a connection of its own, in no order. It returns how many of the
// connections could not be had; their parts are done by the others afterwards.
func (s *Store) fetchParallel(ctx context.Context, parts []*fetching, yield func(mail.Fetched, error) bool) (refused int) {
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &parallel{yield: yield, batches: make(chan *batch, batchesAhead), spare: make(chan *batch, 2*len(parts)+batchesAhead)}
	var workers sync.WaitGroup
	for _, f := range parts {
		f.hasty = true
		workers.Go(func() { p.work(working, f) })
	}
	go func() {
		workers.Wait()
		for _, f := range p.left {
			f.hasty, f.turnedAway = false, false
			p.work(working, f)
		}
		close(p.batches)
	}()
	more := true
	for b := range p.batches { // to the end, whatever happens: a worker may wait for its batch to be read
		if more && p.give(b) {
			continue
		}
		more = false
		cancel()
		b.release()
	}
	if more && ctx.Err() != nil {
		yield(mail.Fetched{}, ctx.Err())
	}
	return min(len(p.left), len(parts)-1)
}

// give yields a batch; false ends the stream.
func (p *parallel) give(b *batch) bool {
	if b.err != nil {
		p.yield(mail.Fetched{}, b.err)
		return false
	}
	octets := b.octets
	var body memory
	for _, a := range b.answers {
		got := mail.Fetched{Key: a.key}
		switch {
		case a.err != nil:
		case a.body != nil:
			got.Body, got.Size = a.body, a.long
		default:
			body = memory{octets[:a.size]}
			octets = octets[a.size:]
			got.Body, got.Size = &body, int64(a.size)
		}
		if !p.yield(got, a.err) {
			return false
		}
	}
	b.release()
	select {
	case p.spare <- b:
	default:
	}
	return true
}

// release lets the connection go on whose body stands in the batch.
func (b *batch) release() {
	for _, a := range b.answers {
		if a.done != nil {
			close(a.done)
		}
	}
}

// memory reads octets once.
type memory struct{ left []byte }

// Read implements io.Reader.
func (m *memory) Read(b []byte) (int, error) {
	if len(m.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, m.left)
	m.left = m.left[n:]
	return n, nil
}

// WriteTo implements io.WriterTo.
func (m *memory) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(m.left)
	m.left = m.left[n:]
	return int64(n), err
}

// work answers the keys of one part on connections of its own. A part that got none is left for later.
func (p *parallel) work(ctx context.Context, f *fetching) {
	b := p.empty()
	send := func() bool {
		if len(b.answers) == 0 && b.err == nil {
			return true
		}
		select {
		case p.batches <- b:
			b = p.empty()
			return true
		case <-ctx.Done():
			return false
		}
	}
	f.yield = func(got mail.Fetched, err error) bool {
		a := answer{key: got.Key, err: err}
		switch {
		case err != nil:
		case got.Size > maxCopied:
			done := make(chan struct{})
			a.body, a.long, a.done = got.Body, got.Size, done
			b.answers = append(b.answers, a)
			if !send() {
				return false
			}
			<-done // the reader may be at the body until then, even if ctx is done
			return ctx.Err() == nil
		default:
			start := len(b.octets)
			octets, readErr := readInto(b.octets, got.Body)
			b.octets = octets
			a.size, a.err = len(octets)-start, readErr
			if readErr != nil {
				b.octets, a.size = octets[:start], 0
				a.err = faultOf("fetch", f.name, got.Key, readErr)
			}
		}
		b.answers = append(b.answers, a)
		if len(b.octets) >= batchOctets || len(b.answers) >= batchMessages {
			return send()
		}
		return true
	}
	err := f.run(ctx)
	if f.turnedAway && transient(err) && ctx.Err() == nil {
		if !send() {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.left = append(p.left, f)
		return
	}
	if send() && err != nil && !f.stopped {
		b.err = fault("fetch", f.name, err)
		send()
	}
}

// empty returns a batch to fill.
func (p *parallel) empty() *batch {
	select {
	case b := <-p.spare:
		clear(b.answers)
		b.answers, b.octets = b.answers[:0], b.octets[:0]
		return b
	default:
		return &batch{}
	}
}

// readInto appends all that r yields.
func readInto(b []byte, r io.Reader) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}
