package sftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	client "github.com/pkg/sftp"

	"roost/blob"
)

// session is a running ssh and what is spoken over its pipes.
type session struct {
	*client.Client
	cmd      *exec.Cmd
	in, out  io.Closer // our ends of its pipes
	said     said
	ended    chan struct{} // closed when ssh has ended
	calls    atomic.Int64  // that wait for an answer
	timer    *time.Timer   // ends the session in which nothing moves
	patience time.Duration
}

// start runs ssh and greets the server.
func start(ctx context.Context, p Place, o Options) (*session, error) {
	// Not CommandContext: the session outlives the call that began it.
	s := &session{cmd: exec.Command(p.Command[0], p.Command[1:]...), ended: make(chan struct{}), patience: o.Timeout}
	s.cmd.Stderr, s.cmd.WaitDelay = &s.said, time.Second // an ssh that serves other sessions keeps it open
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("run %s: %w", p.Command[0], err)
	}
	s.in, s.out = in, out
	s.timer = time.AfterFunc(s.patience, s.stall)
	s.calls.Add(1) // the greeting
	defer s.calls.Add(-1)
	defer context.AfterFunc(ctx, s.kill)()
	up, down := o.Up.Writer(in), o.Down.Reader(out)
	s.Client, err = client.NewClientPipe(&reader{down, s}, &writer{up, in, s}, client.UseConcurrentWrites(true))
	if err != nil {
		s.kill()
		s.cmd.Wait()
		close(s.ended)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, s.explain(err)
	}
	go func() {
		s.cmd.Wait()
		close(s.ended)
	}()
	return s, nil
}

// end closes the session and waits for ssh.
func (s *session) end() {
	s.timer.Stop()
	defer time.AfterFunc(time.Second, s.kill).Stop() // an ssh that does not notice
	s.Client.Close()
	<-s.ended
}

// kill ends the session at once. It closes the pipes too, which children of the command may keep open: it can be a script, or
// an ssh with a ProxyCommand. It has no process group of its own, as a background one may not ask at the terminal for a passphrase.
func (s *session) kill() {
	s.cmd.Process.Kill()
	s.in.Close()
	s.out.Close()
}

// stall ends the session if somebody has been waiting for all that time.
func (s *session) stall() {
	if s.calls.Load() > 0 {
		s.said.note(fmt.Sprintf("nothing came for %v", s.patience))
		s.kill()
	}
}

func (s *session) moved() { s.timer.Reset(s.patience) }

// alive tells whether the connection still is there.
func (s *session) alive() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// explain is the error of a connection that could not be made or is gone, by what ssh had to say of it.
func (s *session) explain(err error) error {
	text := s.said.String()
	if text == "" {
		return blob.Temporary(fmt.Errorf("%w: %w", blob.ErrConnect, err))
	}
	for _, row := range []struct {
		words string
		err   error
	}{
		{"Host key verification failed", blob.ErrUntrusted},
		{"HOST IDENTIFICATION HAS CHANGED", blob.ErrUntrusted},
		{"Permission denied", blob.ErrAccess},
		{"Too many authentication failures", blob.ErrAccess},
		{"subsystem request failed", blob.ErrAccess},
	} {
		if strings.Contains(text, row.words) {
			return fmt.Errorf("%w: ssh says: %s", row.err, text)
		}
	}
	return blob.Temporary(fmt.Errorf("%w: ssh says: %s", blob.ErrConnect, text))
}

// fault says what an error of a call means to a bucket.
func (s *session) fault(err error) error {
	var status *client.StatusError
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(tooLarge)), errors.As(err, new(shortFile)):
		return err
	case errors.Is(err, blob.ErrNotExist), errors.Is(err, blob.ErrExist), errors.Is(err, io.ErrUnexpectedEOF) && s.alive():
		return err
	case errors.Is(err, os.ErrNotExist):
		return blob.ErrNotExist
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%w: %w", blob.ErrAccess, err)
	case errors.As(err, &status) && s.alive() && !errors.Is(err, client.ErrSSHFxConnectionLost) && !errors.Is(err, client.ErrSSHFxNoConnection):
		return err // the server has answered
	}
	return s.explain(err)
}

// reader and writer are the pipes; both tell that something moves.
type reader struct {
	io.Reader
	s *session
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.s.moved()
	return n, err
}

type writer struct {
	io.Writer
	io.Closer
	s *session
}

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.s.moved()
	return n, err
}

// said keeps the end of what ssh writes to its standard error.
type said struct {
	mu   sync.Mutex // guards what follows
	text []byte
}

const mostSaid = 1000 // octets

func (e *said) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.text = append(e.text, p...)
	if extra := len(e.text) - mostSaid; extra > 0 {
		e.text = e.text[extra:]
	}
	return len(p), nil
}

func (e *said) note(text string) { fmt.Fprintln(e, text) }

// String returns it in one line.
func (e *said) String() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(strings.Fields(string(e.text)), " ")
}
