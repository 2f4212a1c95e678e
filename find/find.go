package find

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"roost/mail"
	"roost/query"
	"roost/repo"
	"roost/snapshot"
)

// Options say what is looked for.
type Options struct {
	Query   query.Expr
	Headers bool // also read From, Subject, Date and Message-ID of what is found
	Moved   bool // of what is no longer in its mailbox, find where the newest snapshot holds copies
}

// Seen is a snapshot in which a message was seen.
type Seen struct {
	Snapshot repo.ID
	Time     time.Time // when it was begun
}

// Found is a message that is meant, as the last snapshot that holds it knows it.
type Found struct {
	Mailbox   mail.Name
	Message   mail.Message // its key is that in the snapshot
	SourceKey mail.Key     // the key it had at the source

	From, Subject, MessageID string // decoded, for people; "" without Options.Headers
	Date                     time.Time
	HeaderErr                error // why they are not known

	First, Last Seen
	Deleted     time.Time     // when the first snapshot behind Last was begun; zero: Last is the newest
	Moved       []query.Place // where the newest snapshot holds its bytes, if it is deleted

	source   *snapshot.Source // Last
	validity uint32
	content  content
}

// window is how many parts of mailboxes are looked at or wait to be handed out, per core.
const window = 2

// Run yields the messages of an account that the query means. sources are its snapshots, oldest first.
// Those that the newest holds come in the order of mailboxes and keys; with Moved, the others behind
// them. An error tells of what could not be looked at, and the stream goes on, unless ctx is done.
func Run(ctx context.Context, sources []*snapshot.Source, o Options) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		r := run{sources: sources, o: o, reach: o.Query.Reach()}
		var gone []Found
		for found, err := range r.all(ctx) {
			if err == nil && o.Moved && !found.Deleted.IsZero() {
				gone = append(gone, found)
				if len(gone) >= maxGone {
					if !r.yieldGone(ctx, gone, yield) {
						return
					}
					gone = gone[:0]
				}
				continue
			}
			if !yield(found, err) {
				return
			}
		}
		if len(gone) > 0 {
			r.yieldGone(ctx, gone, yield)
		}
	}
}

type run struct {
	sources []*snapshot.Source
	o       Options
	reach   query.Reach
}

// answer is what was found in a part of a mailbox.
type answer struct {
	found []Found
	errs  []error
}

// all looks at the parts of all mailboxes, several at a time, and yields in their order.
func (r *run) all(ctx context.Context) iter.Seq2[Found, error] {
	return func(yield func(Found, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		cores := runtime.GOMAXPROCS(0)
		queue := make(chan chan answer, window*cores)
		work := make(chan func())
		wg.Go(func() {
			defer close(queue)
			defer close(work)
			for _, name := range r.names() {
				parts, errs := r.parts(ctx, name)
				for i := -1; i < len(parts); i++ {
					out := make(chan answer, 1)
					select {
					case queue <- out:
					case <-ctx.Done():
						return
					}
					if i < 0 {
						out <- answer{errs: errs}
						continue
					}
					work <- func() { out <- r.part(ctx, &parts[i]) }
				}
			}
		})
		for range cores {
			wg.Go(func() {
				for f := range work {
					f()
				}
			})
		}
		for out := range queue {
			a := <-out
			if err := ctx.Err(); err != nil {
				yield(Found{}, context.Cause(ctx))
				return
			}
			for _, err := range a.errs {
				if !yield(Found{}, err) {
					return
				}
			}
			for _, f := range a.found {
				if !yield(f, nil) {
					return
				}
			}
		}
		if ctx.Err() != nil {
			yield(Found{}, context.Cause(ctx))
		}
	}
}

// names are the mailboxes of all snapshots.
func (r *run) names() []mail.Name {
	set := make(map[mail.Name]bool)
	for _, src := range r.sources {
		for i := range src.Boxes() {
			set[src.Boxes()[i].Name] = true
		}
	}
	names := make([]mail.Name, 0, len(set))
	for name := range set {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b mail.Name) int { return strings.Compare(string(a), string(b)) })
	return names
}

// part is a bucket of a mailbox in all snapshots.
type part struct {
	name   mail.Name
	states []state // of each snapshot
}

// state is what a snapshot holds of a part. Equal states hold the same messages.
type state struct {
	bucket   snapshot.Bucket // null trees: nothing
	validity uint32
	store    string // that it was read from
	unknown  bool   // it could not be read
}

// parts are those of a mailbox, ascending.
func (r *run) parts(ctx context.Context, name mail.Name) (parts []part, errs []error) {
	at := make(map[snapshot.Slot]int)
	var unknown []int
	for i, src := range r.sources {
		box, ok := src.Box(name)
		if !ok {
			continue
		}
		buckets, err := src.Buckets(ctx, name)
		if err != nil {
			errs = append(errs, fmt.Errorf("list %s in snapshot %s: %w", name, src.ID().Short(), err))
			unknown = append(unknown, i)
			continue
		}
		for _, b := range buckets {
			n, ok := at[b.First]
			if !ok {
				n = len(parts)
				at[b.First] = n
				parts = append(parts, part{name, make([]state, len(r.sources))})
			}
			parts[n].states[i] = state{bucket: b, validity: box.UIDValidity, store: src.StoreOf(box)}
		}
	}
	for _, p := range parts {
		for _, i := range unknown {
			p.states[i].unknown = true
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.first(), b.first()) })
	return parts, errs
}

func (p *part) first() (first snapshot.Slot) {
	for i := range p.states {
		first = max(first, p.states[i].bucket.First)
	}
	return first
}
