package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"roost/blob"
	"roost/mail"
	"roost/peer"
	"roost/repo"
	"roost/store"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"roost": main, "dielocked": dieLocked})
}

// dieLocked is a program that takes an exclusive lock on a repository and ends
// without removing it.
func dieLocked() {
	err := func() error {
		key, err := os.ReadFile(os.Args[2])
		if err != nil {
			return err
		}
		r, err := repo.Open(context.Background(), blob.NewLocal(os.Args[1], blob.LocalOptions{}), repo.NewPassword(strings.TrimSpace(string(key))))
		if err != nil {
			return err
		}
		return r.WithLock(context.Background(), repo.Exclusive, func(context.Context, *repo.Lock) error {
			os.Exit(0)
			return nil
		})
	}()
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Each script is a story; the first words of its commands tell it. Beside
// testscript's own commands there are
//
//	exits CODE PROGRAM ARGS...    run it; it must exit with just this code
//	expunge STORE MAILBOX SUBJECT remove a message behind roost's back
//	deliver STORE MAILBOX FILE [FLAG]...
//	lock REPOSITORY KEYFILE       hold an exclusive lock until the script ends
//	exec dielocked REPOSITORY KEYFILE
//	                              leave the exclusive lock of a process that is no more
//	closedport VARIABLE           a port on which nobody listens
//	stdoutenv VARIABLE REGEXP     what the group of REGEXP matches in the last standard output
//	interrupt SIGNAL CODE FIFO PROGRAM ARGS...
//	                              run it, send the signal once it has written to FIFO; it must exit with CODE
//
// When a story is over, restic must find no fault in its default repository, unless a file "damaged" says that it is to be so.
func TestScripts(t *testing.T) {
	var restic peer.Program
	if _, err := exec.LookPath("restic"); err == nil || os.Getenv("CI") == "true" {
		restic = peer.Restic(t)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			for _, dir := range []string{"home", "tmp"} {
				if err := os.MkdirAll(e.WorkDir+"/"+dir, 0o700); err != nil {
					return err
				}
			}
			e.Setenv("HOME", e.WorkDir+"/home")
			e.Setenv("REPO", e.WorkDir+"/home/.local/share/roost/repository")
			e.Setenv("KEY", e.WorkDir+"/home/.config/roost/repository.key")
			e.Setenv("TMPDIR", e.WorkDir+"/tmp")
			e.Setenv("TZ", "UTC")
			e.Setenv("GORACE", "atexit_sleep_ms=0") // else each command waits a second for late reports
			e.Defer(func() { checkStory(e, restic) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "deliver": deliver, "expunge": expunge, "lock": lock, "closedport": closedPort, "interrupt": interrupt,
			"stdoutenv": stdoutEnv,
		},
	})
}

func checkStory(e *testscript.Env, restic peer.Program) {
	place := e.Getenv("REPO")
	if _, err := os.Stat(place + "/config"); err != nil || restic.Path == "" {
		return
	}
	if _, err := os.Stat(e.WorkDir + "/damaged"); err == nil {
		return
	}
	restic = restic.With("RESTIC_REPOSITORY="+place, "RESTIC_PASSWORD_FILE="+e.Getenv("KEY"))
	if _, err := restic.Output(context.Background(), "check", "--read-data", "--no-cache"); err != nil {
		e.T().Fatal(err)
	}
}

func stdoutEnv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: stdoutenv VARIABLE REGEXP")
	}
	found := regexp.MustCompile(args[1]).FindStringSubmatch(ts.ReadFile("stdout"))
	if len(found) != 2 {
		ts.Fatalf("%s matches %q", args[1], found)
	}
	ts.Setenv(args[0], found[1])
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func openStore(ts *testscript.TestScript, url string) mail.Store {
	driver, path, _ := strings.Cut(url, ":")
	s, err := store.Open(context.Background(), driver+":"+ts.MkAbs(path), store.Options{Make: true})
	ts.Check(err)
	return s
}

func deliver(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: deliver STORE MAILBOX FILE [FLAG]...")
	}
	s := openStore(ts, args[0])
	defer s.Close()
	ctx := context.Background()
	name := mail.Name(args[1])
	if err := s.Create(ctx, name); err != nil && !errors.Is(err, mail.ErrExist) {
		ts.Fatalf("%v", err)
	}
	text := strings.ReplaceAll(ts.ReadFile(args[2]), "\n", "\r\n")
	m := parseSample([]byte(text)).meta
	m.Flags, m.Size = mail.FlagsOf(args[3:]...), int64(len(text))
	_, err := s.Append(ctx, name, m, strings.NewReader(text))
	ts.Check(err)
}

func expunge(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: expunge STORE MAILBOX SUBJECT")
	}
	s := openStore(ts, args[0])
	defer s.Close()
	ctx := context.Background()
	name := mail.Name(args[1])
	ch, err := s.Changes(ctx, name, "")
	ts.Check(err)
	var keys, hit []mail.Key
	for i := range ch.Messages {
		keys = append(keys, ch.Messages[i].Key)
	}
	for f, err := range s.Fetch(ctx, name, keys, mail.Whole) {
		ts.Check(err)
		raw, err := io.ReadAll(f.Body)
		ts.Check(err)
		if strings.Contains(string(raw), "Subject: "+args[2]) {
			hit = append(hit, f.Key)
		}
	}
	if len(hit) != 1 {
		ts.Fatalf("%d messages have the subject %q", len(hit), args[2])
	}
	ts.Check(s.Expunge(ctx, name, hit))
}

func lock(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: lock REPOSITORY KEYFILE")
	}
	key := strings.TrimSpace(ts.ReadFile(args[1]))
	r, err := repo.Open(context.Background(), blob.NewLocal(ts.MkAbs(args[0]), blob.LocalOptions{}), repo.NewPassword(key))
	ts.Check(err)
	locked, release, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		done <- r.WithLock(context.Background(), repo.Exclusive, func(context.Context, *repo.Lock) error {
			close(locked)
			<-release
			return nil
		})
	}()
	ts.Defer(func() { close(release); <-done })
	select {
	case <-locked:
	case err := <-done:
		ts.Fatalf("lock: %v", err)
	}
}

func closedPort(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: closedport VARIABLE")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv(args[0], strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	ts.Check(l.Close())
}

func interrupt(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 4 {
		ts.Fatalf("usage: interrupt SIGNAL CODE FIFO PROGRAM ARGS...")
	}
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	program, err := exec.LookPath(args[3])
	ts.Check(err)
	var stderr strings.Builder
	cmd := exec.Command(program, args[4:]...)
	cmd.Dir, cmd.Stderr = ts.MkAbs("."), &stderr
	cmd.Env = []string{"HOME=" + ts.Getenv("HOME"), "PATH=" + ts.Getenv("PATH"), "TMPDIR=" + ts.Getenv("TMPDIR")}
	ts.Check(cmd.Start())
	ready, err := os.ReadFile(ts.MkAbs(args[2])) // until the writer closes it
	if err != nil || len(ready) == 0 {
		cmd.Process.Kill()
		ts.Fatalf("%s: %q, %v", args[2], ready, err)
	}
	ts.Check(cmd.Process.Signal(signals[args[0]]))
	cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != want || !strings.Contains(stderr.String(), "interrupted") {
		ts.Fatalf("exit code %d, want %d; standard error:\n%s", got, want, stderr.String())
	}
}
