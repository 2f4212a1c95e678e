package repo

import (
	"fmt"
	"testing"

	"roost/blob"
	"roost/blob/blobtest"
)

// Whatever single file is damaged or missing, check finds it, and its verdict is restic's.
func TestCheckAgreesWithRestic(t *testing.T) {
	r, clean := newMemoryRepo(t)
	if err := backup(t.Context(), r, 0, 20); err != nil {
		t.Fatal(err)
	}
	if err := backup(t.Context(), r, 10, 30); err != nil {
		t.Fatal(err)
	}
	for _, d := range []struct {
		name   string
		damage func([]byte) []byte // nil removes the file
		oracle bool                // ask restic, too: it takes its time
	}{
		{"missing", nil, true},
		{"first flip", func(p []byte) []byte { p[0] ^= 1; return p }, false},
		{"mid flip", func(p []byte) []byte { p[len(p)/2] ^= 0x80; return p }, true},
		{"last flip", func(p []byte) []byte { p[len(p)-1] ^= 1; return p }, false},
		{"cut short", func(p []byte) []byte { return p[:len(p)-7] }, true},
		{"emptied", func([]byte) []byte { return nil }, false},
		{"longer", func(p []byte) []byte { return append(p, 0) }, false},
	} {
		for _, kind := range []blob.Kind{blob.Snapshot, blob.Index, blob.Pack} {
			for e := range clean.List(t.Context(), kind) {
				t.Run(fmt.Sprintf("%s %v %s", d.name, kind, e.Name[:8]), func(t *testing.T) {
					t.Parallel()
					b := clean.Clone()
					h := blob.Handle{Kind: kind, Name: e.Name}
					body, err := b.Load(t.Context(), h, 1<<20)
					if err != nil {
						t.Fatal(err)
					}
					if d.damage != nil {
						b.Put(h, d.damage(body))
					} else if err := b.Remove(t.Context(), h); err != nil {
						t.Fatal(err)
					}
					compareChecks(t, b, h, d.oracle && !testing.Short())
				})
			}
		}
	}
}

// compareChecks checks with and without reading data, by us and, if told so, by restic.
func compareChecks(t *testing.T, b *blobtest.Memory, damaged blob.Handle, ask bool) {
	t.Helper()
	for _, readData := range []bool{false, true} {
		report, err := reopen(t, b).Check(t.Context(), CheckOptions{ReadData: readData})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range report.Problems {
			if p.Object.Kind == blob.Pack && p.Object != damaged {
				t.Errorf("blames %v for damage to %v", p, damaged)
			}
			if p.Object.Kind == blob.Pack && len(p.Paths) == 0 && len(p.Blobs) > 0 {
				t.Errorf("%v has bad blobs and names no path", p)
			}
		}
		_, gone := b.Stat(t.Context(), damaged)
		if forgotten := gone != nil && damaged.Kind == blob.Snapshot; readData && report.OK() != forgotten {
			t.Errorf("with all data read, the problems are %v", report.Problems)
		}
		if !ask {
			continue
		}
		var args []string
		if readData {
			args = []string{"--read-data"}
		}
		if clean, out := newRestic(t, export(t, b)).verdict(t, args...); clean != report.OK() {
			t.Errorf("check %v: we say %v, restic says:\n%s", args, report.Problems, out)
		}
	}
}
