package memory

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"roost/mail"
)

// Changes tells what happened since a token of this mailbox, under any name;
// everything for any other token.
func (s *Store) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	if err := ctx.Err(); err != nil {
		return mail.Changes{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.selectable("list", name)
	if err != nil {
		return mail.Changes{}, err
	}
	c := mail.Changes{
		UIDValidity:   b.uidValidity,
		UIDNext:       b.uidNext,
		HighestModSeq: b.modSeq,
		Token:         s.token(b),
		Count:         int64(len(b.messages)),
		Method:        "memory",
	}
	modSeq, known := s.modSeqOf(b, since)
	c.Full = !known
	for _, m := range b.messages {
		if c.Full || m.ModSeq > modSeq {
			c.Messages = append(c.Messages, m.Message)
		}
	}
	if !c.Full {
		for _, x := range b.expunged {
			if x.modSeq > modSeq {
				c.Vanished.Add(x.uid)
			}
		}
	}
	return c, nil
}

// modSeqOf is the mod-sequence that a token of b stands for. The caller holds mu.
func (s *Store) modSeqOf(b *mailbox, since mail.Token) (modSeq uint64, known bool) {
	number, ours := strings.CutPrefix(string(since), s.tokenPrefix(b))
	if !ours || s.options.FullOnly {
		return 0, false
	}
	modSeq, err := strconv.ParseUint(number, 10, 64)
	return modSeq, err == nil && modSeq <= b.modSeq
}

// Fetch yields the messages in the order of keys. Each is looked up when it is
// its turn, not before.
func (s *Store) Fetch(ctx context.Context, name mail.Name, keys []mail.Key, part mail.Part) iter.Seq2[mail.Fetched, error] {
	return func(yield func(mail.Fetched, error) bool) {
		for _, key := range keys {
			if err := ctx.Err(); err != nil {
				yield(mail.Fetched{}, err)
				return
			}
			body, err := s.body(name, key)
			if err != nil {
				_, one := mail.KeyOf(err)
				if !yield(mail.Fetched{Key: key}, err) || !one {
					return
				}
				continue
			}
			if part == mail.Header {
				body = header(body)
			}
			if !yield(mail.Fetched{Key: key, Body: bytes.NewReader(body), Size: int64(len(body))}, nil) {
				return
			}
		}
	}
}

func (s *Store) body(name mail.Name, key mail.Key) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.selectable("fetch", name)
	if err != nil {
		return nil, err
	}
	m := b.find(key)
	if m == nil {
		return nil, &mail.Error{Op: "fetch", Mailbox: name, Key: key, Err: mail.ErrGone}
	}
	return m.body, nil
}

// Append stores a message with all its flags. Its GUID is new, whatever m.GUID
// says. A body whose length is not m.Size is refused.
func (s *Store) Append(ctx context.Context, name mail.Name, m mail.Message, body io.Reader) (mail.Key, error) {
	fail := func(err error) (mail.Key, error) {
		return "", &mail.Error{Op: "append", Mailbox: name, Err: err}
	}
	data, err := io.ReadAll(body)
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return fail(fmt.Errorf("read the message: %w", err))
	}
	size := int64(len(data))
	if m.Size >= 0 && m.Size != size {
		return fail(fmt.Errorf("message of %d octets, %d were announced", size, m.Size))
	}
	date := m.InternalDate
	if date.IsZero() {
		date = s.options.Now()
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.selectable("append", name)
	if err != nil {
		return "", err
	}
	if err := b.room(1); err != nil {
		return fail(err)
	}
	stored := &message{body: data, Message: mail.Message{
		UID:          m.UID,
		Flags:        m.Flags,
		InternalDate: date.Truncate(time.Second),
		Size:         size,
		Extra:        m.Extra,
	}}
	if !s.options.NoGUID {
		s.lastGUID++
		stored.GUID = "G" + strconv.FormatUint(s.lastGUID, 10)
	}
	return b.add(stored), nil
}

// AppendAll appends one message after the other. It reads none ahead.
func (s *Store) AppendAll(ctx context.Context, name mail.Name, messages iter.Seq[mail.Outgoing]) iter.Seq2[mail.Appended, error] {
	return func(yield func(mail.Appended, error) bool) {
		for m := range messages {
			if err := ctx.Err(); err != nil {
				yield(mail.Appended{}, err)
				return
			}
			key, err := s.appendOne(ctx, name, m)
			if ctx.Err() != nil && err != nil {
				yield(mail.Appended{}, ctx.Err())
				return
			}
			if !yield(mail.Appended{Key: key, Err: err}, nil) {
				return
			}
		}
	}
}

func (s *Store) appendOne(ctx context.Context, name mail.Name, m mail.Outgoing) (mail.Key, error) {
	body, err := m.Open(ctx)
	if err != nil {
		return "", &mail.Error{Op: "append", Mailbox: name, Err: fmt.Errorf("open the message: %w", err)}
	}
	defer body.Close()
	return s.Append(ctx, name, m.Message, body)
}

// SetFlags adds and removes flags; what is both added and removed is there
// afterwards. A message whose flags do not change keeps its mod-sequence.
func (s *Store) SetFlags(ctx context.Context, name mail.Name, keys []mail.Key, add, remove mail.Flags) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.selectable("set flags", name)
	if err != nil {
		return err
	}
	changed := false
	for _, key := range keys {
		m := b.find(key)
		if m == nil {
			continue
		}
		if flags := m.Flags.Minus(remove.Minus(add)).Plus(add); flags != m.Flags {
			if !changed {
				b.modSeq++
				changed = true
			}
			m.Flags, m.ModSeq = flags, b.modSeq
		}
	}
	return nil
}

// Move takes messages to another mailbox, or to the end of the same one, where
// they have new UIDs and their old GUIDs.
func (s *Store) Move(ctx context.Context, from mail.Name, keys []mail.Key, to mail.Name) ([]mail.Key, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	source, err := s.selectable("move", from)
	if err != nil {
		return nil, err
	}
	dest, err := s.selectable("move", to)
	if err != nil {
		return nil, err
	}
	if err := dest.room(len(keys)); err != nil {
		return nil, &mail.Error{Op: "move", Mailbox: to, Err: err}
	}
	copies := make([]*message, len(keys))
	taken := make(map[mail.Key]bool, len(keys))
	for i, key := range keys {
		if m := source.find(key); m != nil && !taken[key] {
			taken[key] = true
			copied := *m
			copied.UID = 0
			copies[i] = &copied
		}
	}
	source.remove(keys)
	moved := make([]mail.Key, len(keys))
	for i, m := range copies {
		if m != nil {
			moved[i] = dest.add(m)
		}
	}
	return moved, nil
}

// Expunge removes exactly these messages.
func (s *Store) Expunge(ctx context.Context, name mail.Name, keys []mail.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b, err := s.selectable("expunge", name)
	if err != nil {
		return err
	}
	b.remove(keys)
	return nil
}
