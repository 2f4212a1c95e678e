package storetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/mail"
	"roost/store/memory"
)

// The memory store keeps the contract, with all its powers and with fewer.
func TestMemory(t *testing.T) {
	for _, c := range []struct {
		name    string
		options memory.Options
	}{
		{"all powers", memory.Options{}},
		{"no tokens", memory.Options{FullOnly: true}},
		{"no GUIDs", memory.Options{NoGUID: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			open := func(*testing.T) mail.Store { return memory.New(c.options) }
			Run(t, open, Options{Reopen: func(_ *testing.T, s mail.Store) mail.Store { return s }})
		})
	}
}

// A store that has none of the powers passes, too.
func TestNoPowers(t *testing.T) {
	type bare struct{ mail.Store }
	Run(t, func(*testing.T) mail.Store { return bare{memory.New(memory.Options{})} }, Options{})
}

// Each way to break a store makes the checks fail that are about it.
func TestBrokenStoresFail(t *testing.T) {
	for _, c := range []struct {
		name  string
		wrap  func(mail.Store) mail.Store
		fails []string // names of checks that must be among those that fail
	}{
		{"CR is dropped", func(s mail.Store) mail.Store { return dropsCR{s} },
			[]string{"bytes come back exactly: CRLF line ends", "bytes come back exactly: lone CR"}},
		{"the final line end is added", func(s mail.Store) mail.Store { return addsLineEnd{s} },
			[]string{"bytes come back exactly: no final line end", "bytes come back exactly: nothing"}},
		{"the same bytes are stored once", func(s mail.Store) mail.Store { return &dropsTwins{Store: s, seen: map[string]mail.Key{}} },
			[]string{"the same bytes twice stay two messages"}},
		{"what was expunged is not told", func(s mail.Store) mail.Store { return hidesVanished{s} },
			[]string{"Changes since a token tell all that happened", "an old token still tells all"}},
		{"a void token means that nothing changed", func(s mail.Store) mail.Store { return trustsTokens{s} },
			[]string{"a token of another mailbox or store, or of none, is void"}},
		{"what is gone is not answered", func(s mail.Store) mail.Store { return skipsGone{s} },
			[]string{"Fetch answers each key once, what is gone with ErrGone"}},
		{"\\Deleted is expunged as well", func(s mail.Store) mail.Store { return expungesDeleted{s} },
			[]string{"Expunge removes exactly these messages"}},
		{"Move copies only", func(s mail.Store) mail.Store { return copies{s} },
			[]string{"Move takes messages with their bytes, flags and dates"}},
		{"internal dates lose their seconds", func(s mail.Store) mail.Store { return wholeMinutes{s} },
			[]string{"internal dates are kept to the second, whatever their zone"}},
		{"keywords are lost silently", func(s mail.Store) mail.Store { return losesKeywords{s} },
			[]string{"flags given to Append are kept, and losses reported"}},
		{"SetFlags replaces", func(s mail.Store) mail.Store { return replacesFlags{s} },
			[]string{"SetFlags keeps other flags", "SetFlags adds and removes on exactly these messages"}},
		{"Delete takes what is below", func(s mail.Store) mail.Store { return deletesTree{s} },
			[]string{"Delete removes the mailbox and its messages, not those below it"}},
		{"dots are levels", func(s mail.Store) mail.Store { return dotsAreLevels{s} },
			[]string{"mailbox name with a dot inside"}},
		{"cancellation is ignored", func(s mail.Store) mail.Store { return deaf{s} },
			[]string{"a cancelled context stops every method and changes nothing"}},
		{"GUIDs are taken from the caller", func(s mail.Store) mail.Store { return &trustsGUIDs{Store: s, guids: map[mail.Key]string{}} },
			[]string{"equal GUIDs are equal bytes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			open := func(*testing.T) mail.Store { return c.wrap(memory.New(memory.Options{})) }
			failed := failures(t, open)
			for _, name := range c.fails {
				if _, ok := failed[name]; !ok {
					t.Errorf("the check %q did not fail; those that did: %d", name, len(failed))
				}
			}
			if len(failed) > len(checks())/2 {
				t.Errorf("%d of %d checks failed: what is broken is more than one thing", len(failed), len(checks()))
			}
		})
	}
}

// failures runs all checks and returns what those said that failed.
func failures(t *testing.T, open func(*testing.T) mail.Store) map[string]string {
	failed := make(map[string]string)
	for _, c := range checks() {
		r := &recorder{T: t}
		var wg sync.WaitGroup
		wg.Go(func() {
			c.run(&trial{reporter: r, t: t, open: open, store: open(t), Options: Options{Many: 20, Large: 1 << 10}})
		})
		wg.Wait()
		if r.said.Len() > 0 {
			failed[c.name] = r.said.String()
		}
	}
	return failed
}

// recorder notes failures instead of failing. Fatalf and Skip end the goroutine.
type recorder struct {
	*testing.T // for Context, Helper
	mu         sync.Mutex
	said       strings.Builder
}

func (r *recorder) Logf(string, ...any) {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(&r.said, format+"\n", args...)
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Skip(...any) { runtime.Goexit() }

// The ways to break a store.

type dropsCR struct{ mail.Store }

func (s dropsCR) Append(ctx context.Context, name mail.Name, m mail.Message, body io.Reader) (mail.Key, error) {
	return appendEdited(ctx, s.Store, name, m, body, func(raw []byte) []byte { return bytes.ReplaceAll(raw, []byte("\r"), nil) })
}

type addsLineEnd struct{ mail.Store }

func (s addsLineEnd) Append(ctx context.Context, name mail.Name, m mail.Message, body io.Reader) (mail.Key, error) {
	return appendEdited(ctx, s.Store, name, m, body, func(raw []byte) []byte {
		if bytes.HasSuffix(raw, []byte("\n")) {
			return raw
		}
		return append(raw, "\r\n"...)
	})
}

func appendEdited(ctx context.Context, s mail.Store, name mail.Name, m mail.Message, body io.Reader, edit func([]byte) []byte) (mail.Key, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return "", err
	}
	m.Size = -1
	return s.Append(ctx, name, m, bytes.NewReader(edit(raw)))
}

type dropsTwins struct {
	mail.Store
	mu   sync.Mutex
	seen map[string]mail.Key
}

func (s *dropsTwins) Append(ctx context.Context, name mail.Name, m mail.Message, body io.Reader) (mail.Key, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := string(name) + "\n" + string(raw)
	if key, ok := s.seen[id]; ok {
		return key, nil
	}
	key, err := s.Store.Append(ctx, name, m, bytes.NewReader(raw))
	if err == nil {
		s.seen[id] = key
	}
	return key, err
}

type hidesVanished struct{ mail.Store }

func (s hidesVanished) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	ch, err := s.Store.Changes(ctx, name, since)
	ch.Vanished = mail.UIDSet{}
	return ch, err
}

type trustsTokens struct{ mail.Store }

func (s trustsTokens) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	ch, err := s.Store.Changes(ctx, name, since)
	if since != "" && ch.Full {
		ch.Full, ch.Messages = false, nil
	}
	return ch, err
}

type skipsGone struct{ mail.Store }

func (s skipsGone) Fetch(ctx context.Context, name mail.Name, keys []mail.Key, part mail.Part) iter.Seq2[mail.Fetched, error] {
	return func(yield func(mail.Fetched, error) bool) {
		for f, err := range s.Store.Fetch(ctx, name, keys, part) {
			if _, one := mail.KeyOf(err); one {
				continue
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

type expungesDeleted struct{ mail.Store }

func (s expungesDeleted) Expunge(ctx context.Context, name mail.Name, keys []mail.Key) error {
	ch, err := s.Store.Changes(ctx, name, "")
	if err != nil {
		return err
	}
	for _, m := range ch.Messages {
		if m.Flags.Has(mail.Deleted) {
			keys = append(keys, m.Key)
		}
	}
	return s.Store.Expunge(ctx, name, keys)
}

type copies struct{ mail.Store }

func (s copies) Move(ctx context.Context, from mail.Name, keys []mail.Key, to mail.Name) ([]mail.Key, error) {
	ch, err := s.Store.Changes(ctx, from, "")
	if err != nil {
		return nil, err
	}
	listed := byKey(ch)
	moved := make([]mail.Key, len(keys))
	for i, k := range keys {
		for f, err := range s.Store.Fetch(ctx, from, []mail.Key{k}, mail.Whole) {
			if err != nil {
				break
			}
			if moved[i], err = s.Store.Append(ctx, to, listed[k], f.Body); err != nil {
				return nil, err
			}
		}
	}
	return moved, nil
}

type wholeMinutes struct{ mail.Store }

func (s wholeMinutes) Append(ctx context.Context, name mail.Name, m mail.Message, body io.Reader) (mail.Key, error) {
	m.InternalDate = m.InternalDate.Truncate(time.Minute)
	return s.Store.Append(ctx, name, m, body)
}

type losesKeywords struct{ mail.Store }

func (s losesKeywords) Append(ctx context.Context, name mail.Name, m mail.Message, body io.Reader) (mail.Key, error) {
	m.Flags = m.Flags.Minus(m.Flags.Keywords())
	return s.Store.Append(ctx, name, m, body)
}

type replacesFlags struct{ mail.Store }

func (s replacesFlags) SetFlags(ctx context.Context, name mail.Name, keys []mail.Key, add, _ mail.Flags) error {
	ch, err := s.Store.Changes(ctx, name, "")
	if err != nil {
		return err
	}
	listed := byKey(ch)
	for _, k := range keys {
		if err := s.Store.SetFlags(ctx, name, []mail.Key{k}, add, listed[k].Flags); err != nil {
			return err
		}
	}
	return nil
}

type deletesTree struct{ mail.Store }

func (s deletesTree) Delete(ctx context.Context, name mail.Name) error {
	list, err := s.Store.Mailboxes(ctx)
	if err != nil {
		return err
	}
	for _, m := range list {
		if m.Name.Below(name) {
			s.Store.Delete(ctx, m.Name)
		}
	}
	return s.Store.Delete(ctx, name)
}

type dotsAreLevels struct{ mail.Store }

func (s dotsAreLevels) Create(ctx context.Context, name mail.Name) error {
	if err := s.Store.Create(ctx, name); err != nil || !strings.Contains(string(name), ".") {
		return err
	}
	return s.Store.Rename(ctx, name, mail.Name(strings.ReplaceAll(string(name), ".", "/")))
}

type deaf struct{ mail.Store }

func (s deaf) SetFlags(ctx context.Context, name mail.Name, keys []mail.Key, add, remove mail.Flags) error {
	return s.Store.SetFlags(context.WithoutCancel(ctx), name, keys, add, remove)
}

type trustsGUIDs struct {
	mail.Store
	mu    sync.Mutex
	guids map[mail.Key]string
}

func (s *trustsGUIDs) Append(ctx context.Context, name mail.Name, m mail.Message, body io.Reader) (mail.Key, error) {
	key, err := s.Store.Append(ctx, name, m, body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.guids[key] = m.GUID
	return key, err
}

func (s *trustsGUIDs) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	ch, err := s.Store.Changes(ctx, name, since)
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range ch.Messages {
		if g := s.guids[ch.Messages[i].Key]; g != "" {
			ch.Messages[i].GUID = g
		}
	}
	return ch, err
}
