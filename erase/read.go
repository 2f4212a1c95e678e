package erase

import (
	"context"
	"io"

	"roost/mail"
	"roost/message"
	"roost/query"
	"roost/snapshot"
)

// question is a message whose bytes must tell if it is chosen.
type question struct {
	hit
	asks query.Verdict
}

// answered is a question to some bytes.
type answered struct {
	content contentID
	asks    query.Verdict
}

// reader reads messages to know them. Equal bytes are read once.
type reader struct {
	choose  Chooser
	answers map[answered]bool
	seen    map[contentID]seen // of chosen messages
	buffer  []byte
}

// seen is what was read of a chosen message.
type seen struct {
	print   message.Print
	opening *message.Print // nil: it is short
	id      string         // the Message-ID
	subject string
	err     error
}

const (
	maxAnswers = 4 << 20  // questions whose answers are kept, at some 40 octets each
	maxHeader  = 16 << 20 // octets
)

func newReader(choose Chooser) *reader {
	return &reader{choose: choose, answers: make(map[answered]bool), seen: make(map[contentID]seen), buffer: make([]byte, 32<<10)}
}

// answer returns those of asked that are chosen. Messages that cannot be read are failed.
func (r *reader) answer(ctx context.Context, src *snapshot.Source, box mail.Name, asked []question) (yes []hit, failed map[mail.Key]error, err error) {
	var keys []mail.Key
	open := make(map[mail.Key]*question)
	for i := range asked {
		q := &asked[i]
		in, known := r.answers[answered{contentOf(q.stored.Content), q.asks}]
		switch {
		case known && in:
			yes = append(yes, q.hit)
		case !known:
			keys = append(keys, q.stored.Slot.Key())
			open[q.stored.Slot.Key()] = q
		}
	}
	if len(r.answers)+len(keys) > maxAnswers {
		clear(r.answers)
	}
	failed = make(map[mail.Key]error)
	for f, err := range src.Fetch(ctx, box, keys, r.choose.Needs()) {
		if err != nil {
			key, one := mail.KeyOf(err)
			if !one {
				return nil, nil, err
			}
			failed[key] = err
			continue
		}
		q := open[f.Key]
		in, err := r.ask(q.asks, f.Body)
		if err != nil {
			failed[f.Key] = err
			continue
		}
		r.answers[answered{contentOf(q.stored.Content), q.asks}] = in
		if in {
			yes = append(yes, q.hit)
		}
	}
	return yes, failed, ctx.Err()
}

// ask reads a message and asks the chooser.
func (r *reader) ask(asks query.Verdict, body io.Reader) (bool, error) {
	var p message.Printer
	head := &prefix{limit: maxHeader}
	if _, err := io.CopyBuffer(io.MultiWriter(&p, head), struct{ io.Reader }{body}, r.buffer); err != nil {
		return false, err
	}
	header, _ := message.Split(head.bytes)
	return r.choose.Reads(asks, header, p.Print()), nil
}

// prefix keeps the beginning of what is written to it.
type prefix struct {
	bytes []byte
	limit int
}

// Write never fails.
func (p *prefix) Write(b []byte) (int, error) {
	p.bytes = append(p.bytes, b[:min(len(b), p.limit-len(p.bytes))]...)
	return len(b), nil
}

// print reads hits whole, to know their prints. That one cannot be read stands in what was seen of it.
func (r *reader) print(ctx context.Context, src *snapshot.Source, box mail.Name, hits []hit) error {
	var keys []mail.Key
	open := make(map[mail.Key]contentID)
	for i := range hits {
		id := contentOf(hits[i].stored.Content)
		if _, known := r.seen[id]; !known {
			keys = append(keys, hits[i].stored.Slot.Key())
			open[hits[i].stored.Slot.Key()] = id
		}
	}
	for f, err := range src.Fetch(ctx, box, keys, mail.Whole) {
		if err != nil {
			key, one := mail.KeyOf(err)
			if !one {
				return err
			}
			r.seen[open[key]] = seen{err: err}
			continue
		}
		var p message.Printer
		start := &prefix{limit: snapshot.OpeningSize}
		_, err = io.CopyBuffer(io.MultiWriter(&p, start), struct{ io.Reader }{f.Body}, r.buffer)
		known := seen{print: p.Print(), err: err}
		if o, long := snapshot.OpeningOf(start.bytes); long {
			known.opening = &o
		}
		header, _ := message.Split(start.bytes)
		known.id, known.subject = header.MessageID(), header.Subject()
		r.seen[open[f.Key]] = known
	}
	return ctx.Err()
}

// describe fills in what is known of the message that h is.
func (r *reader) describe(h *hit, identity string, uidValidity uint32) {
	s := r.seen[contentOf(h.stored.Content)]
	h.message.Print, h.message.MessageID, h.message.Subject, h.message.Unread = s.print, s.id, s.subject, s.err
	h.message.GUID = h.entry.GUID
	h.message.traits = traits{identity: identity, listed: messageOf(h, uidValidity), opening: s.opening,
		altered: h.entry.Extra != nil && h.entry.Extra.Altered != ""}
}
