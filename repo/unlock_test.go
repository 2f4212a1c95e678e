package repo

import (
	"os"
	"testing"
	"time"

	"roost/blob"
)

// Only locks whose holders are surely gone are removed, unless all are asked for; a dry run removes none and says the same.
func TestUnlock(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		o      UnlockOptions
		remove map[string]bool
		left   int
	}{
		{"stale ones", UnlockOptions{}, map[string]bool{"dead process": true, "old": true}, 4},
		{"dry run", UnlockOptions{DryRun: true}, map[string]bool{"dead process": true, "old": true}, 6},
		{"all", UnlockOptions{All: true}, map[string]bool{"dead process": true, "old": true, "ours": true, "elsewhere": true, "damaged": true, "empty": true}, 0},
		{"all in a dry run", UnlockOptions{All: true, DryRun: true}, map[string]bool{"dead process": true, "old": true, "ours": true, "elsewhere": true, "damaged": true, "empty": true}, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, b := newMemoryRepo(t)
			now := time.Now()
			raw := func(text string) ID {
				id := Hash([]byte(text))
				if err := b.Save(t.Context(), blob.Handle{Kind: blob.Lock, Name: id.String()}, []byte(text)); err != nil {
					t.Fatal(err)
				}
				return id
			}
			names := map[ID]string{
				plant(t, r, LockInfo{Time: now, Hostname: host, PID: os.Getpid()}):                     "ours",
				plant(t, r, LockInfo{Time: now.Add(-20 * time.Minute), Hostname: "elsewhere", PID: 7}): "elsewhere",
				plant(t, r, LockInfo{Time: now, Hostname: host, PID: 1 << 30}):                         "dead process",
				plant(t, r, LockInfo{Time: now.Add(-31 * time.Minute), Hostname: "elsewhere", PID: 7}): "old",
				raw(""): "empty", raw("no lock at all"): "damaged",
			}
			found, err := r.Unlock(t.Context(), c.o)
			if err != nil || len(found) != len(names) {
				t.Fatalf("Unlock(%+v) = %d locks, %v, want %d", c.o, len(found), err, len(names))
			}
			for _, l := range found {
				name := names[l.ID]
				if l.Remove != c.remove[name] {
					t.Errorf("Unlock(%+v): %s: Remove is %v", c.o, name, l.Remove)
				}
				if broken := name == "empty" || name == "damaged"; broken != (l.Err != nil) {
					t.Errorf("Unlock(%+v): %s: Err is %v", c.o, name, l.Err)
				}
			}
			if n := count(t, b)[blob.Lock]; n != c.left {
				t.Errorf("Unlock(%+v) leaves %d locks, want %d", c.o, n, c.left)
			}
		})
	}
}
