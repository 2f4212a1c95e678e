package main

import (
	"bytes"
	"errors"
	"testing"
)

// After its first error a stream writes no more, and remembers it.
func TestStreamRemembersItsError(t *testing.T) {
	full := errors.New("full")
	w := &failing{room: 3, err: full}
	out, errs := newStreams(w, &bytes.Buffer{})
	for _, text := range []string{"ab", "cd", "e"} {
		out.Write([]byte(text))
	}
	if got := w.got.String(); got != "ab" || out.failure() != full || errs.failure() != nil {
		t.Errorf("written %q, errors %v and %v; want ab, %v and none", got, out.failure(), errs.failure(), full)
	}
	again, shared := newStreams(out, errs)
	if again != out || shared != errs {
		t.Error("a stream was made of a stream")
	}
}

// failing takes so many octets.
type failing struct {
	room int
	err  error
	got  bytes.Buffer
}

func (f *failing) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, f.err
	}
	return f.got.Write(p)
}
