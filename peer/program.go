package peer

import (
	"context"
	"path/filepath"
	"testing"
)

// Program is an installed command line program and the environment it is run with.
type Program struct {
	Path string   // where it is installed
	Env  []string // "NAME=value", on top of the environment of the test
}

// Restic is Debian's restic, with a cache of its own. Say which repository by With:
//
//	peer.Restic(t).With("RESTIC_REPOSITORY="+dir, "RESTIC_PASSWORD=secret").Run(t, "check", "--read-data")
func Restic(t testing.TB) Program {
	t.Helper()
	path := lookup(t, "restic")
	return Program{Path: path, Env: []string{"RESTIC_CACHE_DIR=" + filepath.Join(t.TempDir(), "restic-cache")}}
}

// Mbsync is isync's mbsync, with an empty home directory, so that it finds no configuration but what -c names.
func Mbsync(t testing.TB) Program {
	t.Helper()
	path := lookup(t, "mbsync")
	return Program{Path: path, Env: []string{"HOME=" + t.TempDir()}}
}

// With returns the program with more environment; a later value of a name wins over an earlier one.
func (p Program) With(env ...string) Program {
	p.Env = append(append([]string(nil), p.Env...), env...)
	return p
}

// Output runs the program and returns what it wrote to standard output. The error of a run that ended with a non-zero
// status wraps *exec.ExitError and shows everything that was written.
func (p Program) Output(ctx context.Context, args ...string) (string, error) {
	return run(ctx, account{}, p.Env, append([]string{p.Path}, args...)...)
}

// Run is Output for runs that must succeed: otherwise the test ends.
func (p Program) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := p.Output(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
