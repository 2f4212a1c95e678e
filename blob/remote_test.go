package blob_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"roost/blob"
	"roost/blob/blobtest"
)

// shaky is a driver in memory whose calls go wrong as told. Its clock is that of the test.
type shaky struct {
	blobtest.Memory
	calls atomic.Int64
	wrong func(call int64, what string) (before, after error) // instead of the call, and instead of its answer
}

func (s *shaky) do(what string, call func() error) error {
	before, after := s.wrong(s.calls.Add(1), what)
	if before != nil {
		return before
	}
	if err := call(); err != nil {
		return err
	}
	return after
}

func (s *shaky) Create(context.Context) error { return s.do("create", func() error { return nil }) }

func (s *shaky) Save(ctx context.Context, h blob.Handle, body []byte) error {
	return s.do("save", func() error { return s.Memory.Save(ctx, h, body) })
}

func (s *shaky) Remove(ctx context.Context, h blob.Handle) error {
	return s.do("remove", func() error { return s.Memory.Remove(ctx, h) })
}

func (s *shaky) List(ctx context.Context, kind blob.Kind, after string) iter.Seq2[blob.Entry, error] {
	return func(yield func(blob.Entry, error) bool) {
		var all []blob.Entry
		for e, err := range s.Memory.List(ctx, kind) {
			if err != nil {
				yield(e, err)
				return
			}
			if e.Name > after {
				all = append(all, e)
			}
		}
		slices.SortFunc(all, func(a, b blob.Entry) int { return strings.Compare(a.Name, b.Name) })
		for _, e := range all {
			if err := s.do("list", func() error { return nil }); err != nil {
				yield(blob.Entry{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

var errGone = blob.Temporary(blob.ErrConnect)

// A call that fails for a while is made again, and a lost answer is no second object and no missing one.
func TestRemoteMakesGood(t *testing.T) {
	for _, c := range []struct {
		name  string
		wrong func(call int64, what string) (before, after error)
	}{
		{"every second call fails", func(n int64, _ string) (error, error) {
			if n%2 == 1 {
				return errGone, nil
			}
			return nil, nil
		}},
		{"every second answer is lost", func(n int64, _ string) (error, error) {
			if n%2 == 1 {
				return nil, errGone
			}
			return nil, nil
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := blob.NewRemote(&shaky{wrong: c.wrong}, blob.RemoteOptions{})
				var names []string
				for i := range byte(20) {
					h := blobtest.Handle(blob.Pack, []byte{i})
					if err := r.Save(t.Context(), h, []byte{i}); err != nil {
						t.Fatalf("Save = %v", err)
					}
					names = append(names, h.Name)
				}
				slices.Sort(names)
				var listed []string
				for e, err := range r.List(t.Context(), blob.Pack) {
					if err != nil {
						t.Fatalf("List: %v", err)
					}
					listed = append(listed, e.Name)
				}
				if !slices.Equal(listed, names) {
					t.Errorf("List = %d names, want the %d that were saved, once each", len(listed), len(names))
				}
				for _, name := range names {
					if err := r.Remove(t.Context(), blob.Handle{Kind: blob.Pack, Name: name}); err != nil {
						t.Errorf("Remove = %v", err)
					}
				}
			})
		})
	}
}

// An outage ends in an error after the patience, a minute for a place that never answered, and is told once; an error that
// is for good ends at once.
func TestRemoteGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fault := errGone
		d := &shaky{wrong: func(int64, string) (error, error) { return fault, nil }}
		told := 0
		r := blob.NewRemote(d, blob.RemoteOptions{Report: func(error) { told++ }})
		h := blobtest.Handle(blob.Pack, []byte("x"))
		for _, most := range []time.Duration{time.Minute, 15 * time.Minute} {
			fault, told = errGone, 0
			began := time.Now()
			err := r.Save(t.Context(), h, []byte("x"))
			took := time.Since(began)
			if !errors.Is(err, blob.ErrConnect) || took > most || took < most/2 || told != 1 {
				t.Errorf("Save = %v after %v and %d reports, want ErrConnect after about %v and one", err, took, told, most)
			}
			fault = nil
			if err := r.Save(t.Context(), h, []byte("x")); err != nil && !errors.Is(err, blob.ErrExist) {
				t.Errorf("Save after the outage = %v", err)
			}
		}
		fault = blob.ErrAccess
		began := time.Now()
		if err := r.Remove(t.Context(), h); !errors.Is(err, blob.ErrAccess) || time.Since(began) > 0 {
			t.Errorf("Remove = %v after %v, want ErrAccess at once", err, time.Since(began))
		}
	})
}

// No location shows its password.
func TestRedact(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"rest:https://u:s3cret@host/p/", "rest:https://u:***@host/p/"},
		{"rest:https://u:s3/cret@host/p/", "rest:https://u:***@host/p/"},
		{"rest:https://u@host:8000/p/", "rest:https://u@host:8000/p/"},
		{"rest:https://[::1]:8000/a@b", "rest:https://[::1]:8000/a@b"},
		{"sftp:u:s3cret@host:p", "sftp:u:***@host:p"},
		{"sftp:u@host:p", "sftp:u@host:p"},
		{"/srv/a:b@c", "/srv/a:b@c"},
	} {
		if got := blob.Redact(c.in); got != c.want {
			t.Errorf("Redact(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}
