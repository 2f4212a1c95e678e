package backup

import (
	"context"
	"runtime"
	"sync"

	"roost/message"
	"roost/repo"
	"roost/snapshot"
)

// job is a message for those who cut and store.
type job struct {
	ctx  context.Context // of the batch it belongs to
	it   *item
	buf  *[]byte
	done func(error)
}

// startCutters starts one worker a core, which turn messages into blobs. stop
// waits until they have nothing left to do.
func (r *run) startCutters() (stop func()) {
	n := runtime.GOMAXPROCS(0)
	r.cutters = make(chan job, n)
	r.buffers = make(chan *[]byte, 2*n+r.o.Connections)
	for range cap(r.buffers) {
		r.buffers <- new([]byte)
	}
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			var ranges []message.Range
			for j := range r.cutters {
				var err error
				ranges, err = r.save(j.ctx, j.it, *j.buf, ranges[:0])
				r.buffers <- j.buf
				j.done(err)
			}
		})
	}
	return func() {
		close(r.cutters)
		wg.Wait()
	}
}

// save cuts and stores a message that is held in memory, unless it was erased.
func (r *run) save(ctx context.Context, it *item, raw []byte, ranges []message.Range) ([]message.Range, error) {
	if r.erasure.holds(raw) {
		it.state = erased
		return ranges, nil
	}
	ranges = message.Cut(ranges, raw)
	content := make([]repo.ID, len(ranges))
	for i, g := range ranges {
		id, _, _, err := r.session.SaveBlob(ctx, repo.DataBlob, raw[g.Start:g.End], hint(g.Kind))
		if err != nil {
			return ranges, err
		}
		content[i] = id
	}
	it.put(int64(len(raw)), content)
	return ranges, nil
}

func hint(k message.Kind) repo.Hint {
	if k == message.Base64 {
		return repo.Base64
	}
	return repo.Text
}

// put notes that the bytes of an item are in the repository.
func (it *item) put(size int64, content []repo.ID) {
	it.stored = snapshot.Stored{Slot: it.slot, Size: size, Date: it.m.InternalDate, Content: content}
	it.state = stored
}
