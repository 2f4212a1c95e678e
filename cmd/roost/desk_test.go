package main

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/blob"
	"roost/mail"
	"roost/peer"
	"roost/repo"
	"roost/snapshot"
	"roost/store/maildir"
)

const repoPassword = "correct horse"

// desk is a repository, restic, and the program that is killed.
type desk struct {
	dir     string // scratch
	place   string // directory of the repository
	repo    *repo.Repo
	program string
	env     []string
	restic  peer.Program
	rng     *rand.Rand

	usual, last   time.Duration // that a run takes, and that the last one took
	heap          int64         // that a run had at most, in octets; known if GODEBUG=gctrace=1 is in env
	kills, misses int           // processes that died by our hand, and that had ended before
}

// heapSize finds the size of the heap at the end of a collection, in MiB, in what gctrace tells.
var heapSize = regexp.MustCompile(`(?m)^gc .*->(\d+)->\d+ MB`)

// long skips the test where there is little time.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("a long test")
	}
}

// build builds the program, without the race detector, which would make scrypt take longer than all the rest.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "roost")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

func newDesk(t *testing.T, program string, seed uint64) *desk {
	t.Helper()
	d := &desk{dir: t.TempDir(), program: program, rng: rand.New(rand.NewPCG(seed, 1))}
	d.place = filepath.Join(d.dir, "repository")
	d.restic = peer.Restic(t).With("RESTIC_REPOSITORY="+d.place, "RESTIC_PASSWORD="+repoPassword)
	d.env = []string{"HOME=" + d.dir, "RESTIC_REPOSITORY=" + d.place, "RESTIC_PASSWORD=" + repoPassword, "TZ=UTC"}
	bucket := blob.NewLocal(d.place, blob.LocalOptions{})
	if err := bucket.Create(); err != nil {
		t.Fatal(err)
	}
	var err error
	d.repo, err = repo.Init(t.Context(), bucket, repo.NewPassword(repoPassword), repo.InitOptions{KDF: repo.KDF{N: 1 << 10, R: 8, P: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// run runs the program to its end, which must be a good one: exit code 0 says that the books balance and nothing failed.
func (d *desk) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), d.program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = d.env, &stdout, &stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		t.Fatalf("roost %s: %v\n%s%s", strings.Join(args, " "), err, stdout.Bytes(), stderr.Bytes())
	}
	d.took(time.Since(began))
	for _, m := range heapSize.FindAllStringSubmatch(stderr.String(), -1) {
		size, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		d.heap = max(d.heap, size<<20)
	}
	return stdout.String()
}

// took notes how long an undisturbed run took. The shorter of the last two is usual: the machine may have been busy.
func (d *desk) took(t time.Duration) {
	if d.usual = t; d.last > 0 {
		d.usual = min(t, d.last)
	}
	d.last = t
}

// check holds the repository to our own check.
func (d *desk) check(t *testing.T, readData bool) {
	t.Helper()
	report, err := d.repo.Check(t.Context(), repo.CheckOptions{ReadData: readData})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range report.Problems {
		t.Fatalf("check: %v %v", p, p.Paths)
	}
}

// checkByRestic holds it to restic's, which wants to be alone: the dead writers' locks go first, as its user would do it.
func (d *desk) checkByRestic(t *testing.T, args ...string) {
	t.Helper()
	d.restic.Run(t, "unlock")
	if locks := d.restic.Run(t, "--no-lock", "list", "locks"); locks != "" {
		t.Fatalf("restic takes locks of dead processes for live ones:\n%s", locks)
	}
	d.restic.Run(t, append([]string{"check"}, args...)...)
}

// newest opens the newest snapshot, and counts them all.
func (d *desk) newest(t *testing.T) (sn *snapshot.Source, snapshots int) {
	t.Helper()
	all, err := d.repo.Snapshots(t.Context())
	if err == nil {
		err = d.repo.LoadIndex(t.Context())
	}
	if err != nil || len(all) == 0 {
		t.Fatalf("%d snapshots, %v", len(all), err)
	}
	if sn, err = snapshot.Open(t.Context(), d.repo, all[len(all)-1]); err != nil {
		t.Fatal(err)
	}
	return sn, len(all)
}

// newestHolds compares the newest snapshot with what the test wrote.
func (d *desk) newestHolds(t *testing.T, w *tree) {
	t.Helper()
	sn, _ := d.newest(t)
	d.mustHold(t, sn, w)
}

// mustHold compares a snapshot with what the test wrote.
func (d *desk) mustHold(t *testing.T, sn *snapshot.Source, w *tree) {
	t.Helper()
	letters, names := lettersOf(t, sn)
	if want := w.letters(); !maps.Equal(want, letters) { // faster than to look for a difference
		diff := cmp.Diff(want, letters)
		t.Fatalf("snapshot %s, after %d kills (-written +snapshot):\n%s", sn.ID(), d.kills, diff)
	}
	if diff := cmp.Diff(w.names(), names); diff != "" {
		t.Fatalf("snapshot %s, after %d kills, mailboxes (-written +snapshot):\n%s", sn.ID(), d.kills, diff)
	}
	ledger, err := sn.Ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range ledger.Rows {
		if err := row.Balance(); err != nil {
			t.Fatal(err)
		}
	}
	if total := ledger.Total(); !ledger.Complete() || total.Held != int64(len(w.files)) {
		t.Fatalf("snapshot %s: the ledger says %d held, complete %v; want %d", sn.ID(), total.Held, ledger.Complete(), len(w.files))
	}
}

// maildirLetters is what a Maildir holds, and counts its files the plainest way.
func maildirLetters(t *testing.T, dir string) (letters map[letter]int, mailboxes []mail.Name) {
	t.Helper()
	s, err := maildir.Open(t.Context(), dir, maildir.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	letters, mailboxes = lettersOf(t, s)
	var files int
	for _, pattern := range []string{"cur/*", "new/*", ".*/cur/*", ".*/new/*"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files += len(names)
	}
	if files != total(letters) {
		t.Fatalf("%s has %d files, and %d messages are listed", dir, files, total(letters))
	}
	return letters, mailboxes
}
