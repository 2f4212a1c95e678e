package mailsync

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/mail"
	"roost/store/memory"
)

var epoch = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

func day(n int) time.Time { return epoch.AddDate(0, 0, -n) }

// put appends messages to a mailbox, which it makes if need be.
func put(t *testing.T, s mail.Store, name mail.Name, messages ...sample) {
	t.Helper()
	if name != mail.Inbox {
		_ = s.Create(t.Context(), name) // ErrExist is welcome
	}
	for _, m := range messages {
		out := mail.Message{Flags: m.flags, InternalDate: m.date, Size: int64(len(m.text))}
		if _, err := s.Append(t.Context(), name, out, strings.NewReader(m.text)); err != nil {
			t.Fatal(err)
		}
	}
}

type sample struct {
	text  string
	flags mail.Flags
	date  time.Time
}

func letter(head, body string) sample {
	return sample{text: "Subject: " + head + "\r\n\r\n" + body + "\r\n", date: day(1)}
}

// contents is the multiset of the texts of each mailbox, with line ends as they
// are evened out: the plainest way to say what a store holds.
func contents(t *testing.T, s mail.Source) map[mail.Name]map[string]int {
	t.Helper()
	boxes, err := s.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[mail.Name]map[string]int)
	for _, box := range boxes {
		texts := make(map[string]int)
		for _, m := range messages(t, s, box.Name) {
			texts[m.text]++
		}
		all[box.Name] = texts
	}
	return all
}

// messages lists a mailbox with the texts.
func messages(t *testing.T, s mail.Source, name mail.Name) []sample {
	t.Helper()
	c, err := s.Changes(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	var out []sample
	for _, m := range c.Messages {
		for f, err := range s.Fetch(t.Context(), name, []mail.Key{m.Key}, mail.Whole) {
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(f.Body)
			if err != nil {
				t.Fatal(err)
			}
			text = []byte(strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n", "\r\n"))
			out = append(out, sample{string(text), m.Flags, m.InternalDate})
		}
	}
	return out
}

// fill gives a store random mailboxes and messages, out of few texts and fewer
// headers, so that there are copies, and different messages that look alike.
func fill(t *testing.T, random *rand.Rand, s mail.Store) {
	t.Helper()
	for _, name := range []mail.Name{"INBOX", "Work", "Work/Old", "Sent"} {
		if random.IntN(4) == 0 {
			continue
		}
		put(t, s, name)
		for range random.IntN(7) {
			heads, bodies := []string{"0", "1", "\xe4", "X"}, []string{"0", "1", "1\r"}
			m := letter(heads[random.IntN(len(heads))], bodies[random.IntN(len(bodies))])
			if random.IntN(3) == 0 {
				m.text = strings.ReplaceAll(m.text, "\r\n", "\n")
			}
			m.flags = [...]mail.Flags{"", `\Seen`, `\Flagged work`}[random.IntN(3)]
			m.date = day(random.IntN(2))
			put(t, s, name, m)
		}
	}
}

// breaker is a store that fails at one call, or from one call on, as one does
// whose connection breaks. It counts the calls that write.
type breaker struct {
	*memory.Store
	mu     sync.Mutex // guards what follows
	writes []string
	calls  int  // that write
	at     int  // the call that fails, counted from 1; 0: none
	after  bool // it fails after its effect
	stay   bool // all calls after it fail too
	keys   bool // Append does not tell keys
	alters mail.Alteration
}

func (b *breaker) Alters(context.Context) (mail.Alteration, error) { return b.alters, b.dead() }

// altered is how a store keeps a text.
func altered(a mail.Alteration, text string) string {
	switch a {
	case mail.MaskedHeader:
		header, body, _ := strings.Cut(text, "\r\n\r\n")
		return strings.ReplaceAll(header, "\xe4", "X") + "\r\n\r\n" + body
	case mail.DroppedCR:
		return strings.ReplaceAll(text, "\r\r\n", "\r\n")
	}
	return text
}

func (b *breaker) broken() error {
	return &mail.Error{Op: "write", Err: mail.ErrConnect}
}

// call runs one writing call.
func (b *breaker) call(what string, do func() error) error {
	b.mu.Lock()
	b.calls++
	b.writes = append(b.writes, what)
	n := b.calls
	b.mu.Unlock()
	switch {
	case b.at != 0 && b.stay && n > b.at, n == b.at && !b.after:
		return b.broken()
	case n == b.at:
		if err := do(); err != nil {
			return err
		}
		return b.broken()
	}
	return do()
}

func (b *breaker) dead() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stay && b.at != 0 && b.calls >= b.at {
		return b.broken()
	}
	return nil
}

func (b *breaker) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	if err := b.dead(); err != nil {
		return mail.Changes{}, err
	}
	return b.Store.Changes(ctx, name, since)
}

func (b *breaker) Mailboxes(ctx context.Context) ([]mail.Mailbox, error) {
	if err := b.dead(); err != nil {
		return nil, err
	}
	return b.Store.Mailboxes(ctx)
}

func (b *breaker) Create(ctx context.Context, name mail.Name) error {
	return b.call("create", func() error { return b.Store.Create(ctx, name) })
}

func (b *breaker) CreateRole(ctx context.Context, name mail.Name, role mail.Role) error {
	return b.call("create role", func() error { return b.Store.CreateRole(ctx, name, role) })
}

func (b *breaker) Rename(ctx context.Context, old, new mail.Name) error {
	return b.call("rename", func() error { return b.Store.Rename(ctx, old, new) })
}

func (b *breaker) Delete(ctx context.Context, name mail.Name) error {
	return b.call("delete", func() error { return b.Store.Delete(ctx, name) })
}

func (b *breaker) Number(ctx context.Context, name mail.Name, validity, next uint32) error {
	return b.call("number", func() error { return b.Store.Number(ctx, name, validity, next) })
}

func (b *breaker) Subscribe(ctx context.Context, name mail.Name, on bool) error {
	return b.call("subscribe", func() error { return b.Store.Subscribe(ctx, name, on) })
}

func (b *breaker) SetFlags(ctx context.Context, name mail.Name, keys []mail.Key, add, remove mail.Flags) error {
	return b.call("set flags", func() error { return b.Store.SetFlags(ctx, name, keys, add, remove) })
}

func (b *breaker) Expunge(ctx context.Context, name mail.Name, keys []mail.Key) error {
	return b.call("expunge", func() error { return b.Store.Expunge(ctx, name, keys) })
}

func (b *breaker) Move(ctx context.Context, from mail.Name, keys []mail.Key, to mail.Name) (moved []mail.Key, err error) {
	err = b.call("move", func() error {
		moved, err = b.Store.Move(ctx, from, keys, to)
		return err
	})
	return moved, err
}

func (b *breaker) Append(ctx context.Context, name mail.Name, m mail.Message, body io.Reader) (key mail.Key, err error) {
	if b.alters != 0 {
		text, err := io.ReadAll(body)
		if err != nil {
			return "", err
		}
		crlf := strings.ReplaceAll(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n", "\r\n")
		body, m.Size = strings.NewReader(altered(b.alters, crlf)), -1
	}
	err = b.call("append", func() error {
		key, err = b.Store.Append(ctx, name, m, body)
		return err
	})
	if b.keys {
		key = ""
	}
	return key, err
}

// AppendAll answers three messages behind, as a store does that pipelines.
func (b *breaker) AppendAll(ctx context.Context, name mail.Name, all iter.Seq[mail.Outgoing]) iter.Seq2[mail.Appended, error] {
	return func(yield func(mail.Appended, error) bool) {
		var behind []mail.Appended
		for m := range all {
			body, err := m.Open(ctx)
			if err != nil {
				yield(mail.Appended{}, err)
				return
			}
			key, err := b.Append(ctx, name, m.Message, body)
			body.Close()
			if err != nil && damageOf(err) == passing {
				yield(mail.Appended{}, err) // what is behind is not answered
				return
			}
			behind = append(behind, mail.Appended{Key: key, Err: err})
			if len(behind) > 3 {
				if !yield(behind[0], nil) {
					return
				}
				behind = behind[1:]
			}
		}
		for _, a := range behind {
			if !yield(a, nil) {
				return
			}
		}
	}
}

// union is what must be at the destination: of each text in each mailbox, as
// many as the side holds that holds more; where the destination alters a text,
// an altered copy stands for one that is not there in full, and what is
// appended is altered.
func union(src, dst map[mail.Name]map[string]int, a mail.Alteration) map[mail.Name]map[string]int {
	all := make(map[mail.Name]map[string]int)
	for name, texts := range dst {
		all[name] = maps.Clone(texts)
	}
	for name, texts := range src {
		if all[name] == nil {
			all[name] = make(map[string]int)
		}
		lack := make(map[string]int) // by the text as it is kept
		for text, n := range texts {
			if n -= dst[name][text]; n > 0 {
				lack[altered(a, text)] += n
			}
		}
		for text, n := range lack {
			free := max(0, dst[name][text]-texts[text]) // copies there that equal nothing at the source
			if altered(a, text) != text {
				free = 0
			}
			all[name][text] += max(0, n-free)
		}
		for text, n := range all[name] {
			if n == 0 {
				delete(all[name], text)
			}
		}
	}
	return all
}

// sorted puts samples in an order that depends on nothing but them.
func sorted(list []sample) []string {
	out := make([]string, len(list))
	for i, m := range list {
		out[i] = fmt.Sprintf("%q %s %s", m.text, m.flags, m.date.UTC().Format(time.RFC3339))
	}
	slices.Sort(out)
	return out
}
