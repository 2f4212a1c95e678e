package mailsync

import (
	"bytes"
	"context"
	"io"

	"roost/mail"
)

// Reading ahead. A mailbox has up to three batches in memory: one that is being
// read, one that waits, one that is being appended.
const (
	batchMessages = 256
	batchOctets   = 4 << 20 // by the sizes listed
	largeMessage  = 2 << 20 // octets; a larger one is not kept in memory but streamed
	unknownSize   = 32 << 10
)

// parcel is a message on its way.
type parcel struct {
	i     int32 // in task.A
	body  bytes.Buffer
	large bool  // body is empty: the message must be streamed
	err   error // it cannot be read
}

func (p *parcel) open(context.Context) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(p.body.Bytes())), nil
}

// parcels keeps parcels that have done their work, with their buffers.
type parcels struct{ free chan *parcel }

func (p parcels) take(i int32) *parcel {
	select {
	case one := <-p.free:
		one.i, one.large, one.err = i, false, nil
		one.body.Reset()
		return one
	default:
		return &parcel{i: i}
	}
}

func (p parcels) put(one *parcel) {
	if one.body.Cap() > largeMessage/8 {
		return // a rare size: not worth keeping
	}
	select {
	case p.free <- one:
	default:
	}
}

// read reads messages of the source in batches and hands them over in the order
// of list. It closes out. An error means that the rest cannot be read.
func (b *box) read(ctx context.Context, list []int32, pool parcels, out chan<- []*parcel) error {
	defer close(out)
	for len(list) > 0 {
		n, octets := 0, int64(0)
		for n < len(list) && n < batchMessages && octets < batchOctets {
			size := b.task.A.Messages[list[n]].Size
			if size < 0 {
				size = unknownSize
			}
			if size <= largeMessage {
				octets += size
			}
			n++
		}
		batch, err := b.readBatch(ctx, list[:n], pool)
		if err != nil {
			return err
		}
		select {
		case out <- batch:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		list = list[n:]
	}
	return nil
}

// readBatch reads one batch. A source that lists sizes smaller than they are
// cannot fill the memory: what does not fit is streamed.
func (b *box) readBatch(ctx context.Context, list []int32, pool parcels) ([]*parcel, error) {
	batch := make([]*parcel, len(list))
	place := make(map[mail.Key]*parcel, len(list))
	keys := make([]mail.Key, 0, len(list))
	for n, i := range list {
		m := &b.task.A.Messages[i]
		batch[n] = pool.take(i)
		if m.Size > largeMessage {
			batch[n].large = true
			continue
		}
		place[m.Key] = batch[n]
		keys = append(keys, m.Key)
	}
	if len(keys) == 0 {
		return batch, nil
	}
	total := 0
	failures, err := fetch(ctx, b.src, b.source.Name, keys, mail.Whole, func(f mail.Fetched) error {
		p := place[f.Key]
		p.body.Reset()
		if f.Size > 0 && f.Size <= largeMessage {
			p.body.Grow(int(f.Size) + bytes.MinRead)
		}
		room := largeMessage
		if total > 2*batchOctets {
			room = 0
		}
		if _, err := p.body.ReadFrom(io.LimitReader(f.Body, int64(room)+1)); err != nil {
			return err
		}
		if p.body.Len() > room {
			p.body, p.large = bytes.Buffer{}, true
			_, err := io.Copy(io.Discard, f.Body)
			return err
		}
		total += p.body.Len()
		return nil
	})
	for key, err := range failures {
		place[key].err = err
	}
	return batch, err
}
