package peer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"
)

const (
	// Password is what every ordinary user of a started server logs in with.
	Password = "secret"

	// host is the only address a peer listens on.
	host = "127.0.0.1"

	startTimeout = 20 * time.Second // a loaded machine; a start takes well under a second
	stopTimeout  = 10 * time.Second // then the process is killed
	startTries   = 5                // with other ports each time
)

// errPortTaken says that somebody else took a port between our choosing it and the server's binding it.
var errPortTaken = errors.New("a port was taken meanwhile")

// missing ends the test: with a failure in CI, where everything must be installed, and with a skip elsewhere.
func missing(t testing.TB, what string) {
	t.Helper()
	message := what + " is not installed; `make test` installs it (script/setup)"
	if os.Getenv("CI") == "true" {
		t.Fatal(message)
	}
	t.Skip(message)
}

// lookup finds a program in the path or where Debian keeps daemons, which is not in every user's path.
func lookup(t testing.TB, program string) string {
	t.Helper()
	for _, candidate := range []string{program, "/usr/sbin/" + program, "/usr/local/sbin/" + program} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	missing(t, program)
	return ""
}

// serverDir makes a directory that the server's user may enter and whose path is short: the path of a unix socket has
// at most 107 bytes, and t.TempDir holds the name of the test and is closed to other users. It is removed when the test ends.
func serverDir(t testing.TB, prefix string) string {
	t.Helper()
	parent := os.TempDir()
	if len(parent) > 40 || !enterable(parent) {
		parent = "/tmp"
	}
	dir, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		t.Fatalf("make a directory for a server: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the directory of a server: %v", err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatalf("open the directory of a server: %v", err)
	}
	return dir
}

// enterable tells whether every user may walk down to dir.
func enterable(dir string) bool {
	for {
		info, err := os.Stat(dir)
		if err != nil || info.Mode().Perm()&0o001 == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

// freePorts returns n ports of loopback on which nobody listens now. They lie below the range that the kernel hands
// out for outgoing connections, so that only another server could take one before ours does.
func freePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range 100 * n {
		port := 10000 + rand.IntN(22000)
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			continue
		}
		defer l.Close() // at the end, so that no port is found twice
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("find %d free ports on %s", n, host)
}

// addr is the address of a port on loopback.
func addr(port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

// render writes a template to a file that every user may read.
func render(path, text string, values any) error {
	t, err := template.New(filepath.Base(path)).Option("missingkey=error").Parse(text)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, values); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// process is a running server and what it has printed.
type process struct {
	cmd    *exec.Cmd
	output string        // path of the file with its standard output and error
	exited chan struct{} // closed when it has ended
}

// start runs a program in the foreground, as user where we may choose. The test ends it.
func start(t testing.TB, output string, user account, env []string, argv ...string) (*process, error) {
	t.Helper()
	out, err := os.OpenFile(output, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	runAs(cmd, user)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, output: output, exited: make(chan struct{})}
	go func() {
		cmd.Wait()
		kill(cmd.Process) // what it left behind
		close(p.exited)
	}()
	t.Cleanup(p.stop)
	return p, nil
}

// stop asks the server to end, waits for it, and kills it if it will not. It may be called twice.
func (p *process) stop() {
	select {
	case <-p.exited:
		return
	default:
		terminate(p.cmd.Process)
	}
	select {
	case <-p.exited:
	case <-time.After(stopTimeout):
		kill(p.cmd.Process)
		<-p.exited
	}
}

// greeting waits until the server at addr sends a line that contains want, and returns an error if it ended before.
// A line of another server means that our port was taken.
func (p *process) greeting(addr, want string) error {
	deadline := time.Now().Add(startTimeout)
	tick := time.NewTicker(5 * time.Millisecond) // there is no event to wait on but the answer itself
	defer tick.Stop()
	for time.Now().Before(deadline) {
		line, err := firstLine(addr, deadline)
		switch {
		case err == nil && strings.Contains(line, want):
			return nil
		case err == nil && line != "":
			return fmt.Errorf("greeting of %s is %q: %w", addr, line, errPortTaken)
		}
		select {
		case <-p.exited:
			text, _ := os.ReadFile(p.output)
			if containsTaken(text) {
				return errPortTaken
			}
			return fmt.Errorf("server ended at once: %s", text)
		case <-tick.C:
		}
	}
	return fmt.Errorf("no greeting from %s within %v", addr, startTimeout)
}

// containsTaken tells whether a server complained about a port that somebody else has.
func containsTaken(text []byte) bool { return bytes.Contains(text, []byte("Address already in use")) }

// firstLine connects and reads one line.
func firstLine(addr string, deadline time.Time) (string, error) {
	conn, err := net.DialTimeout("tcp", addr, time.Until(deadline))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(deadline)
	return bufio.NewReader(conn).ReadString('\n')
}

// login opens an IMAP session, logs in and out again.
func login(addr, user, password string) error {
	conn, err := net.DialTimeout("tcp", addr, startTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(startTimeout))
	if _, err := fmt.Fprintf(conn, "a LOGIN %s %s\r\nb LOGOUT\r\n", user, password); err != nil {
		return err
	}
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if line := lines.Text(); strings.HasPrefix(line, "a ") && !strings.HasPrefix(line, "a OK") {
			return fmt.Errorf("log in as %s: %s", user, line)
		} else if strings.HasPrefix(line, "b OK") {
			return nil
		}
	}
	return fmt.Errorf("log in as %s: the connection ended: %w", user, lines.Err())
}

// showOnFailure prints the ends of the log files if the test failed.
func showOnFailure(t testing.TB, logs ...string) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for _, path := range logs {
			if text, err := tail(path, 8<<10); err == nil && len(text) > 0 {
				t.Logf("end of %s:\n%s", filepath.Base(path), text)
			}
		}
	})
}

// tail reads the last max octets of a file.
func tail(path string, max int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > max {
		if _, err := f.Seek(-max, io.SeekEnd); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(f)
}

// chown gives a tree to the server's user. Links are not followed.
func chown(root string, user account) error {
	if !user.other {
		return nil
	}
	return filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, user.uid, user.gid)
	})
}

// run executes a command to its end and returns what it wrote to standard output.
func run(ctx context.Context, user account, env []string, argv ...string) (string, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	runAs(cmd, user)
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("run %s: %w\n%s%s", strings.Join(argv, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String(), nil
}
