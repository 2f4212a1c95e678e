package eml

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"roost/mail"
	"roost/store/tree"
)

// A message is written to a file that is no mail yet. When a batch of them is
// durable, their lines are added to the sidecar, and then each file gets its name.
// Killed in between, a program leaves lines without files, which mean nothing, and
// files that are no mail.

const (
	batchMessages = 1000
	batchBytes    = 64 << 20
)

// draft is a message on its way into a mailbox.
type draft struct {
	wanted  uint32 // the UID it had elsewhere
	entry   entry
	written string // its file; "" if it has none
	err     error
}

// Append stores one message.
func (s *Store) Append(ctx context.Context, name mail.Name, m mail.Message, body io.Reader) (mail.Key, error) {
	b, err := s.newBatch(ctx, name)
	if err != nil {
		return "", s.fail("append", name, err)
	}
	defer b.close()
	b.add(ctx, m, body)
	if err := b.commit(ctx); err != nil {
		return "", s.fail("append", name, err)
	}
	a := b.answer(0)
	return a.Key, a.Err
}

// AppendAll stores messages in batches, and makes each batch durable as one.
func (s *Store) AppendAll(ctx context.Context, name mail.Name, messages iter.Seq[mail.Outgoing]) iter.Seq2[mail.Appended, error] {
	return func(yield func(mail.Appended, error) bool) {
		b, err := s.newBatch(ctx, name)
		if err != nil {
			yield(mail.Appended{}, s.fail("append", name, err))
			return
		}
		defer b.close()
		flush := func() bool {
			if err := b.commit(ctx); err != nil {
				yield(mail.Appended{}, s.fail("append", name, err))
				return false
			}
			for i := range b.drafts {
				if !yield(b.answer(i), nil) {
					return false
				}
			}
			b.drafts, b.bytes = b.drafts[:0], 0
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
	dir    string
	drafts []draft
	open   []*os.File // of drafts; only where SyncAll needs them
	bytes  int64      // of drafts
}

func (s *Store) newBatch(ctx context.Context, name mail.Name) (*batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dir, err := s.mailbox(name)
	if err != nil {
		return nil, err
	}
	return &batch{store: s, name: name, dir: dir}, nil
}

// close removes what was not committed.
func (b *batch) close() {
	b.closeFiles()
	for _, d := range b.drafts {
		if d.written != "" {
			b.store.root.Remove(d.written)
		}
	}
}

func (b *batch) closeFiles() {
	for _, f := range b.open {
		f.Close()
	}
	b.open = b.open[:0]
}

func (b *batch) addOutgoing(ctx context.Context, m mail.Outgoing) {
	body, err := m.Open(ctx)
	if err != nil {
		b.drafts = append(b.drafts, draft{err: fmt.Errorf("open the message: %w", err)})
		return
	}
	defer body.Close()
	b.add(ctx, m.Message, body)
}

// add writes a message to a file. What goes wrong is the draft's error.
func (b *batch) add(ctx context.Context, m mail.Message, body io.Reader) {
	d := draft{wanted: m.UID, entry: entry{date: m.InternalDate, origin: m.GUID, flags: m.Flags}}
	if d.entry.date.IsZero() {
		d.entry.date = time.Now()
	}
	d.entry.date = d.entry.date.UTC().Truncate(time.Second)
	d.written = tree.Temporary(b.dir)
	d.err = b.write(ctx, &d, body)
	b.bytes += d.entry.size
	b.drafts = append(b.drafts, d)
}

// write makes a file of a body, dated as the message is, and notes size and GUID.
func (b *batch) write(ctx context.Context, d *draft, body io.Reader) (err error) {
	f, err := b.store.root.OpenFile(d.written, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	digest := sha256.New()
	d.entry.size, err = io.Copy(io.MultiWriter(f, digest), &contextReader{ctx, body})
	d.entry.guid = "sha256:" + hex.EncodeToString(digest.Sum(nil))
	if err == nil && tree.HoldsFiles {
		b.open = append(b.open, f)
	} else {
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return err
	}
	return b.store.root.Chtimes(d.written, d.entry.date, d.entry.date)
}

// commit makes the drafts durable, and messages of them.
func (b *batch) commit(ctx context.Context) error {
	s := b.store
	var good []*draft
	for i := range b.drafts {
		if b.drafts[i].err == nil {
			good = append(good, &b.drafts[i])
		}
	}
	if len(good) == 0 {
		return ctx.Err()
	}
	if err := b.sync(); err != nil {
		return err
	}
	release, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer release()
	if now, err := s.mailbox(b.name); err != nil || now != b.dir {
		return mail.ErrNoMailbox // it was renamed or deleted meanwhile
	}
	var lines strings.Builder
	for _, d := range good {
		if err := s.takeUID(b.dir, d.wanted, &d.entry); err != nil {
			delete(s.tails, b.dir) // UIDs were taken that no line says
			return err
		}
		lines.WriteString(d.entry.line(fileOfUID(d.entry.uid)))
	}
	if err := s.addLines(b.dir, lines.String()); err != nil {
		return err
	}
	for _, d := range good {
		if d.err = s.root.Rename(d.written, tree.Join(b.dir, fileOfUID(d.entry.uid))); d.err == nil {
			d.written = ""
		}
	}
	return tree.SyncDir(s.root, b.dir)
}

// sync makes the files durable. One alone costs less by itself than the whole file
// system does.
func (b *batch) sync() error {
	defer b.closeFiles()
	dir, err := b.store.root.Open(b.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	if tree.HoldsFiles || len(b.drafts) > 1 {
		return tree.SyncAll(dir, b.open)
	}
	f, err := b.store.root.OpenFile(b.drafts[0].written, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// answer is what AppendAll says of draft i.
func (b *batch) answer(i int) mail.Appended {
	d := &b.drafts[i]
	if d.written != "" {
		b.store.root.Remove(d.written)
		d.written = ""
	}
	if d.err != nil {
		return mail.Appended{Err: b.store.fail("append", b.name, d.err)}
	}
	return mail.Appended{Key: keyOf(d.entry.uid)}
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
