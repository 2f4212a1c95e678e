package mailsync

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"sync"

	"roost/mail"
	"roost/message"
	"roost/plan"
)

// A group is what is handed to a BulkAppender at once: it may want to make all
// of it durable together, and until it answers the messages stay in memory.
const (
	groupMessages = 4096
	groupOctets   = 16 << 20
)

// errOutcome is the failure of a store that left off without saying why.
var errOutcome = errors.New("the store left off without saying what it stored")

// sender sends messages of a box, in order.
type sender struct {
	*box
	step  plan.Step
	pool  parcels
	in    <-chan []*parcel
	batch []*parcel // what is left of the last one that came in
}

// send reads and appends the messages in list. Of the two errors, which go
// beyond a message, one is of the source and one of the destination; after the
// latter, what became of those with the fate sent is not known.
func (b *box) send(ctx context.Context, s plan.Step, list []int32) (fromSource, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready := make(chan []*parcel, 1)
	t := sender{box: b, step: s, pool: parcels{make(chan *parcel, 2*batchMessages)}, in: ready}
	var readErr error
	var reader sync.WaitGroup
	reader.Go(func() { readErr = b.read(ctx, list, t.pool, ready) })
	fromSource, err = t.all(ctx)
	cancel()
	for range ready { // the reader may be about to hand over
	}
	reader.Wait()
	if fromSource == nil && err == nil {
		fromSource = readErr
	}
	return fromSource, err
}

// all sends what the reader hands over.
func (t *sender) all(ctx context.Context) (fromSource, err error) {
	bulk, isBulk := t.dst.(mail.BulkAppender)
	for p := t.head(); p != nil; p = t.head() {
		switch {
		case p.err != nil:
			t.fail(p.i, p.err)
			t.pop()
		case p.large:
			t.pop()
			if fromSource, err = t.stream(ctx, p); fromSource != nil || err != nil {
				return fromSource, err
			}
		case isBulk:
			if err := t.group(ctx, bulk); err != nil {
				return nil, err
			}
		default:
			t.pop()
			t.fate[p.i] = sent
			key, err := t.dst.Append(ctx, t.step.Mailbox, t.outgoing(p.i, int64(p.body.Len())), bytes.NewReader(p.body.Bytes()))
			if err := t.answered(p, key, err); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

// head is the parcel whose turn it is; nil after the last one. It waits for it.
func (t *sender) head() *parcel {
	for len(t.batch) == 0 {
		batch, ok := <-t.in
		if !ok {
			return nil
		}
		t.batch = batch
	}
	return t.batch[0]
}

func (t *sender) pop() { t.batch = t.batch[1:] }

// outgoing is a message as it is handed to the destination.
func (t *sender) outgoing(i int32, size int64) mail.Message {
	m := t.task.A.Messages[i]
	m.Key, m.ModSeq, m.Size = "", 0, size
	if !t.keepsUIDs {
		m.UID = 0
	}
	for f := range t.step.Remove.All() {
		if m.Flags.Has(f) {
			m.Flags = m.Flags.Minus(t.step.Remove)
			break
		}
	}
	return m
}

// group hands parcels to the destination until one comes that needs another
// way, or the group is full.
func (t *sender) group(ctx context.Context, bulk mail.BulkAppender) error {
	var mu sync.Mutex // guards what follows: the store may ask from a goroutine of its own
	var waiting []*parcel

	messages := func(yield func(mail.Outgoing) bool) {
		octets := 0
		for n := 0; n < groupMessages && octets < groupOctets; n++ {
			p := t.head()
			if p == nil || p.large || p.err != nil {
				return
			}
			t.pop()
			octets += p.body.Len()
			t.fate[p.i] = sent
			mu.Lock()
			waiting = append(waiting, p)
			mu.Unlock()
			if !yield(mail.Outgoing{Message: t.outgoing(p.i, int64(p.body.Len())), Open: p.open}) {
				return
			}
		}
	}
	next := func() *parcel {
		mu.Lock()
		defer mu.Unlock()
		if len(waiting) == 0 {
			return nil
		}
		p := waiting[0]
		waiting = waiting[1:]
		return p
	}
	if err := t.answers(bulk.AppendAll(ctx, t.step.Mailbox, messages), next); err != nil {
		return err
	}
	if next() != nil {
		return errOutcome
	}
	return nil
}

// answers takes the answers to the parcels that next yields.
func (t *sender) answers(all iter.Seq2[mail.Appended, error], next func() *parcel) error {
	for a, err := range all {
		if err != nil {
			return err
		}
		p := next()
		if p == nil {
			return errOutcome
		}
		if err := t.answered(p, a.Key, a.Err); err != nil {
			return err
		}
	}
	return nil
}

// answered notes what became of a message. The error is one that goes beyond
// it; then it is as if it had not been answered.
func (t *sender) answered(p *parcel, key mail.Key, err error) error {
	var loss *mail.Loss
	lost := errors.As(err, &loss)
	if err != nil && !lost {
		if damageOf(err) != ofMessage {
			return err
		}
		t.fail(p.i, err)
		t.tell(func(g *Progress) { g.MessagesDone++ })
		t.pool.put(p)
		return nil
	}
	if lost {
		t.losses.add(t.task.A.Messages[p.i].Key, loss)
	}
	t.done(p.i)
	t.key[p.i] = key
	if printed(t.alters).Alters(p.body.Bytes()) {
		t.suspect[p.i] = true
	}
	t.count(int64(p.body.Len()))
	t.pool.put(p)
	return nil
}

func (t *sender) count(octets int64) {
	t.row.Bytes += octets
	t.tell(func(p *Progress) {
		p.MessagesDone++
		p.Bytes += octets
	})
}

// stream sends a message that is too large to be kept in memory.
func (t *sender) stream(ctx context.Context, p *parcel) (fromSource, err error) {
	key := t.task.A.Messages[p.i].Key
	var answer error
	var newKey mail.Key
	var octets int64
	var altered bool
	failures, fromSource := fetch(ctx, t.src, t.source.Name, []mail.Key{key}, mail.Whole, func(f mail.Fetched) error {
		print := message.NewAlteredPrinter(printed(t.alters))
		body := sourceBody{body: io.TeeReader(f.Body, print)}
		t.fate[p.i] = sent
		newKey, answer = t.dst.Append(ctx, t.step.Mailbox, t.outgoing(p.i, f.Size), &body)
		octets = body.octets
		print.Finish()
		altered = print.Altered() != nil
		return body.err // then the message was not stored, and it is fetched again
	})
	if fromSource != nil {
		return fromSource, nil
	}
	if err, ok := failures[key]; ok {
		t.fail(p.i, err)
		return nil, nil
	}
	if err := t.answered(p, newKey, answer); err != nil {
		return nil, err
	}
	if f := t.fate[p.i]; f == stored || f == replaced {
		t.suspect[p.i] = altered
		t.row.Bytes += octets
		t.tell(func(p *Progress) { p.Bytes += octets })
	}
	return nil, nil
}

// sourceBody tells an error of reading from one of appending.
type sourceBody struct {
	body   io.Reader
	octets int64
	err    error
}

func (s *sourceBody) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	s.octets += int64(n)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
