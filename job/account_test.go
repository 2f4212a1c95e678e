package job

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/backup"
	"roost/config"
	"roost/query"
)

const accounts = `
[backup]
exclude = ['\Junk']
connections = 3
full_every = "30d"
[account.alice]
store = "memory:"
full_every = "4w"
tags = ["staff"]
[account.amy]
store = "memory:"
connections = 7
exclude = ["Old"]
[account.bob]
store = "imaps://bob@mail.example.com"
password_env = "BOB"
`

// environment loads a configuration in a home of its own.
func environment(t *testing.T, text string) *Env {
	t.Helper()
	home := t.TempDir()
	file := filepath.Join(home, "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"HOME": home, "ROOST_CONFIG": file}[name] }
	cfg, err := config.Load(config.Options{Getenv: getenv})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	return &Env{Config: cfg, Paths: config.PathsOf(getenv), Program: "roost test",
		Now: func() time.Time { now = now.Add(time.Second); return now }}
}

func TestAccounts(t *testing.T) {
	tests := []struct {
		name   string
		choice Choice
		want   string // names and stores
	}{
		{"all", Choice{All: true}, "alice memory:, amy memory:, bob imaps://bob@mail.example.com"},
		{"mask", Choice{Names: []string{"a*"}}, "alice memory:, amy memory:"},
		{"each once", Choice{Names: []string{"amy", "a?y"}}, "amy memory:"},
		{"a hash in a path", Choice{List: strings.NewReader("carol maildir:/acc/an#ton #guest\n")}, "carol maildir:/acc/an#ton"},
		{"list", Choice{List: strings.NewReader("# staff\nbob\n\ncarol eml:/c # guest\n")}, "bob imaps://bob@mail.example.com, carol eml:/c"},
		{"one store", Choice{From: "maildir:/m", Names: []string{"dave"}}, "dave maildir:/m"},
		{"name from the URL", Choice{From: "imaps://eve%40example.com@host"}, "eve@example.com imaps://eve%40example.com@host"},
		{"many of one server", Choice{From: "imaps://host?master=admin", Names: []string{"x@y", "z"}}, "x@y imaps://x%40y@host?master=admin, z imaps://z@host?master=admin"},
		{"many in one tree", Choice{From: "maildir:/m/{user}", List: strings.NewReader("x\ny\n")}, "x maildir:/m/x, y maildir:/m/y"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all, err := environment(t, accounts).Accounts(tt.choice)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range all {
				got = append(got, a.Name+" "+a.Store)
			}
			if diff := cmp.Diff(tt.want, strings.Join(got, ", ")); diff != "" {
				t.Errorf("Accounts (-want +got):\n%s", diff)
			}
		})
	}
}

// What the command line says of a selection wins over the account, and that
// over what holds for all.
func TestAccountSettings(t *testing.T) {
	env := environment(t, accounts)
	all, err := env.Accounts(Choice{Names: []string{"a*"}, Tags: []string{"extra"}, Selection: config.Selection{Since: "a day ago", MaxSize: "1M"}})
	if err != nil {
		t.Fatal(err)
	}
	since := all[0].Selection.Since
	if since.Format(time.DateOnly) != "2026-03-09" {
		t.Errorf("since %v, want a day before the run", since)
	}
	want := []Account{
		{Name: "alice", Store: "memory:", Tags: []string{"staff", "extra"}, Connections: 3, FullEvery: 28 * 24 * time.Hour, Selection: query.Selection{Exclude: []string{`\Junk`}, Since: since, MaxSize: 1 << 20}},
		{Name: "amy", Store: "memory:", Tags: []string{"extra"}, Connections: 7, FullEvery: 30 * 24 * time.Hour, Selection: query.Selection{Exclude: []string{"Old"}, Since: all[1].Selection.Since, MaxSize: 1 << 20}},
	}
	if diff := cmp.Diff(want, all, cmp.AllowUnexported(backup.MaxShrink{})); diff != "" {
		t.Errorf("Accounts (-want +got):\n%s", diff)
	}
}

// How often is a number of days or weeks, and nothing else.
func TestParseEvery(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 0, "1d": 24 * time.Hour, "2w": 14 * 24 * time.Hour} {
		if got, err := parseEvery(text); got != want || err != nil {
			t.Errorf("parseEvery(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"d", "30", "0d", "-1d", "1.5d", "30 d", "30h", "99999w", "d30"} {
		if got, err := parseEvery(text); err == nil {
			t.Errorf("parseEvery(%q) = %v", text, got)
		}
	}
}

// Each mistake in the choice of accounts is one of usage.
func TestAccountsRefuses(t *testing.T) {
	for name, c := range map[string]Choice{
		"nothing chosen":        {},
		"unknown name":          {Names: []string{"zoe"}},
		"bad mask":              {Names: []string{"[a"}},
		"list with unknown":     {List: strings.NewReader("zoe\n")},
		"list with one twice":   {List: strings.NewReader("bob\ncarol eml:/c\nbob\n")},
		"list with three words": {List: strings.NewReader("a b c\n")},
		"store without a name":  {From: "maildir:/m"},
		"no store":              {From: "nonsense", Names: []string{"x"}},
		"two names, one store":  {From: "maildir:/m", Names: []string{"x", "y"}},
		"bad period":            {All: true, Selection: config.Selection{Since: "whenever"}},
		"bad name":              {From: "maildir:/m", Names: []string{"x\n"}},
	} {
		_, err := environment(t, accounts).Accounts(c)
		var e *config.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: Accounts = %v, want a *config.Error", name, err)
		}
	}
}
