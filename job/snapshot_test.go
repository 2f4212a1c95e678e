package job

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/config"
	"roost/repo"
)

func TestFind(t *testing.T) {
	w := newWorld(t)
	first, second := w.backup("alice"), w.backup("alice")
	find := func(spec string, at time.Time) (repo.ID, error) {
		sn, err := w.repo.Find(t.Context(), spec, at)
		if err != nil {
			return repo.ID{}, err
		}
		return sn.ID, nil
	}
	if got, err := find("latest", time.Time{}); got != second.ID || err != nil {
		t.Errorf("latest of one account = %v, %v, want %v", got, err, second.ID)
	}
	third := w.backup("bob: the builder")
	tests := []struct {
		name, spec string
		at         time.Time
		want       repo.ID
		wantErr    error
	}{
		{"latest of an account", "latest:alice", time.Time{}, second.ID, nil},
		{"name with a colon", "latest:bob: the builder", time.Time{}, third.ID, nil},
		{"at a time", "latest:alice", first.Time.Add(time.Minute), first.ID, nil},
		{"at the very time", "latest:alice", first.Time, first.ID, nil},
		{"too early", "latest:alice", first.Time.Add(-time.Minute), repo.ID{}, repo.ErrNoSnapshot},
		{"latest of two accounts", "latest", time.Time{}, repo.ID{}, ErrWhichSnapshot},
		{"unknown account", "latest:carol", time.Time{}, repo.ID{}, repo.ErrNoSnapshot},
		{"beginning of an ID", first.ID.String()[:12], time.Time{}, first.ID, nil},
		{"no ID", "xyz", time.Time{}, repo.ID{}, repo.ErrNoSnapshot},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := find(tt.spec, tt.at)
			if got != tt.want || !errors.Is(err, tt.wantErr) {
				t.Errorf("Find(%q, %v) = %v, %v, want %v, %v", tt.spec, tt.at, got, err, tt.want, tt.wantErr)
			}
		})
	}
	latest, err := w.repo.Latest(t.Context())
	if err != nil || len(latest) != 2 || latest[0].ID != second.ID || latest[1].ID != third.ID {
		t.Errorf("Latest = %v, %v", latest, err)
	}
}

// Heads are newest first, with the names of accounts, also of those that make no file name.
func TestHeads(t *testing.T) {
	w := newWorld(t)
	first, second, third := w.backup("alice"), w.backup("bob: the builder"), w.backup("alice")
	want := []Head{
		{third.ID, third.Time, "alice"}, {second.ID, second.Time, "bob: the builder"}, {first.ID, first.Time, "alice"},
	}
	got, err := w.repo.Heads(t.Context())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("Heads: %v (-want +got):\n%s", err, diff)
	}
}

// With nothing configured the default repository is made once, with a key file
// closed to others; what the user named is never made by the way.
func TestOpenOrMake(t *testing.T) {
	env := environment(t, "")
	r, err := env.OpenOrMake(t.Context())
	if err != nil || !r.Made || r.KeyFile == "" {
		t.Fatalf("OpenOrMake = %+v, %v", r, err)
	}
	if info, err := os.Stat(r.KeyFile); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("key file: %v, %v", info, err)
	}
	again, err := env.OpenOrMake(t.Context())
	if err != nil || again.Made || again.ID() != r.ID() {
		t.Errorf("OpenOrMake again = %+v, %v", again, err)
	}
	if _, err := env.MakeRepository(t.Context()); !errors.Is(err, repo.ErrExists) {
		t.Errorf("MakeRepository again = %v, want ErrExists", err)
	}

	named := environment(t, "[repository]\nlocation = \""+t.TempDir()+"\"\npassword_env = \"PW\"\n")
	named.Ask = config.Asker{Getenv: func(string) string { return " s3cret " }}
	if _, err := named.OpenOrMake(t.Context()); !errors.Is(err, repo.ErrNoRepository) {
		t.Errorf("OpenOrMake of a named repository = %v, want ErrNoRepository", err)
	}
	if _, err := named.MakeRepository(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := named.OpenRepository(t.Context()); err != nil {
		t.Errorf("OpenRepository = %v", err)
	}
	named.Ask.Getenv = func(string) string { return "s3cret" } // blanks at the ends count, as for restic
	if _, err := named.OpenRepository(t.Context()); !errors.Is(err, repo.ErrWrongPassword) {
		t.Errorf("OpenRepository without the blanks = %v", err)
	}
	named.Ask.Getenv = func(string) string { return "other" }
	if _, err := named.OpenRepository(t.Context()); !errors.Is(err, repo.ErrWrongPassword) {
		t.Errorf("OpenRepository with a wrong password = %v", err)
	}
}

// A location that we do not reach, or that is none, is a mistake of the configuration with a hint, and shows no password.
func TestBadLocations(t *testing.T) {
	for _, where := range []string{"b2:bucket:s3cret", "s3:https://key:s3cret@host/bucket", "rest:ftp://u:s3cret@host", "rest:https://u:s3cr%zzet@h/"} {
		env := environment(t, "[repository]\nlocation = \""+where+"\"\n")
		_, err := env.OpenRepository(t.Context())
		var e *config.Error
		if !errors.As(err, &e) || e.Hint == "" || strings.Contains(err.Error(), "s3c") {
			t.Errorf("OpenRepository of a bad location = %v", err)
		}
	}
}
