package find

import (
	"context"
	"fmt"
	"io"
	"slices"

	"roost/mail"
	"roost/message"
	"roost/query"
	"roost/snapshot"
)

const (
	chunk      = 256       // messages that are asked for at once
	maxHeader  = 256 << 10 // octets of a header that are read
	maxMessage = 32 << 20  // octets of a message that are searched
	small      = 64 << 10  // octets of a message of which the header is not read first
)

// part finds the messages of a part that are meant.
func (r *run) part(ctx context.Context, p *part) answer {
	all, errs := r.follow(ctx, p)
	a := answer{errs: errs}
	around := make(map[*snapshot.Source][]mail.Mailbox)
	var meant, asked []*question
	for i, s := range all {
		if around[s.source] == nil {
			boxes, _ := s.source.Mailboxes(ctx) // of a snapshot that is open, the list is known
			around[s.source] = query.Around(boxes, p.name)
		}
		q := &question{sighting: s, at: i, sight: query.Sight{Mailboxes: around[s.source], Message: &s.Message, SourceKey: s.SourceKey,
			Added: s.First.Time, Deleted: s.Deleted}}
		switch r.o.Query.Judge(&q.sight) {
		case query.Yes:
			meant = append(meant, q)
		case query.Maybe:
			asked = append(asked, q)
		}
	}
	meant = append(meant, r.ask(ctx, asked, &a)...)
	slices.SortFunc(meant, func(x, y *question) int { return x.at - y.at })
	if r.o.Headers {
		r.describe(ctx, meant)
	}
	for _, q := range meant {
		a.found = append(a.found, q.Found)
	}
	return a
}

// question is a message that may be meant.
type question struct {
	*sighting
	at        int // among those of its part
	sight     query.Sight
	described bool
	err       error
}

// ask reads of messages what their answers hang on, and returns those that are meant.
func (r *run) ask(ctx context.Context, asked []*question, a *answer) (meant []*question) {
	for some := range slices.Chunk(asked, chunk) {
		var head, whole []*question
		for _, q := range some {
			if r.reach == query.Whole && q.Message.Size <= small {
				whole = append(whole, q)
			} else {
				head = append(head, q)
			}
		}
		for _, step := range []struct {
			part mail.Part
			of   *[]*question
		}{{mail.Header, &head}, {mail.Whole, &whole}} {
			fetch(ctx, *step.of, step.part, func(q *question, raw []byte) {
				q.sight.Header, _ = message.Split(raw)
				if step.part == mail.Whole {
					w := message.WordingOf(raw)
					q.sight.Wording = &w
				}
				switch r.o.Query.Judge(&q.sight) {
				case query.Yes:
					q.describe(q.sight.Header)
					meant = append(meant, q)
				case query.Maybe:
					whole = append(whole, q)
				}
				q.sight = query.Sight{Mailboxes: q.sight.Mailboxes, Message: q.sight.Message, SourceKey: q.sight.SourceKey, Added: q.sight.Added, Deleted: q.sight.Deleted}
			})
		}
		for _, q := range some {
			if q.err != nil {
				a.errs = append(a.errs, fmt.Errorf("snapshot %s: %w", q.Last.Snapshot.Short(), q.err))
			}
		}
	}
	return meant
}

// describe fills in what the header tells people.
func (q *question) describe(h message.Header) {
	q.From, q.Subject, q.MessageID = h.From(), h.Subject(), h.MessageID()
	q.Date, _ = h.Date()
	q.described = true
}

func (r *run) describe(ctx context.Context, meant []*question) {
	var left []*question
	for _, q := range meant {
		if !q.described {
			left = append(left, q)
		}
	}
	for some := range slices.Chunk(left, chunk) {
		fetch(ctx, some, mail.Header, func(q *question, raw []byte) { q.describe(raw) })
		for _, q := range some {
			q.HeaderErr = q.err
		}
	}
}

// fetch reads messages, each from the last snapshot that holds it. use may not keep raw. Those that cannot be read have err set.
func fetch(ctx context.Context, asked []*question, part mail.Part, use func(q *question, raw []byte)) {
	bySource := make(map[*snapshot.Source]map[mail.Key]*question)
	for _, q := range asked {
		if bySource[q.source] == nil {
			bySource[q.source] = make(map[mail.Key]*question)
		}
		bySource[q.source][q.Message.Key] = q
	}
	limit := int64(maxMessage)
	if part == mail.Header {
		limit = maxHeader
	}
	for src, byKey := range bySource {
		keys := make([]mail.Key, 0, len(byKey))
		for _, q := range asked {
			if q.source == src {
				keys = append(keys, q.Message.Key)
			}
		}
		for f, err := range src.Fetch(ctx, asked[0].Mailbox, keys, part) {
			key, one := mail.KeyOf(err)
			switch {
			case err != nil && !one:
				for _, q := range byKey {
					q.err = err
				}
				continue
			case err != nil:
				byKey[key].err = err
				delete(byKey, key)
				continue
			}
			q := byKey[f.Key]
			delete(byKey, f.Key)
			raw, err := io.ReadAll(io.LimitReader(f.Body, limit))
			if err != nil {
				q.err = &mail.Error{Op: "read", Mailbox: q.Mailbox, Key: f.Key, Err: err}
				continue
			}
			use(q, raw)
		}
	}
}
