package backup

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"roost/mail"
	"roost/query"
	"roost/repo"
	"roost/store/memory"
)

// slow hands out long messages slowly, and counts how many of them are past what is held of each.
type slow struct {
	mail.Source
	mu       sync.Mutex // guards what follows
	now, max int
}

func (s *slow) Fetch(ctx context.Context, name mail.Name, keys []mail.Key, part mail.Part) iter.Seq2[mail.Fetched, error] {
	return func(yield func(mail.Fetched, error) bool) {
		for f, err := range s.Source.Fetch(ctx, name, keys, part) {
			f.Body = &slowBody{Reader: f.Body, of: s}
			if !yield(f, err) {
				return
			}
		}
	}
}

type slowBody struct {
	io.Reader
	of   *slow
	read int
	deep bool
}

func (b *slowBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read += n
	if !b.deep && b.read > 2*wholeMessage && err == nil {
		b.deep = true
		b.of.count(1)
		time.Sleep(time.Second)
	}
	if b.deep && err == io.EOF {
		b.of.count(-1)
	}
	return n, err
}

func (s *slow) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now += n
	s.max = max(s.max, s.now)
}

// TestOneLongMessageIsAlteredAtATime: to take attachments out, a message must be held whole. However many long ones come at
// once, one is held, and none of that memory stays with the buffers of the run.
func TestOneLongMessageIsAlteredAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const boxes = 4
		w := newWorld(t, 1, memory.Options{})
		long := fmt.Sprintf("Content-Type: application/pdf\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n",
			strings.Repeat(strings.Repeat("QUJD", 19)+"\r\n", (9<<20)/78))
		for i := range boxes {
			name := mail.Name(fmt.Sprintf("Box %d", i))
			if err := w.store.Create(t.Context(), name); err != nil {
				t.Fatal(err)
			}
			body := fmt.Sprintf("Subject: %d\r\n%s", i, long)
			if i == 0 { // one of which nothing is left out, so that all of it goes on
				body = strings.NewReplacer("application/pdf", "text/plain", "attachment", "inline").Replace(body)
			}
			if _, err := w.store.Append(t.Context(), name, mail.Message{Size: int64(len(body))}, strings.NewReader(body)); err != nil {
				t.Fatal(err)
			}
		}
		src := &slow{Source: w.store}
		o := Options{Account: "alice@example.com", Connections: boxes, Selection: query.Selection{SkipAttachments: true}}
		err := w.repo.Write(t.Context(), repo.WriteOptions{}, func(ctx context.Context, s *repo.Session) error {
			r, err := start(ctx, src, w.repo, s, o)
			if err != nil {
				return err
			}
			report, err := r.run(ctx)
			if total := report.Ledger.Total(); !report.Complete() || total.Altered != boxes-1 || report.Messages != boxes || total.Bytes < boxes*int64(len(long))-100 {
				t.Errorf("%d messages, %+v; want %d, and all but one altered", report.Messages, total, boxes)
			}
			for len(r.buffers) > 0 {
				if buf := <-r.buffers; cap(*buf) > 2*wholeMessage {
					t.Errorf("a buffer of %d octets is kept, want at most %d", cap(*buf), 2*wholeMessage)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if src.max != 1 {
			t.Errorf("%d long messages were held at once, want 1", src.max)
		}
	})
}
