package repo

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"time"

	"roost/blob"
)

// ErrWrongPassword says that none of the repository's keys opens with the password.
var ErrWrongPassword = errors.New("wrong password")

const (
	maxKeys    = 20      // keys tried at an open, as restic
	maxKeyFile = 1 << 20 // octets; real ones have 450
	saltSize   = 64

	maxScryptMemory = 1 << 30 // octets; what a stranger's key file may make us allocate
	minScryptN      = 1 << 14
)

// A KDF is the work that scrypt makes of one guess at a password. The zero value means: as much as
// this machine does in half a second with 60 MB, as restic chooses it.
type KDF struct {
	N, R, P int
}

// CheapKDF is for passwords that no one can guess because a program drew them: 256 random bits need no slow hash.
// It is the lower bound of what restic writes.
var CheapKDF = KDF{N: minScryptN, R: 8, P: 1}

// keyFile is keys/ID: plain JSON, readable without the password.
type keyFile struct {
	Created  time.Time `json:"created"`
	Username string    `json:"username"`
	Hostname string    `json:"hostname"`
	KDF      string    `json:"kdf"`
	N        int       `json:"N"`
	R        int       `json:"r"`
	P        int       `json:"p"`
	Salt     []byte    `json:"salt"`
	Data     []byte    `json:"data"` // sealed masterKey
}

// masterKey is the plaintext inside keyFile.Data.
type masterKey struct {
	MAC struct {
		K []byte `json:"k"`
		R []byte `json:"r"`
	} `json:"mac"`
	Encrypt []byte `json:"encrypt"`
}

func newMasterKey() *keyBytes {
	var key keyBytes
	rand.Read(key.encrypt[:])
	rand.Read(key.k[:])
	rand.Read(key.r[:])
	return &key
}

// addKey wraps key with password and stores it as another key of the repository.
func addKey(ctx context.Context, b blob.Bucket, key *keyBytes, password Password, o KeyOptions) (ID, error) {
	if o.KDF == (KDF{}) {
		o.KDF = calibrate()
	}
	host, name := whoami()
	f := keyFile{Created: time.Now(), Username: cmp.Or(o.User, name), Hostname: cmp.Or(o.Host, host),
		KDF: "scrypt", N: o.KDF.N, R: o.KDF.R, P: o.KDF.P}
	f.Salt = make([]byte, saltSize)
	rand.Read(f.Salt)
	wrap, err := f.derive(password)
	if err != nil {
		return ID{}, fmt.Errorf("make key: %w", err)
	}
	var m masterKey
	m.MAC.K, m.MAC.R, m.Encrypt = key.k[:], key.r[:], key.encrypt[:]
	plain, err := json.Marshal(m)
	if err != nil {
		return ID{}, fmt.Errorf("make key: %w", err)
	}
	f.Data = wrap.seal(nil, plain)
	body, err := json.Marshal(f)
	if err != nil {
		return ID{}, fmt.Errorf("make key: %w", err)
	}
	id := Hash(body)
	if err := b.Save(ctx, blob.Handle{Kind: blob.Key, Name: id.String()}, body); err != nil {
		return ID{}, fmt.Errorf("make key: %w", err)
	}
	return id, nil
}

// findKey tries the password on each key and returns the master key behind the first that opens, and which that is.
// A key that cannot be read does not hide the others; if none opens and some could not be tried, that is the error.
func findKey(ctx context.Context, b blob.Bucket, password Password) (*keyBytes, ID, error) {
	var names []string
	for e, err := range b.List(ctx, blob.Key) {
		if err != nil {
			return nil, ID{}, err
		}
		names = append(names, e.Name)
	}
	if len(names) == 0 {
		return nil, ID{}, fmt.Errorf("%w: it has no key", ErrNoRepository)
	}
	slices.Sort(names)
	var unread error
	for _, name := range names[:min(len(names), maxKeys)] {
		key, err := openKey(ctx, b, name, password)
		if err == nil {
			id, err := ParseID(name)
			return key, id, err
		}
		if ctx.Err() != nil {
			return nil, ID{}, err
		}
		if !errors.Is(err, errDamaged) {
			unread = err
		}
	}
	if unread != nil {
		return nil, ID{}, fmt.Errorf("%w for the keys that could be read; also: %w", ErrWrongPassword, unread)
	}
	if len(names) > maxKeys {
		return nil, ID{}, fmt.Errorf("%w for the first %d of %d keys", ErrWrongPassword, maxKeys, len(names))
	}
	return nil, ID{}, ErrWrongPassword
}

func openKey(ctx context.Context, b blob.Bucket, name string, password Password) (*keyBytes, error) {
	body, err := b.Load(ctx, blob.Handle{Kind: blob.Key, Name: name}, maxKeyFile)
	if err != nil {
		return nil, err
	}
	var f keyFile
	if err := json.Unmarshal(body, &f); err != nil {
		return nil, fmt.Errorf("decode key %s: %w", name, err)
	}
	wrap, err := f.derive(password)
	if err != nil {
		return nil, fmt.Errorf("use key %s: %w", name, err)
	}
	plain, err := wrap.open(f.Data)
	if err != nil {
		return nil, fmt.Errorf("open key %s: %w", name, err)
	}
	var m masterKey
	if err := json.Unmarshal(plain, &m); err != nil {
		return nil, fmt.Errorf("decode master key %s: %w", name, err)
	}
	var key keyBytes
	if len(m.Encrypt) != len(key.encrypt) || len(m.MAC.K) != len(key.k) || len(m.MAC.R) != len(key.r) {
		return nil, fmt.Errorf("decode master key %s: wrong length", name)
	}
	copy(key.encrypt[:], m.Encrypt)
	copy(key.k[:], m.MAC.K)
	copy(key.r[:], m.MAC.R)
	return &key, nil
}

// derive turns the password into the key that wraps the master key.
func (f *keyFile) derive(password Password) (*sealer, error) {
	if f.KDF != "scrypt" {
		return nil, fmt.Errorf("unknown kdf %q", f.KDF)
	}
	if len(f.Salt) != saltSize {
		return nil, fmt.Errorf("salt has %d octets, want %d", len(f.Salt), saltSize)
	}
	// Bound the parameters before scrypt multiplies them.
	if f.N < 2 || f.R < 1 || f.P < 1 || f.N > maxScryptMemory || f.R > 1<<10 || f.P > 1<<10 ||
		128*int64(f.N)*int64(f.R) > maxScryptMemory {
		return nil, fmt.Errorf("scrypt parameters N=%d r=%d p=%d out of bounds", f.N, f.R, f.P)
	}
	var key keyBytes
	n := len(key.encrypt) + len(key.k) + len(key.r)
	raw, err := scryptKey(password.reveal(), f.Salt, f.N, f.R, f.P, n)
	if err != nil {
		return nil, err
	}
	copy(key.encrypt[:], raw[:32])
	copy(key.k[:], raw[32:48])
	copy(key.r[:], raw[48:])
	return newSealer(&key)
}

// calibrate measures one scrypt of the lowest cost and raises N within 60 MB, then P, to fill half a second.
func calibrate() KDF {
	const (
		target    = 500 * time.Millisecond
		maxMemory = 60 << 20
	)
	kdf := CheapKDF
	start := time.Now()
	// The parameters are constants that scrypt accepts. One lane runs on one core, so that the work comes out as it does for
	// restic, although we wait for less of it.
	scryptKey("calibrate", make([]byte, saltSize), kdf.N, kdf.R, kdf.P, 64)
	cost := max(time.Since(start), time.Millisecond)
	for 128*2*kdf.N*kdf.R <= maxMemory && 2*cost <= target {
		kdf.N *= 2
		cost *= 2
	}
	kdf.P = max(1, int(target/cost))
	return kdf
}

// whoami returns what key and lock files say of their writer; empty where the system does not tell.
func whoami() (host, name string) {
	host, _ = os.Hostname()
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return host, name
}
