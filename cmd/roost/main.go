// Command roost backs up, restores and looks through mailboxes.
//
// Results go to standard output, everything else to standard error. The exit
// code says what happened; exit.go holds the table.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// memoryLimit is how much memory the runtime may use before it collects garbage
// harder, unless GOMEMLIMIT says otherwise. With the program itself, a first
// backup of a million messages stays below 300 MB.
const memoryLimit = 270 << 20 // octets

func main() {
	noCore()
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	ctx, stop := withSignals(context.Background())
	code := newApp(os.Stdin, os.Stdout, os.Stderr, os.Getenv).run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// interrupted is the cause of a context that a signal ended.
type interrupted struct{ signal syscall.Signal }

func (i interrupted) Error() string { return fmt.Sprintf("interrupted by signal: %v", i.signal) }

// withSignals ends ctx on the first SIGINT or SIGTERM, so that the state can be
// saved; the second ends the program at once.
func withSignals(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case s := <-signals:
			cancel(interrupted{s.(syscall.Signal)})
		case <-done:
			return
		}
		select {
		case s := <-signals:
			os.Exit(128 + int(s.(syscall.Signal)))
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel(nil)
	}
}
