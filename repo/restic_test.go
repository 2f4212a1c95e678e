package repo

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roost/blob"
)

const testPassword = "correct horse"

// testKDF makes opening cheap: the tests open repositories by the hundred.
var testKDF = KDF{N: 64, R: 8, P: 1}

// restic runs the real restic, whose verdict is the measure of all that this package writes.
type restic struct {
	dir string // of the repository
}

// newRestic skips the test where restic is missing; under CI that fails.
func newRestic(t *testing.T, dir string) restic {
	t.Helper()
	if _, err := exec.LookPath("restic"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("restic is missing: apt-get install restic")
		}
		t.Skip("restic is missing")
	}
	return restic{dir: dir}
}

// try runs restic and returns what it printed.
func (r restic) try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "restic", append([]string{"--no-cache"}, args...)...)
	cmd.Env = append(os.Environ(), "RESTIC_REPOSITORY="+r.dir, "RESTIC_PASSWORD="+testPassword)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// verdict runs restic check and reports whether restic finds no error. A read that fails restic tries again for a quarter
// of an hour; that it begins to is verdict enough.
func (r restic) verdict(t *testing.T, args ...string) (clean bool, out string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "restic", append([]string{"--no-cache", "--no-lock", "check"}, args...)...)
	cmd.Env = append(os.Environ(), "RESTIC_REPOSITORY="+r.dir, "RESTIC_PASSWORD="+testPassword)
	w := &retryWatch{cancel: cancel}
	cmd.Stdout, cmd.Stderr = w, w
	err := cmd.Run()
	return err == nil, w.out.String()
}

// retryWatch collects output and stops the program once it says that it tries again.
type retryWatch struct {
	out    bytes.Buffer
	cancel context.CancelFunc
}

// Write implements io.Writer.
func (w *retryWatch) Write(p []byte) (int, error) {
	w.out.Write(p)
	if bytes.Contains(w.out.Bytes(), []byte("retrying after")) {
		w.cancel()
	}
	return len(p), nil
}

// run is try for what must succeed.
func (r restic) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := r.try(t, args...)
	if err != nil {
		t.Fatalf("restic %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// check holds the repository to restic's strictest check.
func (r restic) check(t *testing.T) {
	t.Helper()
	out := r.run(t, "check", "--read-data")
	if !strings.Contains(out, "no errors were found") {
		t.Fatalf("restic check --read-data:\n%s", out)
	}
}

// newLocalRepo makes a repository in a folder.
func newLocalRepo(t *testing.T) (*Repo, string) {
	t.Helper()
	dir := t.TempDir()
	b := blob.NewLocal(dir, blob.LocalOptions{NoSync: true})
	if err := b.Create(); err != nil {
		t.Fatal(err)
	}
	r, err := Init(t.Context(), b, NewPassword(testPassword), InitOptions{KDF: testKDF})
	if err != nil {
		t.Fatal(err)
	}
	return r, dir
}

// message returns the bytes of message n: header and text that compress as mail does.
func message(n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Message-ID: <%d@example.com>\r\nSubject: message %d\r\n\r\n", n, n)
	for i := range 20 + n%50 {
		sum := Hash(fmt.Append(nil, n, i))
		fmt.Fprintf(&b, "line %d of %d: %x\r\n", i, n, sum[:i%32])
	}
	return b.Bytes()
}

// saveFiles stores files in one directory and returns its tree.
func saveFiles(t *testing.T, s *Session, files map[string][]byte) *Tree {
	t.Helper()
	tree := &Tree{}
	for name, body := range files {
		id, _, _, err := s.SaveBlob(t.Context(), DataBlob, body, Text)
		if err != nil {
			t.Fatalf("SaveBlob = %v", err)
		}
		when := time.Unix(1700000000, 0).UTC()
		tree.Nodes = append(tree.Nodes, Node{Name: name, Type: FileNode, Mode: 0o600, Size: uint64(len(body)),
			ModTime: when, AccessTime: when, ChangeTime: when, Content: []ID{id}})
	}
	tree.Sort()
	return tree
}

// What roost writes, restic checks, lists, restores, copies and prunes.
func TestResticReadsRoost(t *testing.T) {
	t.Parallel()
	r, dir := newLocalRepo(t)
	oracle := newRestic(t, dir)
	files := map[string][]byte{"empty": {}, "umlaut ä": message(1), "quote\"back\\slash": message(2), "nbsp\u00a0": message(3),
		"bad\xffutf8": message(4), "<&>": message(5), "tab\t": message(6), "line sep \u2028": message(7)}
	for n := range 500 {
		files[fmt.Sprintf("%04d.eml", n)] = message(n)
	}
	err := r.Write(t.Context(), WriteOptions{}, func(_ context.Context, s *Session) error {
		id, _, _, err := s.SaveTree(t.Context(), saveFiles(t, s, files))
		if err != nil {
			return err
		}
		root := &Tree{Nodes: []Node{{Name: "mail", Type: DirNode, Mode: os.ModeDir | 0o700, Subtree: &id}}}
		if id, _, _, err = s.SaveTree(t.Context(), root); err != nil {
			return err
		}
		_, err = s.SaveSnapshot(t.Context(), Snapshot{Tree: &id, Paths: []string{"/mail"}, Tags: []string{"mail"}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	oracle.check(t)
	target := t.TempDir()
	oracle.run(t, "restore", "latest", "--target", target)
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(target, "mail", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("restic restored %q as %d octets, %v, want %d", name, len(got), err, len(want))
		}
	}
}
