package imap

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"

	wire "roost/imap"
	"roost/mail"
)

const (
	fetchChunk  = 200 // messages of one FETCH
	fetchWindow = 3   // FETCHes in flight on a connection
	tries       = 3   // connections without a single answer
	maxPoisoned = 5   // messages that may each cost us the connection, before we give up
)

// Fetch implements mail.Source. What is not answered when a connection is lost is asked for again on another. Many
// messages are fetched over all connections that are free.
func (s *Store) Fetch(ctx context.Context, name mail.Name, keys []mail.Key, part mail.Part) iter.Seq2[mail.Fetched, error] {
	return func(yield func(mail.Fetched, error) bool) {
		if err := s.bodies.take(ctx); err != nil {
			yield(mail.Fetched{}, err)
			return
		}
		defer s.bodies.give()
		f := newFetching(s, name, keys, part)
		if more := s.moreSlots(len(f.uids)); more > 0 {
			// QUIRK: Gmail, 2026: about 15 connections, Dovecot 10: those that the server does not let us have, we do
			// not try again.
			refused := s.fetchParallel(ctx, f.divide(1+more), yield)
			s.giveSlots(more - refused)
			return
		}
		f.yield = yield
		if err := f.run(ctx); err != nil && !f.stopped {
			yield(mail.Fetched{}, fault("fetch", name, err))
		}
	}
}

// fetching is one call of Fetch under way.
type fetching struct {
	s     *Store
	name  mail.Name
	items string
	part  mail.Part
	yield func(mail.Fetched, error) bool

	uids     []uint32   // asked for, ascending
	answered []bool     // by index of uids
	empty    []bool     // by index of uids: came without bytes once
	foreign  []mail.Key // keys that no message here has
	left     int        // of uids not answered
	conn     *conn      // the one in use; nil before the first
	stopped  bool       // the caller wants no more

	work  []wire.Set // to be asked for, when a connection was left in the midst of it; nil: all that is left
	alone []uint32   // to be asked for once more, one by one

	hasty      bool // others work too: give up if the server gives no connection
	turnedAway bool // gave up so

	waits    int    // because the server throttles, since the last answer
	losses   int    // connections lost since the last answer
	suspect  uint32 // asked for alone when the connection was lost; 0: none
	poisoned int
}

// errStopped ends a FETCH whose answers nobody wants any more.
var errStopped = errors.New("stopped")

func newFetching(s *Store, name mail.Name, keys []mail.Key, part mail.Part) *fetching {
	f := &fetching{s: s, name: name, part: part, items: "UID RFC822.SIZE BODY.PEEK[]"}
	if part == mail.Header {
		f.items = "UID RFC822.SIZE BODY.PEEK[HEADER]"
	}
	for _, k := range keys {
		if uid, ok := uidOf(k); ok {
			f.uids = append(f.uids, uid)
		} else {
			f.foreign = append(f.foreign, k)
		}
	}
	slices.Sort(f.uids)
	f.expect(slices.Compact(f.uids))
	slices.Sort(f.foreign)
	f.foreign = slices.Compact(f.foreign)
	return f
}

// expect makes uids, ascending, what is to be answered.
func (f *fetching) expect(uids []uint32) {
	f.uids, f.left = uids, len(uids)
	f.answered, f.empty = make([]bool, f.left), make([]bool, f.left)
}

// divide makes several of f, which has not begun, in turns of a chunk, so that each has old messages and new ones.
func (f *fetching) divide(count int) []*fetching {
	shares := make([][]uint32, count)
	for i, uid := range f.uids {
		turn := i / fetchChunk % count
		shares[turn] = append(shares[turn], uid)
	}
	parts := make([]*fetching, count)
	for i, uids := range shares {
		parts[i] = &fetching{s: f.s, name: f.name, part: f.part, items: f.items}
		parts[i].expect(uids)
	}
	parts[0].foreign = f.foreign
	return parts
}

// run answers all keys, on one connection after the other. A slot for it was taken.
func (f *fetching) run(ctx context.Context) error {
	for {
		err := f.once(ctx)
		if f.turnedAway {
			return err
		}
		if errors.Is(err, errTired) {
			continue
		}
		f.work, f.alone = nil, nil
		reason, lost := wire.ReasonOf(err)
		if (reason == wire.ReasonThrottled || isBusy(err)) && lost && f.waits < maxTries && ctx.Err() == nil {
			f.waits++
			if err := sleep(ctx, backoff(f.waits, err)); err != nil {
				return err
			}
			continue
		}
		if err == nil || f.stopped || ctx.Err() != nil || !lost || reason != wire.ReasonConnection {
			return err
		}
		f.losses++
		if f.losses > 1 && isExpired(err) {
			return expired(err)
		}
		if f.losses < tries {
			continue
		}
		if f.suspect == 0 || f.poisoned == maxPoisoned {
			return err
		}
		f.poisoned++ // only this message was asked for, again and again: go on without it
		if i, ok := slices.BinarySearch(f.uids, f.suspect); !ok || f.answered[i] || !f.fail(i, err) {
			return err
		}
	}
}

// once answers what it can on one connection.
func (f *fetching) once(ctx context.Context) error {
	var c *conn
	try := func() (err error) {
		c, err = f.s.get(ctx, f.name)
		return err
	}
	if f.hasty {
		if err := try(); err != nil {
			f.turnedAway = true
			return err
		}
	} else if err := f.s.retry(ctx, try); err != nil {
		return err
	}
	defer f.s.put(c)
	return f.on(ctx, c)
}

// on answers what is left on one connection.
func (f *fetching) on(ctx context.Context, c *conn) error {
	f.conn = c
	sound := false
	defer func() {
		if !sound {
			c.Close() // there may be answers on their way that nobody waits for
		}
	}()
	box, err := f.s.examine(ctx, c, f.name)
	if err == nil {
		err = f.s.sameUIDs(f.name, box)
	}
	if err != nil {
		sound = true
		return err
	}
	for _, k := range f.foreign {
		if !f.give(mail.Fetched{Key: k}, &mail.Error{Op: "fetch", Mailbox: f.name, Key: k, Err: mail.ErrGone}) {
			return errStopped
		}
	}
	f.foreign = nil
	f.suspect = 0
	limit := int64(fetchChunk)
	if f.losses > 0 { // one by one, to find the message that the server cannot bear
		limit = 1
	}
	if len(f.work) == 0 && len(f.alone) == 0 {
		f.work = slices.Collect(wire.SetOf(f.unanswered()...).Chunks(limit))
	}
	err = f.chunks(ctx, c, limit)
	if err == nil {
		err = f.singly(ctx, c)
	}
	sound = err == nil || errors.Is(err, errTired)
	return err
}

// errTired ends what is done over one connection, which has seen so many refusals that the server may close it.
var errTired = errors.New("so many refusals that the server may close the connection")

func (c *conn) isTired() bool { return c.refusals >= maxRefusals }

// unanswered are the UIDs that are left.
func (f *fetching) unanswered() []uint32 {
	left := make([]uint32, 0, f.left)
	for i, uid := range f.uids {
		if !f.answered[i] {
			left = append(left, uid)
		}
	}
	return left
}

// chunks fetches what is in f.work, many messages at a time, and puts into f.alone what the server did not send. Where it
// refuses a chunk, that is cut in two until the message is alone that it cannot send.
func (f *fetching) chunks(ctx context.Context, c *conn, limit int64) error {
	type asked struct {
		set wire.Set
		p   *wire.Pending
	}
	var flight []asked
	window := fetchWindow
	if limit == 1 {
		window = 1
	}
	for len(f.work) > 0 || len(flight) > 0 {
		for len(f.work) > 0 && len(flight) < window && c.refusals+len(flight) < maxRefusals {
			set := f.work[0]
			f.work = f.work[1:]
			if limit == 1 {
				f.suspect = set[0].First
			}
			flight = append(flight, asked{set, c.StartFetch(ctx, set.String(), f.items, wire.FetchOptions{}, f.take)})
		}
		if len(flight) == 0 {
			return errTired
		}
		a := flight[0]
		flight = flight[1:]
		err := a.p.Wait(ctx)
		if err != nil && (!refused(err) || c.Err() != nil) {
			return err
		}
		c.note(err)
		rest := f.rest(a.set)
		switch {
		case len(rest) == 0:
		case err == nil || len(rest) == 1:
			f.alone = append(f.alone, rest...)
		default:
			half := len(rest) / 2
			f.work = append(f.work, wire.SetOf(rest[:half]...), wire.SetOf(rest[half:]...))
		}
	}
	return nil
}

// rest are the UIDs of a set that are not answered.
func (f *fetching) rest(set wire.Set) []uint32 {
	var rest []uint32
	for uid := range set.All() {
		if i, ok := slices.BinarySearch(f.uids, uid); ok && !f.answered[i] {
			rest = append(rest, uid)
		}
	}
	return rest
}

// singly asks once more for each message that the server did not send with others. What it does not send now either is
// gone if the server does not find it, and else failed.
func (f *fetching) singly(ctx context.Context, c *conn) error {
	for ; len(f.alone) > 0; f.alone = f.alone[1:] {
		if c.isTired() {
			return errTired
		}
		uid := f.alone[0]
		i, _ := slices.BinarySearch(f.uids, uid)
		if f.answered[i] {
			continue
		}
		text := strconv.FormatUint(uint64(uid), 10)
		f.suspect = uid
		err := c.note(c.UIDFetch(ctx, text, f.items, wire.FetchOptions{}, f.take))
		switch {
		case err != nil && (!refused(err) || c.Err() != nil):
			return err
		case f.answered[i]:
			continue
		case err == nil && f.empty[i]:
			err = errors.New("the server sends it without content")
		case err == nil:
			if err = f.verdict(ctx, c, text); err != nil && c.Err() != nil {
				return err
			}
		}
		if !f.fail(i, err) {
			return errStopped
		}
	}
	f.suspect = 0
	return nil
}

// verdict says what became of a message that the server did not send. It is gone only if neither FETCH nor SEARCH know
// its UID. QUIRK: Yahoo, Exchange: SEARCH does not find what is there.
func (f *fetching) verdict(ctx context.Context, c *conn, uid string) error {
	if err := c.Noop(ctx); err != nil { // hear of what was expunged since the mailbox was opened
		return err
	}
	found := false
	note := func(u uint32) { found = found || strconv.FormatUint(uint64(u), 10) == uid }
	err := c.UIDFetch(ctx, uid, "UID", wire.FetchOptions{}, func(r *wire.Fetch) error {
		note(r.UID)
		return nil
	})
	if err != nil {
		return err
	}
	if !found {
		if err := c.UIDSearch(ctx, "UID "+uid, note); err != nil {
			return err
		}
	}
	if found {
		return errors.New("the server lists it, but does not send it")
	}
	return mail.ErrGone
}

// take hands one FETCH response on. Responses that nobody asked for, that come twice or bring no body are passed over.
func (f *fetching) take(r *wire.Fetch) error {
	i, ok := slices.BinarySearch(f.uids, r.UID)
	if f.stopped {
		return errStopped
	}
	if !ok || f.answered[i] || !r.HasBody {
		return nil
	}
	if r.BodyErr != nil {
		if !f.fail(i, r.BodyErr) {
			return errStopped
		}
		return nil
	}
	body := r.Body
	if body == nil || f.hollow(r) {
		if body == nil || r.BodySize == 0 || !f.empty[i] {
			f.empty[i] = true
			return nil // it is asked for once more
		}
	}
	if !f.answer(i, mail.Fetched{Key: keyOf(r.UID), Body: body, Size: r.BodySize}, nil) {
		return errStopped
	}
	return nil
}

// hollow reports whether a body cannot be the message's. QUIRK: Zimbra, 2010: FETCH yields empty headers now and then.
func (f *fetching) hollow(r *wire.Fetch) bool {
	return r.BodySize == 0 && r.Size > 0 || f.part == mail.Header && r.BodySize <= 2 && r.Size > 2
}

// fail answers a message with an error.
func (f *fetching) fail(i int, err error) bool {
	k := keyOf(f.uids[i])
	return f.answer(i, mail.Fetched{Key: k}, &mail.Error{Op: "fetch", Mailbox: f.name, Key: k, Err: err})
}

// answer answers a message, once.
func (f *fetching) answer(i int, got mail.Fetched, err error) bool {
	f.answered[i] = true
	f.left--
	f.losses, f.waits = 0, 0
	return f.give(got, err)
}

func (f *fetching) give(got mail.Fetched, err error) bool {
	if !f.yield(got, err) {
		f.stopped = true
		f.conn.Close() // or all that was asked for would still be read, and thrown away
	}
	return !f.stopped
}
