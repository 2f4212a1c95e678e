package repo

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"testing"

	"roost/blob"
	"roost/blob/blobtest"
)

// Each password of a repository opens it, no other does, and the error says so.
func TestOpenByPassword(t *testing.T) {
	r, b := newMemoryRepo(t)
	if _, err := r.AddKey(t.Context(), NewPassword("second"), KeyOptions{KDF: testKDF}); err != nil {
		t.Fatal(err)
	}
	for _, password := range []string{testPassword, "second"} {
		got, err := Open(t.Context(), b, NewPassword(password))
		if err != nil || got.ID() != r.ID() {
			t.Errorf("Open(%q) = %v", password, err)
		}
	}
	for _, password := range []string{"", "third", testPassword + " "} {
		if _, err := Open(t.Context(), b, NewPassword(password)); !errors.Is(err, ErrWrongPassword) {
			t.Errorf("Open(%q) = %v, want ErrWrongPassword", password, err)
		}
	}
}

// Open says when there is no repository, and Init when there is one.
func TestOpenInitRefuse(t *testing.T) {
	password := NewPassword(testPassword)
	if _, err := Open(t.Context(), &blobtest.Memory{}, password); !errors.Is(err, ErrNoRepository) {
		t.Errorf("Open of nothing = %v, want ErrNoRepository", err)
	}
	_, b := newMemoryRepo(t)
	if _, err := Init(t.Context(), b, password, InitOptions{KDF: testKDF}); !errors.Is(err, ErrExists) {
		t.Errorf("second Init = %v, want ErrExists", err)
	}
	if err := b.Remove(t.Context(), blob.Handle{Kind: blob.Config}); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(t.Context(), b, password, InitOptions{KDF: testKDF}); !errors.Is(err, ErrExists) {
		t.Errorf("Init beside old keys = %v, want ErrExists", err)
	}
	if _, err := Init(t.Context(), &blobtest.Memory{}, NewPassword(""), InitOptions{}); err == nil {
		t.Error("Init with an empty password: no error")
	}
}

// A key file that cannot be used neither hides the others nor passes for a wrong password alone, and can cost no memory.
func TestBadKeyFiles(t *testing.T) {
	_, b := newMemoryRepo(t)
	var good keyFile
	for e, err := range b.List(t.Context(), blob.Key) {
		if err != nil {
			t.Fatal(err)
		}
		body, err := b.Load(t.Context(), blob.Handle{Kind: blob.Key, Name: e.Name}, maxKeyFile)
		if err == nil {
			err = json.Unmarshal(body, &good)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, spoil := range map[string]func(*keyFile){
		"huge N":      func(f *keyFile) { f.N = math.MaxInt32 - 7 },
		"huge r":      func(f *keyFile) { f.R = 1 << 30 },
		"huge p":      func(f *keyFile) { f.P = 1 << 30 },
		"N no power":  func(f *keyFile) { f.N = 20000 },
		"zero":        func(f *keyFile) { f.N, f.R, f.P = 0, 0, 0 },
		"short salt":  func(f *keyFile) { f.Salt = f.Salt[:8] },
		"unknown kdf": func(f *keyFile) { f.KDF = "argon2" },
		"no data":     func(f *keyFile) { f.Data = nil },
	} {
		t.Run(name, func(t *testing.T) {
			bad := good
			bad.Salt = slices.Clone(good.Salt)
			spoil(&bad)
			body, err := json.Marshal(bad)
			if err != nil {
				t.Fatal(err)
			}
			alone := b.Clone()
			for e := range b.List(t.Context(), blob.Key) {
				if err := alone.Remove(t.Context(), blob.Handle{Kind: blob.Key, Name: e.Name}); err != nil {
					t.Fatal(err)
				}
			}
			alone.Put(blobtest.Handle(blob.Key, body), body)
			if _, err := Open(t.Context(), alone, NewPassword(testPassword)); !errors.Is(err, ErrWrongPassword) {
				t.Errorf("Open with the bad key alone = %v, want ErrWrongPassword", err)
			}
			both := b.Clone()
			both.Put(blobtest.Handle(blob.Key, body), body)
			both.Put(blobtest.Handle(blob.Key, []byte("{")), []byte("{"))
			if _, err := Open(t.Context(), both, NewPassword(testPassword)); err != nil {
				t.Errorf("Open with a good key beside the bad = %v", err)
			}
		})
	}
}

// Calibration stays within restic's bounds, whatever the machine.
func TestCalibrate(t *testing.T) {
	kdf := calibrate()
	if kdf.N < minScryptN || kdf.N&(kdf.N-1) != 0 || kdf.R != 8 || kdf.P < 1 || 128*kdf.N*kdf.R > 60<<20 {
		t.Errorf("calibrate() = %+v", kdf)
	}
}

// Nothing that a repository stores carries the password.
func TestPasswordIsNotStored(t *testing.T) {
	_, b := newMemoryRepo(t)
	for _, kind := range blob.Kinds() {
		for e := range b.List(t.Context(), kind) {
			body, err := b.Load(t.Context(), blob.Handle{Kind: kind, Name: e.Name}, 1<<20)
			if err != nil || bytes.Contains(body, []byte(testPassword)) {
				t.Errorf("%v %s: %v, or holds the password", kind, e.Name, err)
			}
		}
	}
}
