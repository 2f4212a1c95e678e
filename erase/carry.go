package erase

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"roost/mail"
	"roost/repo"
	"roost/snapshot"
)

// ErrChanged says that snapshots came or went between Look and Carry.
var ErrChanged = errors.New("the snapshots are not those that were looked at")

// ErrRefused says that a snapshot must not be written anew.
var ErrRefused = errors.New("a snapshot must not be written anew")

// Carry does what the plan says, while nobody else may be at work in the repository. It writes all trees, reads them back, and then
// replaces one snapshot after the other: the new one is durable before the old one goes. Cut short at any point, each
// snapshot is there in its old form, its new one, or both, and the next run completes.
func (p *Plan) Carry(ctx context.Context) error {
	if len(p.Refused) > 0 {
		return fmt.Errorf("erase: %w: %w", ErrRefused, p.Refused[0].Err)
	}
	if len(p.Accounts) == 0 {
		return nil
	}
	err := p.repo.Rewrite(ctx, repo.WriteOptions{}, func(ctx context.Context, w *repo.Rewriting) error {
		if err := p.unchanged(ctx); err != nil {
			return err
		}
		c := carrier{plan: p, session: w, total: p.rewrites()}
		for _, a := range p.Accounts {
			if err := c.write(ctx, a); err != nil {
				return fmt.Errorf("%s: %w", a.Name, err)
			}
		}
		if err := w.Flush(ctx); err != nil {
			return err
		}
		if err := c.verify(ctx); err != nil {
			return fmt.Errorf("read back what was written: %w", err)
		}
		return c.replace(ctx)
	})
	if err != nil {
		return fmt.Errorf("erase: %w", err)
	}
	return nil
}

// unchanged reports whether the snapshots are those that Look saw.
func (p *Plan) unchanged(ctx context.Context) error {
	now, err := p.repo.Snapshots(ctx) // those that cannot be read are doubts
	if len(now) == 0 && err != nil {
		return err
	}
	if !slices.EqualFunc(now, p.snapshots, func(a, b *repo.Snapshot) bool { return a.ID == b.ID }) {
		return ErrChanged
	}
	return nil
}

func (p *Plan) rewrites() (n int) {
	for _, a := range p.Accounts {
		n += len(a.Snapshots)
	}
	return n
}

// carrier carries out a plan.
type carrier struct {
	plan    *Plan
	session *repo.Rewriting
	done    int
	total   int
}

// write stores the trees of an account's snapshots without the messages.
func (c *carrier) write(ctx context.Context, a *Account) error {
	for _, sn := range a.Snapshots {
		c.plan.progress("rewrite", c.done, c.total)
		c.done++
		src, err := snapshot.Open(ctx, c.plan.repo, sn.Snapshot)
		if err == nil {
			err = c.strike(ctx, src, sn)
		}
		if err == nil {
			sn.tree, err = c.tree(ctx, src, sn, a)
		}
		if err != nil {
			return fmt.Errorf("snapshot %s: %w", sn.ID.Short(), err)
		}
	}
	return nil
}

// strike makes the cuts that no snapshot before had.
func (c *carrier) strike(ctx context.Context, src *snapshot.Source, sn *Snapshot) error {
	var open []*cut
	for i := range sn.boxes {
		for _, k := range sn.boxes[i].cuts {
			if !k.made {
				k.made = true
				open = append(open, k)
			}
		}
	}
	next := make(chan *cut)
	var wg sync.WaitGroup
	var mu sync.Mutex // guards errs
	var errs []error
	for range min(len(open), runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for k := range next {
				var err error
				if k.new, k.octets, err = snapshot.Strike(ctx, c.session.Session, src, k.old, k.slots(), k.former); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, k := range open {
		next <- k
	}
	close(next)
	wg.Wait()
	return errors.Join(errs...)
}

// tree stores the root of a snapshot.
func (c *carrier) tree(ctx context.Context, src *snapshot.Source, sn *Snapshot, a *Account) (repo.ID, error) {
	past, err := src.Erased(ctx)
	if err != nil {
		return repo.ID{}, err
	}
	ledger, err := src.Ledger(ctx)
	if err != nil {
		return repo.ID{}, err
	}
	books := newBooks(src, &ledger, a.memory.with(past, a.Messages))
	t := snapshot.NewTree(c.session.Session, src)
	for i := range sn.boxes {
		work := &sn.boxes[i]
		if len(work.cuts) > 0 {
			buckets, err := src.Buckets(ctx, work.name)
			if err != nil {
				return repo.ID{}, err
			}
			if err := t.SetBuckets(ctx, work.name, work.after(buckets)); err != nil {
				return repo.ID{}, err
			}
		}
		books.erase(work)
	}
	t.SetErased(books.memory)
	return t.Save(ctx, src.Account(), books.boxes, books.left(), ledger)
}

// after are buckets with the cuts made.
func (w *boxWork) after(buckets []snapshot.Bucket) []snapshot.Bucket {
	var after []snapshot.Bucket
	for _, b := range buckets {
		i, cut := slices.BinarySearchFunc(w.cuts, b.First, func(c *cut, first snapshot.Slot) int { return cmp.Compare(c.old.First, first) })
		if cut {
			b = w.cuts[i].new
		}
		if !b.Mail.IsNull() {
			after = append(after, b)
		}
	}
	return after
}

// verify reads what was written, before anything is removed for it.
func (c *carrier) verify(ctx context.Context) error {
	seen := make(map[*cut]bool)
	for _, a := range c.plan.Accounts {
		for _, sn := range a.Snapshots {
			if err := c.verifySnapshot(ctx, sn, seen); err != nil {
				return fmt.Errorf("snapshot %s of %s: %w", sn.ID.Short(), a.Name, err)
			}
		}
	}
	return nil
}

// verifySnapshot holds a new tree against the old one: it has all of it but the cuts.
func (c *carrier) verifySnapshot(ctx context.Context, sn *Snapshot, seen map[*cut]bool) error {
	written := *sn.Snapshot
	written.Tree = &sn.tree
	now, err := snapshot.Open(ctx, c.plan.repo, &written)
	if err != nil {
		return err
	}
	was, err := snapshot.Open(ctx, c.plan.repo, sn.Snapshot)
	if err != nil {
		return err
	}
	if len(now.Boxes()) != len(was.Boxes()) || now.Account().Name != was.Account().Name {
		return errors.New("it has other mailboxes")
	}
	works := make(map[mail.Name]*boxWork)
	for i := range sn.boxes {
		works[sn.boxes[i].name] = &sn.boxes[i]
	}
	for i := range was.Boxes() {
		name := was.Boxes()[i].Name
		want, err := was.Buckets(ctx, name)
		if err != nil && works[name] == nil {
			continue // damaged before, and as it was
		}
		if err != nil {
			return err
		}
		if work := works[name]; work != nil {
			want = work.after(want)
			for _, k := range work.cuts {
				if err := verifyCut(ctx, was, now, k, seen); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
		got, err := now.Buckets(ctx, name)
		if err != nil {
			return err
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("%s: it has other messages", name)
		}
	}
	return nil
}

// verifyCut holds a new bucket against the old one: it has all entries and messages but those that were struck.
func verifyCut(ctx context.Context, was, now *snapshot.Source, k *cut, seen map[*cut]bool) error {
	if seen[k] {
		return nil
	}
	seen[k] = true
	struck := k.slots()
	old, err := messagesOf(ctx, was, k.old)
	if err != nil {
		return err
	}
	for _, slot := range struck {
		if _, ok := old[slot]; !ok {
			return fmt.Errorf("message %s was not there", slot)
		}
		delete(old, slot)
	}
	left, err := messagesOf(ctx, now, k.new)
	if err != nil {
		return err
	}
	for slot, m := range old {
		if left[slot] != m {
			return fmt.Errorf("message %s is not as it was", slot)
		}
	}
	if len(left) != len(old) {
		return fmt.Errorf("messages from %s on: there are %d, want %d", k.old.First, len(left), len(old))
	}
	return nil
}

// known is all that a snapshot says of a message, in a form that can be compared.
type known struct {
	flags   mail.Flags
	modSeq  uint64
	key     mail.Key
	guid    string
	extra   string
	size    int64
	date    int64
	content contentID
}

func messagesOf(ctx context.Context, src *snapshot.Source, b snapshot.Bucket) (map[snapshot.Slot]known, error) {
	all := make(map[snapshot.Slot]known)
	if b.Mail.IsNull() {
		return all, nil
	}
	var in snapshot.Interner
	entries, err := src.Entries(ctx, b, nil, &in)
	if err != nil {
		return nil, err
	}
	stored, err := src.StoredLeft(ctx, b)
	if err != nil {
		return nil, err
	}
	if len(stored) != len(entries) {
		return nil, fmt.Errorf("messages from %s on: %d have flags, %d have bytes", b.First, len(entries), len(stored))
	}
	for i, e := range entries {
		if stored[i].Slot != e.Slot {
			return nil, fmt.Errorf("message %s has flags and no bytes", e.Slot)
		}
		extra := ""
		if e.Extra != nil {
			extra = fmt.Sprint(*e.Extra)
		}
		all[e.Slot] = known{e.Flags, e.ModSeq, e.Key, e.GUID, extra, stored[i].Size, stored[i].Date.Unix(), contentOf(stored[i].Content)}
	}
	return all, nil
}

// replace puts each new snapshot in the place of the old one, oldest first.
func (c *carrier) replace(ctx context.Context) error {
	done := 0
	renamed := make(map[repo.ID]repo.ID)
	for _, a := range c.plan.Accounts {
		for _, sn := range a.Snapshots {
			c.plan.progress("replace", done, c.total)
			done++
			old := *sn.Snapshot
			if old.Parent != nil && !renamed[*old.Parent].IsNull() {
				parent := renamed[*old.Parent]
				old.Parent = &parent
			}
			if sn.tree == *sn.Tree {
				sn.New = sn.ID // a run that was cut short had come so far
				continue
			}
			var err error
			if sn.New, err = c.session.Replace(ctx, &old, sn.tree, c.plan.snapshots); err != nil {
				return err
			}
			renamed[sn.ID] = sn.New
		}
	}
	return nil
}
