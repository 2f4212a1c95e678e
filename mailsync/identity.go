package mailsync

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"

	"roost/mail"
	"roost/message"
	"roost/plan"
)

// decide asks the planner, and answers what it asks, until it has decided. It
// returns why messages of A cannot be read, too.
func decide(ctx context.Context, r *run, t *plan.Task) (plan.Decision, map[int32]error, error) {
	unread := make(map[int32]error)
	for {
		d, ask := t.Decide()
		if ask.Empty() {
			return d, unread, nil
		}
		var errA, errB error
		var sides sync.WaitGroup
		sides.Go(func() {
			k := knower{source: r.src, name: t.From, side: &t.A, unread: unread, altered: printed(r.alters)}
			errA = k.know(ctx, ask.A, ask.Part)
		})
		sides.Go(func() {
			k := knower{source: r.dst, name: t.To, side: &t.B}
			errB = k.know(ctx, ask.B, ask.Part)
		})
		sides.Wait()
		if errA != nil {
			return d, nil, fmt.Errorf("recognise what is there: %w", errA)
		}
		if errB != nil {
			return d, nil, fmt.Errorf("recognise what is there: read the destination: %w", errB)
		}
	}
}

// chunk is how many messages are asked for at a time.
const chunk = 1000

// knower reads messages of a side to recognise them.
type knower struct {
	source  mail.Source
	name    mail.Name
	side    *plan.Side
	altered message.Alteration // that the other side is known to make
	unread  map[int32]error    // gets the reasons, if it is not nil
	buffer  []byte
}

// know reads the messages in list. Those that cannot be read are Dead.
func (k *knower) know(ctx context.Context, list []int32, part mail.Part) error {
	if len(list) == 0 {
		return nil
	}
	if k.side.Known == nil {
		k.side.Known = make([]plan.Known, len(k.side.Messages))
	}
	k.buffer = make([]byte, 32<<10)
	for some := range slices.Chunk(list, chunk) {
		headless, err := k.read(ctx, some, part)
		if err != nil {
			return err
		}
		// QUIRK: Zimbra: now and then a header comes back empty that is not.
		if _, err := k.read(ctx, headless, mail.Whole); err != nil {
			return err
		}
	}
	return nil
}

// read reads the messages in list. It returns those of which it read the
// header, and found none.
func (k *knower) read(ctx context.Context, list []int32, part mail.Part) ([]int32, error) {
	if len(list) == 0 {
		return nil, nil
	}
	keys := make([]mail.Key, len(list))
	index := make(map[mail.Key]int32, len(list))
	for n, i := range list {
		keys[n] = k.side.Messages[i].Key
		index[keys[n]] = i
	}
	var headless []int32
	failures, err := fetch(ctx, k.source, k.name, keys, part, func(f mail.Fetched) error {
		p := message.NewAlteredPrinter(k.altered)
		// The body's own WriteTo, which a file has, would make a buffer for each.
		if _, err := io.CopyBuffer(p, struct{ io.Reader }{f.Body}, k.buffer); err != nil {
			return err
		}
		p.Finish()
		known := &k.side.Known[index[f.Key]]
		switch {
		case part == mail.Whole:
			known.Print = plan.Print(p.Print())
		case p.SizeCRLF() <= int64(len("\r\n")):
			headless = append(headless, index[f.Key])
			return nil
		}
		known.Hint = hint(p.HeaderPrint())
		if a := p.Altered(); a != nil {
			known.AlteredHint = hint(a.HeaderPrint())
			if part == mail.Whole {
				known.AlteredPrint = plan.Print(a.Print())
			}
		}
		return nil
	})
	for key, err := range failures {
		i := index[key]
		k.side.Known[i].Dead = true
		if k.unread != nil {
			k.unread[i] = err
		}
	}
	return headless, err
}

// hint is the hint of a header with this print.
func hint(p message.Print) uint64 {
	return max(binary.BigEndian.Uint64(p[:]), 1)
}
