package repo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"roost/blob"
)

// ErrNoRepository says that the bucket holds no repository.
var ErrNoRepository = errors.New("no repository")

// ErrExists says that Init found a repository.
var ErrExists = errors.New("repository exists already")

// formatVersion is the one version that we write; version 1 lacks compression and is refused.
const formatVersion = 2

const maxConfig = 1 << 20 // octets; real ones have 155

// config is the object of that name: sealed JSON, never compressed.
type config struct {
	Version    uint       `json:"version"`
	ID         ID         `json:"id"` // random, tells repositories apart
	Polynomial polynomial `json:"chunker_polynomial"`
}

// A Repo is an open repository. It is safe for concurrent use.
type Repo struct {
	bucket blob.Bucket
	seal   *sealer
	codec  *codec
	config config
	key    atomic.Pointer[ID] // the key object by which it was opened

	writing sync.Mutex // held by Write: one session at a time, so that blobs under way are known to all who store

	index  atomic.Pointer[index]
	trees  treeCache
	sealed sync.Pool // of *[]byte, for a blob as it is stored

	loading  sync.Mutex   // held while index files are loaded; guards what follows
	loaded   map[ID]bool  // index files in index; nil before the first load
	badIndex map[ID]error // index files that are damaged, and why
}

// InitOptions adjusts Init; the zero value is right for a password that a person chose.
type InitOptions struct {
	KDF KDF // default: calibrated on this machine

	// Like is a repository whose cut points restic is to use here too, so that what is copied between them is stored once; nil: own ones.
	Like *Repo
}

// Init makes a new repository with one key in the bucket and opens it. It returns ErrExists where there is one.
func Init(ctx context.Context, b blob.Bucket, password Password, o InitOptions) (*Repo, error) {
	if password.IsEmpty() {
		return nil, errors.New("init repository: empty password")
	}
	if _, err := b.Stat(ctx, blob.Handle{Kind: blob.Config}); !errors.Is(err, blob.ErrNotExist) {
		if err == nil {
			err = ErrExists
		}
		return nil, fmt.Errorf("init repository: %w", err)
	}
	for range b.List(ctx, blob.Key) {
		return nil, fmt.Errorf("init repository: %w: it has keys but no config", ErrExists)
	}
	key := newMasterKey()
	id, err := addKey(ctx, b, key, password, KeyOptions{KDF: o.KDF})
	if err != nil {
		return nil, fmt.Errorf("init repository: %w", err)
	}
	cfg := config{Version: formatVersion, Polynomial: randomPolynomial()}
	if o.Like != nil {
		cfg.Polynomial = o.Like.config.Polynomial
	}
	rand.Read(cfg.ID[:])
	r, err := newRepo(b, key, id)
	if err != nil {
		return nil, fmt.Errorf("init repository: %w", err)
	}
	plain, err := json.Marshal(cfg)
	if err == nil {
		err = b.Save(ctx, blob.Handle{Kind: blob.Config}, r.seal.seal(nil, plain))
	}
	if errors.Is(err, blob.ErrExist) {
		err = ErrExists
	}
	if err != nil {
		return nil, fmt.Errorf("init repository: %w", err)
	}
	r.config = cfg
	return r, nil
}

// Open opens the repository in the bucket: ErrNoRepository if there is none, ErrWrongPassword if no key opens.
// It reads keys and config only; the index is loaded when it is first needed.
func Open(ctx context.Context, b blob.Bucket, password Password) (*Repo, error) {
	body, err := b.Load(ctx, blob.Handle{Kind: blob.Config}, maxConfig)
	if errors.Is(err, blob.ErrNotExist) {
		return nil, fmt.Errorf("open repository: %w", ErrNoRepository)
	}
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	key, id, err := findKey(ctx, b, password)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	r, err := newRepo(b, key, id)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	plain, err := r.seal.open(body)
	if err != nil {
		return nil, fmt.Errorf("open repository: config: %w", err)
	}
	if err := json.Unmarshal(plain, &r.config); err != nil {
		return nil, fmt.Errorf("open repository: decode config: %w", err)
	}
	if r.config.Version != formatVersion {
		return nil, fmt.Errorf("open repository: format version %d, want %d: restic migrate upgrade_repo_v2 makes it one",
			r.config.Version, formatVersion)
	}
	if r.config.Polynomial == 0 {
		return nil, errors.New("open repository: config has no chunker polynomial")
	}
	return r, nil
}

func newRepo(b blob.Bucket, key *keyBytes, id ID) (*Repo, error) {
	seal, err := newSealer(key)
	if err != nil {
		return nil, err
	}
	codec, err := newCodec()
	if err != nil {
		return nil, err
	}
	r := &Repo{bucket: b, seal: seal, codec: codec}
	r.useKey(id)
	r.index.Store(newIndex())
	r.sealed.New = func() any { return new([]byte) }
	return r, nil
}

// ID returns the random number that tells this repository from all others.
func (r *Repo) ID() ID { return r.config.ID }
