package repo

import (
	"errors"
	"strings"
	"testing"

	"roost/blob"
	"roost/blob/blobtest"
)

// Each key opens, for restic too; the key in use stays, so that the last one does; and a change of password that is
// killed at any call leaves a repository that opens by the old password or by the new one.
func TestKeys(t *testing.T) {
	t.Parallel()
	r, first := newMemoryRepo(t)
	second, err := r.AddKey(t.Context(), NewPassword("second"), KeyOptions{KDF: testKDF, User: "u", Host: "h"})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := r.Keys(t.Context())
	if err != nil || len(keys) != 2 || !keys[0].InUse || keys[1].InUse || keys[1].User != "u" || keys[1].Host != "h" {
		t.Errorf("Keys() = %+v, %v", keys, err)
	}
	if _, err := r.RemoveKey(t.Context(), keys[0].ID.String(), false); !errors.Is(err, ErrKeyInUse) {
		t.Errorf("RemoveKey of the key in use = %v", err)
	}
	for _, prefix := range []string{"", "zz", strings.Repeat("0", 64)} {
		if _, err := r.RemoveKey(t.Context(), prefix, false); !errors.Is(err, ErrNoKey) {
			t.Errorf("RemoveKey(%q) = %v, want ErrNoKey", prefix, err)
		}
	}
	if _, err := r.RemoveKey(t.Context(), second.String()[:20], false); err != nil {
		t.Error(err)
	}
	if _, err := Open(t.Context(), first, NewPassword("second")); !errors.Is(err, ErrWrongPassword) {
		t.Errorf("Open by the key that was removed = %v", err)
	}
	change := func(b blob.Bucket) error {
		r, err := Open(t.Context(), b, NewPassword(testPassword))
		if err == nil {
			_, err = r.ChangePassword(t.Context(), NewPassword("third"), KeyOptions{KDF: testKDF}, nil)
		}
		return err
	}
	for n := int64(1); ; n++ {
		b := first.Clone()
		faulty := &blobtest.Faulty{Bucket: b, FailAt: n, After: n%2 == 0}
		changed := change(faulty)
		_, oldErr := Open(t.Context(), b, NewPassword(testPassword))
		_, newErr := Open(t.Context(), b, NewPassword("third"))
		if oldErr != nil && newErr != nil {
			t.Fatalf("killed at call %d (%v): neither opens: %v, %v", n, changed, oldErr, newErr)
		}
		if faulty.Calls() < n {
			if changed != nil || oldErr == nil || newErr != nil {
				t.Errorf("changed: %v, old: %v, new: %v", changed, oldErr, newErr)
			}
			break
		}
	}
	if testing.Short() {
		return
	}
	if _, err := r.AddKey(t.Context(), NewPassword("other"), KeyOptions{KDF: testKDF}); err != nil {
		t.Fatal(err)
	}
	newRestic(t, "").at(export(t, first)).check(t)
}
