package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The crash tests run the program as a process of its own, kill it so that it can clean up nothing (SIGKILL), and look at
// what is left. The moment is drawn uniformly from the time that the same run takes undisturbed.

// kill runs the program and kills it at a random moment, and reports whether that came before its end. after is "", or
// the kind of object that the run must have saved before: what comes then takes little of a run's time.
func (d *desk) kill(t *testing.T, after string, args ...string) bool {
	t.Helper()
	cmd := exec.Command(d.program, args...)
	var output bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = d.env, &output, &output
	span, before := d.usual, 0
	if after != "" {
		span, before = span/20, d.objects(t)[after]
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
		d.took(time.Since(began))
		return false
	default:
		t.Fatalf("roost %s, to be killed after %v, ended before with code %d:\n%s", strings.Join(args, " "), moment, code, output.Bytes())
		return false
	}
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
	mailbox.deliver(t, 250)
	args := []string{"backup", "--from", "maildir:" + mailbox.dir, "-u", "alice@example.com"}
	d.run(t, args...)
	phases := map[string]int{}
	for round := 0; d.kills < kills; round++ {
		mailbox.change(t)
		// The last steps take little of the time: most kills wait for the first pack, or the index, and come then.
		before, late := d.objects(t), [...]string{"", "data", "index"}[round%3]
		if d.kill(t, late, args...) {
			after := d.objects(t)
			phases[phase(before, after)]++
			d.check(t, round%5 == 0)
			if sn, n := d.newest(t); n > before["snapshots"] {
				d.mustHold(t, sn, mailbox)
			}
			if round%4 == 1 {
				d.checkByRestic(t)
			}
			if d.rng.IntN(4) == 0 {
				continue // more happens before the next run
			}
		}
		d.run(t, args...)
		d.newestHolds(t, mailbox)
	}
	d.run(t, args...)
	t.Logf("%d killed, %d had ended before; %v", d.kills, d.misses, phases)
	if d.misses > d.kills {
		t.Errorf("of %d processes only %d were killed on their way", d.kills+d.misses, d.kills)
	}
	d.check(t, true)
	d.checkByRestic(t, "--read-data")
}

// testRestoreIsKilled: what stands in the destination is whole, and the next run adds exactly what is not there yet.
func testRestoreIsKilled(t *testing.T, d *desk, kills int) {
	source := newTree(t, filepath.Join(d.dir, "mail"), d.rng)
	source.deliver(t, 200)
	d.run(t, "backup", "--from", "maildir:"+source.dir, "-u", "alice@example.com")
	d.last = 0 // that was of a backup
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
		usual, last := d.usual, d.last
		d.run(t, args...)
		got, _ := maildirLetters(t, dir)
		if !maps.Equal(want, got) { // faster than to look for a difference
			t.Fatalf("round %d (-written +restored):\n%s", round, cmp.Diff(want, got))
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
		d.usual, d.last = usual, last // not of what was left to do after a kill
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d killed, of these %d with a part of the messages restored; %d had ended before", d.kills, cut, d.misses)
	if d.misses > d.kills || cut == 0 && !testing.Short() {
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
