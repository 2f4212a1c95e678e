package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
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

// The crash tests run the program as a process of its own, kill it so that it can clean up nothing (SIGKILL), and look at
// what is left. The moment is drawn uniformly from the time that the same run takes undisturbed.

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

	usual         time.Duration // that a run takes
	kills, misses int           // processes that died by our hand, and that had ended before
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
	d.usual = time.Since(began)
	return stdout.String()
}

// kill runs the program and kills it at a random moment, and reports whether that came before its end. after is "", or
// the kind of object that the run must have saved before: what comes then takes little of a run's time.
func (d *desk) kill(t *testing.T, after string, args ...string) bool {
	t.Helper()
	cmd := exec.Command(d.program, args...)
	var output bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = d.env, &output, &output
	span, before := d.usual, 0
	if after != "" {
		span, before = span/8, d.objects(t)[after]
	}
	moment := time.Duration(d.rng.Int64N(int64(span)))
	began := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait() // says no more than ProcessState
		close(exited)
	}()
	if after != "" {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for running := true; running && d.objects(t)[after] == before; {
			select {
			case <-tick.C:
			case <-exited:
				running = false
			}
		}
	}
	timer := time.NewTimer(moment)
	defer timer.Stop()
	select {
	case <-timer.C:
		cmd.Process.Kill()
		<-exited
	case <-exited:
	}
	switch code := cmd.ProcessState.ExitCode(); code {
	case -1: // ended by a signal
		d.kills++
		return true
	case 0:
		d.misses++
		d.usual = time.Since(began)
		return false
	default:
		t.Fatalf("roost %s, to be killed after %v, ended before with code %d:\n%s", strings.Join(args, " "), moment, code, output.Bytes())
		return false
	}
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

// snapshots opens the snapshots, oldest first.
func (d *desk) snapshots(t *testing.T) []*snapshot.Source {
	t.Helper()
	all, err := d.repo.Snapshots(t.Context())
	if err == nil {
		err = d.repo.LoadIndex(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	var list []*snapshot.Source
	for _, sn := range all {
		src, err := snapshot.Open(t.Context(), d.repo, sn)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, src)
	}
	return list
}

// objects counts the objects of each kind in the repository.
func (d *desk) objects(t *testing.T) map[string]int {
	t.Helper()
	count := map[string]int{}
	for _, kind := range []string{"locks", "data", "index", "snapshots"} {
		err := filepath.WalkDir(filepath.Join(d.place, kind), func(_ string, e fs.DirEntry, err error) error {
			if err == nil && e.Type().IsRegular() && !strings.Contains(e.Name(), "-tmp-") {
				count[kind]++
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a temporary name, just renamed
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return count
}

// phase is how far a backup came, by what it left.
func phase(before, after map[string]int) string {
	switch {
	case after["snapshots"] > before["snapshots"]:
		return "after the snapshot"
	case after["index"] > before["index"]:
		return "before the snapshot"
	case after["data"] > before["data"]:
		return "before the index"
	case after["locks"] > before["locks"]:
		return "before the packs"
	}
	return "before the lock"
}

// Backup and restore may be killed at any time; what must hold then stands below.
func TestKilled(t *testing.T) {
	program := build(t)
	seeds, kills := uint64(4), 25 // of each kind and seed
	if testing.Short() {
		seeds, kills = 1, 5
	}
	for seed := range seeds {
		t.Run(fmt.Sprintf("backup, seed %d", seed), func(t *testing.T) {
			t.Parallel()
			testBackupIsKilled(t, newDesk(t, program, seed), kills)
		})
		t.Run(fmt.Sprintf("restore, seed %d", seed), func(t *testing.T) {
			t.Parallel()
			testRestoreIsKilled(t, newDesk(t, program, seed), kills)
		})
	}
}

// testBackupIsKilled: the repository stays clean, there is no half snapshot, and the next run saves exactly what the
// Maildir holds.
func testBackupIsKilled(t *testing.T, d *desk, kills int) {
	mailbox := newTree(t, filepath.Join(d.dir, "mail"), d.rng)
	mailbox.deliver(t, 300)
	args := []string{"backup", "--from", "maildir:" + mailbox.dir, "-u", "alice@example.com"}
	d.run(t, args...)
	phases := map[string]int{}
	for round := 0; d.kills < kills; round++ {
		mailbox.change(t)
		before, late := d.objects(t), ""
		if round%3 == 2 {
			late = "index"
		}
		if d.kill(t, late, args...) {
			after := d.objects(t)
			phases[phase(before, after)]++
			d.check(t, round%5 == 0)
			if list := d.snapshots(t); len(list) > before["snapshots"] {
				d.mustHold(t, list[len(list)-1], mailbox)
			}
			if d.rng.IntN(4) == 0 {
				continue // more happens before the next run
			}
		}
		if d.kills%20 == 10 {
			d.checkByRestic(t)
		}
		d.run(t, args...)
		list := d.snapshots(t)
		d.mustHold(t, list[len(list)-1], mailbox)
	}
	d.run(t, args...)
	t.Logf("%d killed, %d had ended before; %v", d.kills, d.misses, phases)
	if d.misses > d.kills {
		t.Errorf("of %d processes only %d were killed on their way", d.kills+d.misses, d.kills)
	}
	d.check(t, true)
	d.checkByRestic(t, "--read-data")
}

// mustHold compares a snapshot with what the test wrote.
func (d *desk) mustHold(t *testing.T, sn *snapshot.Source, w *tree) {
	t.Helper()
	letters, names := lettersOf(t, sn)
	if diff := cmp.Diff(w.letters(), letters); diff != "" {
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

// testRestoreIsKilled: what stands in the destination is whole, and the next run adds exactly what is not there yet.
func testRestoreIsKilled(t *testing.T, d *desk, kills int) {
	source := newTree(t, filepath.Join(d.dir, "mail"), d.rng)
	source.deliver(t, 250)
	d.run(t, "backup", "--from", "maildir:"+source.dir, "-u", "alice@example.com")
	rehearsal := filepath.Join(d.dir, "rehearsal")
	d.run(t, "restore", "latest", "--in-place", "--to", "maildir:"+rehearsal)
	cut := 0 // kills after the first message and before the last
	for round := 0; d.kills < kills; round++ {
		dir := filepath.Join(d.dir, fmt.Sprintf("restored %d", round))
		args := []string{"restore", "latest", "--in-place", "--to", "maildir:" + dir}
		want := source.letters()
		own := newTree(t, dir, d.rng)
		if round%2 == 0 { // mail that came meanwhile
			own.deliver(t, 20)
			for l, n := range own.letters() {
				want[l] += n
			}
		}
		killed := d.kill(t, "", args...)
		for killed {
			got, _ := maildirLetters(t, dir)
			if n := total(got); n > len(own.files) && n < total(want) {
				cut++
			}
			for l, n := range got {
				if n > want[l] {
					t.Fatalf("round %d, after a kill: %d of %+v, want at most %d", round, n, l, want[l])
				}
			}
			if d.kills >= kills || d.rng.IntN(3) > 0 {
				break
			}
			killed = d.kill(t, "", args...) // once more, before it is done
		}
		usual := d.usual
		d.run(t, args...)
		got, _ := maildirLetters(t, dir)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("round %d (-written +restored):\n%s", round, diff)
		}
		if round%5 == 0 {
			if out := d.run(t, args...); !strings.Contains(out, "nothing changed") && !strings.Contains(out, "nothing new") {
				t.Errorf("round %d: restored twice, it says:\n%s", round, out)
			}
			got, _ := maildirLetters(t, dir)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("round %d, restored twice (-written +restored):\n%s", round, diff)
			}
		}
		d.usual = usual // not of what was left to do after a kill
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d killed, of these %d with a part of the messages restored; %d had ended before", d.kills, cut, d.misses)
	if d.misses > d.kills || cut == 0 {
		t.Errorf("of %d processes only %d were killed on their way", d.kills+d.misses, d.kills)
	}
	d.check(t, true)
	d.checkByRestic(t, "--read-data")
}

func total(letters map[letter]int) int {
	n := 0
	for _, count := range letters {
		n += count
	}
	return n
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
