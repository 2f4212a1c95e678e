package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"roost/config"
	"roost/repo"
)

// NewPassword reads the password of a key that is to be made; without a source it is asked for, twice.
func (e *Env) NewPassword(ctx context.Context, s config.Secret) (repo.Password, error) {
	if s.IsZero() {
		s.Prompt = true
	}
	const label = "the new key"
	text, err := s.Read(ctx, label, e.Ask)
	if err != nil {
		return repo.Password{}, err
	}
	if s.IsStored() {
		text = strings.TrimSpace(text) // as restic does
	}
	if s.Prompt {
		again, err := s.Read(ctx, label+" again", e.Ask)
		if err != nil {
			return repo.Password{}, err
		}
		if text != again {
			return repo.Password{}, errors.New("the two passwords differ")
		}
	}
	return repo.NewPassword(text), nil
}

// ChangeKeyFile puts a new random key in the place of the generated one: in the repository first, then in the file, and then the old one is removed.
func (r *Repository) ChangeKeyFile(ctx context.Context) (repo.ID, error) {
	next := r.KeyFile + ".new"
	made, err := config.MakeKeyFile(next)
	if err != nil {
		return repo.ID{}, err
	}
	if !made {
		return repo.ID{}, fmt.Errorf("change key file: %s is there, from a run that was cut short; if %s opens the repository, remove it", next, r.KeyFile)
	}
	text, err := os.ReadFile(next)
	if err != nil {
		return repo.ID{}, err
	}
	id, err := r.ChangePassword(ctx, repo.NewPassword(strings.TrimSpace(string(text))), repo.KeyOptions{KDF: repo.CheapKDF},
		func() error { return os.Rename(next, r.KeyFile) })
	if err != nil && !errors.Is(err, repo.ErrOldKeyStays) {
		os.Remove(next)
	}
	return id, err
}
