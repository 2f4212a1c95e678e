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
	alterLimit   = 512 << 20 // octets; attachments of a longer message are not taken out
)

// receive reads one message. A short one is handed to the cutters, a long one
// is cut as it arrives. A message that ends early has its err set.
func (m *mailbox) receive(ctx context.Context, it *item, body io.Reader, wg *sync.WaitGroup, fail func(error)) error {
	buf := <-m.run.buffers
	limit := int64(wholeMessage)
	if m.run.o.Selection.SkipAttachments {
		limit = alterLimit
	}
	whole, err := readUpTo((*buf)[:0], body, limit)
	*buf = whole
	if err != nil {
		m.run.buffers <- buf
		it.err = fmt.Errorf("%w: %w", errCutOff, err)
		return nil
	}
	if int64(len(whole)) > limit {
		defer func() { m.run.buffers <- buf }()
		all := io.MultiReader(bytes.NewReader(whole), body)
		if !it.innocent && m.run.erasure.opens(whole) {
			m.judge(it, all)
			return nil
		}
		return m.stream(ctx, it, all)
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
		m.withoutAttachments(it, buf)
	}
	wg.Add(1)
	j := job{ctx: context.WithoutCancel(ctx), it: it, buf: buf, done: func(err error) { fail(err); wg.Done() }}
	m.run.cutters <- j
	return nil
}

// leaveOut applies the rules again now that the size is known for certain.
func (m *mailbox) leaveOut(it *item, size int64) bool {
	if it.m.Size >= 0 || m.run.o.Selection.MaxSize == 0 || size <= m.run.o.Selection.MaxSize {
		return false
	}
	it.state = excluded
	return true
}

// withoutAttachments replaces the message in buf by one with placeholders.
func (m *mailbox) withoutAttachments(it *item, buf *[]byte) {
	out, skipped := message.SkipAttachments(nil, *buf, 0)
	if len(skipped) == 0 {
		return
	}
	*buf = out
	what := make([]string, len(skipped))
	for i, s := range skipped {
		what[i] = fmt.Sprintf("%s %s, %d octets, SHA-256 %x", s.Type, s.Name, s.Size, s.SHA256)
	}
	it.altered = "attachments left out: " + strings.Join(what, "; ")
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
