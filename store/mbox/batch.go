package mbox

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"path"

	"roost/mail"
	"roost/store/tree"
)

// Messages are gathered before the file is locked, so that nobody waits for where
// they come from.

const (
	batchMessages = 1000
	batchBytes    = 64 << 20

	// maxMemory is how much of a message is held before it goes to a temporary
	// file, in octets; maxBatchMemory how much of all messages of a batch.
	maxMemory      = 1 << 20
	maxBatchMemory = 16 << 20
)

// AppendAll writes messages in batches, and makes each batch durable as one.
func (s *Store) AppendAll(ctx context.Context, name mail.Name, messages iter.Seq[mail.Outgoing]) iter.Seq2[mail.Appended, error] {
	return func(yield func(mail.Appended, error) bool) {
		b, err := s.newBatch(ctx, name)
		if err != nil {
			yield(mail.Appended{}, s.fail("append", name, err))
			return
		}
		defer b.clear()
		flush := func() bool {
			if err := b.commit(ctx); err != nil {
				yield(mail.Appended{}, s.fail("append", name, err))
				return false
			}
			for _, d := range b.drafts {
				if !yield(mail.Appended{Key: d.key, Err: s.fail("append", name, d.err)}, nil) {
					return false
				}
			}
			b.clear()
			return true
		}
		for m := range messages {
			if err := ctx.Err(); err != nil {
				yield(mail.Appended{}, s.fail("append", name, err))
				return
			}
			b.addOutgoing(ctx, m)
			if (len(b.drafts) >= batchMessages || b.bytes >= batchBytes) && !flush() {
				return
			}
		}
		flush()
	}
}

// batch is messages that become durable together.
type batch struct {
	store  *Store
	name   mail.Name
	file   string
	drafts []*draft
	spools []*spool // beside drafts; nil for one without bytes
	bytes  int64    // of drafts
	memory int      // octets that spools hold
}

func (s *Store) newBatch(ctx context.Context, name mail.Name) (*batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, there := s.find(name)
	if !there {
		return nil, mail.ErrNoMailbox
	}
	return &batch{store: s, name: name, file: file}, nil
}

// clear removes all messages.
func (b *batch) clear() {
	for _, p := range b.spools {
		p.remove()
	}
	b.drafts, b.spools, b.bytes, b.memory = b.drafts[:0], b.spools[:0], 0, 0
}

func (b *batch) addOutgoing(ctx context.Context, m mail.Outgoing) {
	body, err := m.Open(ctx)
	if err != nil {
		b.drafts = append(b.drafts, &draft{err: fmt.Errorf("open the message: %w", err)})
		return
	}
	defer body.Close()
	b.add(ctx, m.Message, body)
}

// add gathers a message. What goes wrong is the draft's error.
func (b *batch) add(ctx context.Context, m mail.Message, body io.Reader) {
	p := &spool{store: b.store, dir: path.Dir(b.file), most: min(maxMemory, maxBatchMemory-b.memory)}
	d := &draft{m: m, content: p.copyTo}
	d.size, d.err = p.fill(ctx, body)
	b.drafts, b.spools = append(b.drafts, d), append(b.spools, p)
	b.bytes += d.size
	b.memory += p.small.Len()
}

// commit writes the messages to the file.
func (b *batch) commit(ctx context.Context) error {
	s := b.store
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(b.drafts) == 0 {
		return nil
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	if now, there := s.find(b.name); !there || now != b.file {
		return mail.ErrNoMailbox // it was renamed or deleted meanwhile
	}
	o, err := s.openExclusive(ctx, b.file)
	if err != nil {
		return err
	}
	defer o.close()
	return s.appendTo(ctx, o, b.drafts)
}

// spool holds a message, quoted, until its size is known: in memory, or in a
// temporary file if it is large.
type spool struct {
	store *Store
	dir   string
	most  int // octets that it holds in memory
	small bytes.Buffer
	file  *os.File
	name  string
}

// fill takes the body to its end and returns its size.
func (p *spool) fill(ctx context.Context, body io.Reader) (int64, error) {
	q := quoter{w: p}
	if _, err := io.Copy(&q, &contextReader{ctx, body}); err != nil {
		return 0, err
	}
	return q.size, q.finish()
}

func (p *spool) Write(b []byte) (int, error) {
	if p.file == nil && p.small.Len()+len(b) <= p.most {
		return p.small.Write(b)
	}
	if p.file == nil {
		name := tree.Temporary(p.dir)
		f, err := p.store.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return 0, err
		}
		p.file, p.name = f, name
		if _, err := p.file.Write(p.small.Bytes()); err != nil {
			return 0, err
		}
	}
	return p.file.Write(b)
}

func (p *spool) copyTo(w io.Writer) error {
	if p.file == nil {
		_, err := w.Write(p.small.Bytes())
		return err
	}
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(w, p.file)
	return err
}

func (p *spool) remove() {
	if p.file != nil {
		p.file.Close()
		p.store.root.Remove(p.name)
		p.file = nil
	}
}

// contextReader stops reading when the context is done.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
