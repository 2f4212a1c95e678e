package backup

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"roost/message"
	"roost/repo"
)

const (
	wholeMessage = 4 << 20   // octets; a longer one is cut while it arrives
	alterLimit   = 512 << 20 // octets; attachments of a longer message are not taken out. One message at a time is held so whole
)

// receive reads one message. A short one is handed to the cutters, a long one
// is cut as it arrives. A message that ends early has its err set.
func (m *mailbox) receive(ctx context.Context, it *item, body io.Reader, wg *sync.WaitGroup, fail func(error)) error {
	buf := <-m.run.buffers
	whole, err := readUpTo((*buf)[:0], body, wholeMessage)
	*buf = whole
	if err != nil {
		m.run.buffers <- buf
		it.err = fmt.Errorf("%w: %w", errCutOff, err)
		return nil
	}
	if len(whole) > wholeMessage {
		defer func() { m.run.buffers <- buf }()
		if m.run.o.Selection.SkipAttachments {
			return m.alterLong(ctx, it, whole, body)
		}
		return m.receiveLong(ctx, it, whole, body)
	}
	it.octets = int64(len(whole))
	m.run.progress.message(it.octets, false)
	if m.leaveOut(it, it.octets) {
		m.run.buffers <- buf
		return nil
	}
	if m.run.o.Selection.SkipAttachments {
		if m.run.erasure.holds(whole) { // else those who cut look
			it.state = erased
			m.run.buffers <- buf
			return nil
		}
		*buf = it.withoutAttachments(whole)
	}
	wg.Add(1)
	j := job{ctx: context.WithoutCancel(ctx), it: it, buf: buf, done: func(err error) { fail(err); wg.Done() }}
	m.run.cutters <- j
	return nil
}

// receiveLong goes on with a message that is too long to be held, and of which begun has arrived.
func (m *mailbox) receiveLong(ctx context.Context, it *item, begun []byte, rest io.Reader) error {
	all := io.MultiReader(bytes.NewReader(begun), rest)
	if !it.innocent && m.run.erasure.opens(begun) {
		m.judge(it, all)
		return nil
	}
	return m.stream(ctx, it, all)
}

// alterLong goes on with a long message whose attachments are to be left out, for which it must be held whole. Of such only one
// is at a time, however many arrive, and its memory is not kept for others.
func (m *mailbox) alterLong(ctx context.Context, it *item, begun []byte, rest io.Reader) error {
	select {
	case m.run.altering <- struct{}{}:
		defer func() { <-m.run.altering }()
	case <-ctx.Done():
		it.err = fmt.Errorf("%w: %w", errCutOff, context.Cause(ctx))
		return nil
	}
	room := min(max(it.m.Size, 2*wholeMessage), alterLimit) + 1 // the end is found by one octet more
	whole, err := readUpTo(append(make([]byte, 0, room), begun...), rest, alterLimit)
	switch {
	case err != nil:
		it.err = fmt.Errorf("%w: %w", errCutOff, err)
		return nil
	case len(whole) > alterLimit:
		return m.receiveLong(ctx, it, whole, rest)
	}
	it.octets = int64(len(whole))
	m.run.progress.message(it.octets, false)
	switch {
	case m.leaveOut(it, it.octets):
		return nil
	case m.run.erasure.holds(whole):
		it.state = erased
		return nil
	}
	_, err = m.run.save(context.WithoutCancel(ctx), it, it.withoutAttachments(whole), nil)
	return err
}

// leaveOut applies the rules again now that the size is known for certain.
func (m *mailbox) leaveOut(it *item, size int64) bool {
	if it.m.Size >= 0 || m.run.o.Selection.MaxSize == 0 || size <= m.run.o.Selection.MaxSize {
		return false
	}
	it.state = excluded
	return true
}

// withoutAttachments is the message with placeholders in place of its attachments.
func (it *item) withoutAttachments(whole []byte) []byte {
	out, skipped := message.SkipAttachments(nil, whole, 0)
	if len(skipped) == 0 {
		return whole
	}
	what := make([]string, len(skipped))
	for i, s := range skipped {
		what[i] = fmt.Sprintf("%s %s, %d octets, SHA-256 %x", s.Type, s.Name, s.Size, s.SHA256)
	}
	it.altered = "attachments left out: " + strings.Join(what, "; ")
	return out
}

// readUpTo reads r to its end, or to just beyond limit.
func readUpTo(buf []byte, r io.Reader, limit int64) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil || int64(len(buf)) > limit {
			return buf, err
		}
	}
}

// stream cuts and stores a message of any length while it arrives.
func (m *mailbox) stream(ctx context.Context, it *item, body io.Reader) error {
	c := message.NewCutter(body)
	var content []repo.ID
	var size int64
	save := context.WithoutCancel(ctx)
	for {
		kind, p, err := c.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			it.err = fmt.Errorf("%w: %w", errCutOff, err)
			return nil
		}
		id, _, _, err := m.run.session.SaveBlob(save, repo.DataBlob, p, hint(kind))
		if err != nil {
			return err
		}
		content = append(content, id)
		size += int64(len(p))
	}
	it.octets = size
	m.run.progress.message(size, false)
	if !m.leaveOut(it, size) {
		it.put(size, content)
	}
	return nil
}
