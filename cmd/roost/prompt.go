package main

import (
	"bufio"
	"context"
	"fmt"
	"time"

	"golang.org/x/term"
)

// What is asked on the terminal is asked one thing at a time, and a signal ends
// the question: the terminal is then as it was before.

// prompt asks for a secret on the terminal.
func (a *app) prompt(ctx context.Context, label string) ([]byte, error) {
	a.asking.Lock()
	defer a.asking.Unlock()
	fd := int(file(a.stdin).Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	defer fmt.Fprintln(a.stderr)
	secret, err := answer(ctx, func() ([]byte, error) { return term.ReadPassword(fd) }, func() {
		awaitSilence(fd, before)
		fmt.Fprintf(a.stderr, "password of %s: ", printable(label))
	})
	if ctx.Err() != nil {
		term.Restore(fd, before) // the read goes on, without an echo
	}
	return secret, err
}

// awaitSilence waits until a read that has begun has turned the echo off, which
// would else be left off if a signal came in between. It gives up where the echo
// was off before.
func awaitSilence(fd int, before *term.State) {
	for range 100 {
		if now, err := term.GetState(fd); err != nil || *now != *before {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// confirm asks a question on the terminal. Where there is none, or the answer
// is not yes, the error is errRefused.
func (a *app) confirm(ctx context.Context, question string) error {
	if !terminal(a.stdin) {
		return hinted{fmt.Errorf("%w: there is no terminal to ask on: %s", errRefused, question), "answer yes with --yes, or look with --dry-run"}
	}
	a.asking.Lock()
	defer a.asking.Unlock()
	text, err := answer(ctx, func() ([]byte, error) { return bufio.NewReader(a.stdin).ReadBytes('\n') }, func() {
		fmt.Fprintf(a.stderr, "%s [yes/no] ", question)
	})
	if ctx.Err() != nil {
		fmt.Fprintln(a.stderr)
		return err
	}
	if word := string(text); word != "yes\n" && word != "y\n" {
		return fmt.Errorf("%w: the answer was not yes", errRefused)
	}
	return nil
}

// answer asks and returns what read reads, or the cause of ctx's end. A read of
// a terminal cannot be ended, so nobody waits for one that is given up: the
// program is about to end. It has begun, or soon will, when ask is called.
func answer(ctx context.Context, read func() ([]byte, error), ask func()) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	ask()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
