package main

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// stream is standard output or standard error. It remembers the first error, so
// that a full disk is told once, at the end, wherever the text was written. Both
// streams share a screen. Its methods are safe for concurrent use.
type stream struct {
	w      io.Writer
	screen *screen

	err error // the first; guarded by screen.mu
}

// screen is what standard output and standard error show together, if they are a
// terminal: lines, and below them a status line that each new line pushes down.
type screen struct {
	mu     sync.Mutex // guards what follows, and keeps writes apart
	shown  bool       // the status line stands
	within bool       // the last line has no end yet, as that of a prompt
}

// newStreams makes streams of a program's two writers. One that is a stream
// already is shared.
func newStreams(stdout, stderr io.Writer) (out, errs *stream) {
	s := &screen{}
	if shared, ok := stderr.(*stream); ok {
		s = shared.screen
	}
	wrap := func(w io.Writer) *stream {
		if shared, ok := w.(*stream); ok {
			return shared
		}
		return &stream{w: w, screen: s}
	}
	return wrap(stdout), wrap(stderr)
}

// Write writes above the status line. After an error it writes no more.
func (s *stream) Write(p []byte) (int, error) {
	s.screen.mu.Lock()
	defer s.screen.mu.Unlock()
	if s.err != nil {
		return 0, s.err
	}
	if terminal(s) && len(p) > 0 {
		s.screen.clear(s.w)
		s.screen.within = p[len(p)-1] != '\n'
	}
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}

// failure is the first error of a Write.
func (s *stream) failure() error {
	s.screen.mu.Lock()
	defer s.screen.mu.Unlock()
	return s.err
}

// status shows text as the status line, in place of the one before; "" clears
// it. Where a line has no end yet, it waits for the next time.
func (s *stream) status(text string) {
	s.screen.mu.Lock()
	defer s.screen.mu.Unlock()
	switch {
	case s.screen.within:
	case text == "":
		s.screen.clear(s.w)
	default:
		io.WriteString(s.w, "\r\x1b[K"+text)
		s.screen.shown = true
	}
}

// clear removes the status line. mu is held.
func (s *screen) clear(w io.Writer) {
	if s.shown {
		io.WriteString(w, "\r\x1b[K")
		s.shown = false
	}
}

// file is the file behind a stream, or behind standard input; nil if it is none.
func file(of any) *os.File {
	if s, ok := of.(*stream); ok {
		of = s.w
	}
	f, _ := of.(*os.File)
	return f
}

// terminal tells whether a stream, or standard input, is a terminal.
func terminal(of any) bool {
	f := file(of)
	return f != nil && term.IsTerminal(int(f.Fd()))
}

// width is how many columns a stream has; 0 if it is no terminal.
func width(s *stream) int {
	if !terminal(s) {
		return 0
	}
	columns, _, err := term.GetSize(int(file(s).Fd()))
	if err != nil {
		return 0
	}
	return columns
}
