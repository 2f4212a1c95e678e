package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"roost/blob"
	"roost/blob/location"
	"roost/config"
	"roost/repo"
)

// Repository is an open repository, and where it is.
type Repository struct {
	*repo.Repo
	Location string // as it may be shown
	KeyFile  string // the generated key file that opens it; "": it has a password of the user's
	Made     bool   // it was made just now

	close func() error
}

// Close lets go of it.
func (r *Repository) Close() error { return r.close() }

// place is where the repository is and how it opens.
type place struct {
	location.Location
	keyFile string // of the default repository without a configured password
}

func (e *Env) place() (place, error) {
	l, err := location.Parse(e.Config.Repository.Location)
	if err != nil {
		bad := &config.Error{Key: "repository.location", Reason: err.Error(), Hint: "roost help init shows how locations are written"}
		if errors.Is(err, location.ErrUnsupported) {
			bad.Hint = "rclone serve restic reaches it, and makes it a place of the form rest:http://127.0.0.1:8080/"
		}
		return place{}, bad
	}
	p := place{Location: l}
	if p.Kind != location.Local {
		return p, nil
	}
	if p.Dir == "" {
		if e.Paths.Data == "" || e.Paths.Config == "" {
			return p, &config.Error{Key: "repository.location", Reason: "it is not set, and neither is HOME", Hint: "name a place with --repo"}
		}
		p.Dir = e.Paths.Repository()
	}
	if e.Config.Repository.Secret.IsZero() && e.Paths.Config != "" && p.Dir == e.Paths.Repository() {
		p.keyFile = e.Paths.KeyFile()
	}
	return p, nil
}

// OpenRepository opens the configured repository. With repo.ErrNoRepository
// there is none; MakeRepository makes one.
func (e *Env) OpenRepository(ctx context.Context) (*Repository, error) {
	p, err := e.place()
	if err != nil {
		return nil, err
	}
	bucket, err := e.bucket(ctx, p)
	if err != nil {
		return nil, err
	}
	r, err := e.openIn(ctx, p, bucket)
	if err != nil {
		bucket.Close()
	}
	return r, err
}

func (e *Env) openIn(ctx context.Context, p place, bucket location.Bucket) (*Repository, error) {
	// Whether there is one at all is asked first: a missing repository must not
	// be reported as a missing password.
	_, err := bucket.Stat(ctx, blob.Handle{Kind: blob.Config})
	if errors.Is(err, blob.ErrNotExist) {
		return nil, fmt.Errorf("open repository %s: %w", p, repo.ErrNoRepository)
	}
	if err != nil {
		return nil, fmt.Errorf("open repository %s: %w", p, err)
	}
	password, err := e.password(ctx, p)
	if err != nil {
		return nil, err
	}
	r, err := repo.Open(ctx, bucket, password)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	return &Repository{Repo: r, Location: p.String(), KeyFile: p.keyFile, close: bucket.Close}, nil
}

// PlanRepository is where MakeRepository would make a repository, and the key
// file that would open it, "" if there is a password. It makes nothing, asks
// nobody, and fails where MakeRepository surely would.
func (e *Env) PlanRepository(ctx context.Context) (location, keyFile string, err error) {
	p, err := e.place()
	if err != nil {
		return "", "", err
	}
	bucket, err := e.bucket(ctx, p)
	if err != nil {
		return "", "", err
	}
	defer bucket.Close()
	if err := vacant(ctx, p, bucket); err != nil {
		return "", "", err
	}
	if p.keyFile == "" && !e.secret(p).Prompt {
		_, err = e.password(ctx, p)
	}
	return p.String(), p.keyFile, err
}

// MakeRepository makes the configured repository; for the default one without a
// configured password also its key file. repo.ErrExists if it is there.
func (e *Env) MakeRepository(ctx context.Context) (*Repository, error) {
	return e.makeRepository(ctx, repo.InitOptions{})
}

func (e *Env) makeRepository(ctx context.Context, options repo.InitOptions) (*Repository, error) {
	p, err := e.place()
	if err != nil {
		return nil, err
	}
	bucket, err := e.bucket(ctx, p)
	if err != nil {
		return nil, err
	}
	r, err := e.makeIn(ctx, p, bucket, options)
	if err != nil {
		bucket.Close()
	}
	return r, err
}

// vacant returns nil if a repository can be made in bucket.
func vacant(ctx context.Context, p place, bucket location.Bucket) error {
	_, err := bucket.Stat(ctx, blob.Handle{Kind: blob.Config})
	switch {
	case err == nil:
		return fmt.Errorf("make repository %s: %w", p, repo.ErrExists)
	case errors.Is(err, blob.ErrNotExist) || p.Kind == location.Local: // what is wrong with a directory, making it tells
		return nil
	}
	return fmt.Errorf("make repository %s: %w", p, err)
}

func (e *Env) makeIn(ctx context.Context, p place, bucket location.Bucket, options repo.InitOptions) (_ *Repository, err error) {
	if err := vacant(ctx, p, bucket); err != nil {
		return nil, err
	}
	var password repo.Password
	if p.keyFile != "" {
		if _, err := config.MakeKeyFile(p.keyFile); err != nil {
			return nil, err
		}
		options.KDF = repo.CheapKDF
		password, err = e.password(ctx, p)
	} else {
		password, err = e.newPassword(ctx, p)
	}
	if err != nil {
		return nil, err
	}
	if err := bucket.Create(ctx); err != nil {
		return nil, fmt.Errorf("make repository %s: %w", p, err)
	}
	r, err := repo.Init(ctx, bucket, password, options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p, err)
	}
	return &Repository{Repo: r, Location: p.String(), KeyFile: p.keyFile, Made: true, close: bucket.Close}, nil
}

// OpenOrMake opens the repository; the default one, with nothing configured, is
// made if it is not there. If its key is there, so was the repository: somebody
// removed it, or a disk is not mounted, and a new one would hide that.
func (e *Env) OpenOrMake(ctx context.Context) (*Repository, error) {
	r, err := e.OpenRepository(ctx)
	if errors.Is(err, repo.ErrNoRepository) {
		if p, placeErr := e.place(); placeErr == nil && p.keyFile != "" {
			if _, keyErr := os.Stat(p.keyFile); keyErr == nil {
				return nil, fmt.Errorf("%w, but its key %s is there", err, p.keyFile)
			}
			return e.MakeRepository(ctx)
		}
	}
	return r, err
}

func (e *Env) secret(p place) config.Secret {
	switch s := e.Config.Repository.Secret; {
	case p.keyFile != "":
		return config.Secret{File: p.keyFile}
	case s.IsZero() && e.Ask.Prompt != nil:
		return config.Secret{Prompt: true}
	default:
		return s
	}
}

// password reads the repository's password. Blanks at either end of what a file
// or a command holds are cut off, as restic does.
func (e *Env) password(ctx context.Context, p place) (repo.Password, error) {
	s := e.secret(p)
	text, err := s.Read(ctx, "the repository "+p.String(), e.Ask)
	if err != nil {
		return repo.Password{}, err
	}
	if s.IsStored() {
		text = strings.TrimSpace(text)
	}
	return repo.NewPassword(text), nil
}

// newPassword reads it for a new repository; what is typed is asked for twice.
func (e *Env) newPassword(ctx context.Context, p place) (repo.Password, error) {
	s := e.secret(p)
	if !s.Prompt {
		return e.password(ctx, p)
	}
	first, err := s.Read(ctx, "the new repository "+p.String(), e.Ask)
	if err != nil {
		return repo.Password{}, err
	}
	again, err := s.Read(ctx, "the new repository again", e.Ask)
	if err != nil {
		return repo.Password{}, err
	}
	if first != again {
		return repo.Password{}, errors.New("the two passwords differ")
	}
	return repo.NewPassword(first), nil
}
