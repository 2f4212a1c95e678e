package mailsync

import (
	"bytes"
	"context"
	"io"
	"slices"
	"time"

	"roost/mail"
	"roost/message"
)

// maxHeader is how much of a header is read to find its date, in octets.
const maxHeader = 256 << 10

// filter takes out the messages that a rule of the user leaves out.
func (b *box) filter(ctx context.Context, all []mail.Message) ([]mail.Message, error) {
	var dates map[mail.Key]time.Time
	if b.options.Select.NeedsHeader() {
		var err error
		if dates, err = b.headerDates(ctx, all); err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(m mail.Message) bool {
		_, out := b.options.Select.Message(&m, dates[m.Key])
		if !out && b.options.MessageFilter != nil {
			_, out = b.options.MessageFilter(b.source.Name, &m)
		}
		if out {
			b.row.Excluded++
		}
		return out
	}), nil
}

// headerDates reads the Date fields. A message whose header cannot be read has
// none, and so is not left out for it: that it cannot be read shows later.
func (b *box) headerDates(ctx context.Context, all []mail.Message) (map[mail.Key]time.Time, error) {
	dates := make(map[mail.Key]time.Time, len(all))
	var raw bytes.Buffer
	for some := range slices.Chunk(all, chunk) {
		keys := make([]mail.Key, len(some))
		for i := range some {
			keys[i] = some[i].Key
		}
		_, err := fetch(ctx, b.src, b.source.Name, keys, mail.Header, func(f mail.Fetched) error {
			raw.Reset()
			if _, err := raw.ReadFrom(io.LimitReader(f.Body, maxHeader)); err != nil {
				return err
			}
			if _, err := io.Copy(io.Discard, f.Body); err != nil {
				return err
			}
			if t, ok := message.ParseDate(message.Header(raw.Bytes()).Get("Date")); ok {
				dates[f.Key] = t
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return dates, nil
}
