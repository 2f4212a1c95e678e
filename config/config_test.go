package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// world is an environment with a home and a system directory.
type world struct {
	t            *testing.T
	home, system string
	env          map[string]string
}

func newWorld(t *testing.T) *world {
	dir := t.TempDir()
	w := &world{t: t, home: filepath.Join(dir, "home"), system: filepath.Join(dir, "etc"), env: map[string]string{}}
	w.env["HOME"] = w.home
	return w
}

func (w *world) write(file, text string) {
	w.t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) load() (*Config, error) {
	return Load(Options{Getenv: func(k string) string { return w.env[k] }, System: w.system})
}

// Flag beats environment beats the user's file beats the system's beats the
// default, key by key, and each value knows where it came from.
func TestPrecedence(t *testing.T) {
	w := newWorld(t)
	system, drop := filepath.Join(w.system, "config.toml"), filepath.Join(w.system, "conf.d", "10-more.toml")
	user := filepath.Join(w.home, ".config", "roost", "config.toml")
	w.write(system, "[repository]\nlocation = \"/srv/a\"\n[backup]\nworkers = 3\nhost = \"old\"\nexclude = [\"x\", \"y\"]\n"+
		"[account.alice]\nstore = \"maildir:/a\"\ntags = [\"staff\"]\n")
	w.write(drop, "[backup]\nhost = \"new\"\n")
	w.write(user, "[backup]\nexclude = ['\\Junk']\n[account.alice]\nconnections = 2\n[account.\"bob@example.com\"]\nstore = \"eml:/b\"\n")
	w.env["ROOST_WORKERS"] = "7"
	w.env["RESTIC_REPOSITORY"] = "/srv/env"
	c, err := w.load()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Set("backup.connections", "9", "--connections"); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, v := range c.Values() {
		if v.Origin.Kind != Default {
			got[v.Key] = v.Text + " # " + v.Origin.String()
		}
	}
	want := map[string]string{
		"repository.location":             `'/srv/env' # environment RESTIC_REPOSITORY`,
		"backup.workers":                  `7 # environment ROOST_WORKERS`,
		"backup.connections":              `9 # flag --connections`,
		"backup.host":                     `'new' # file ` + drop,
		"backup.exclude":                  `['\Junk'] # file ` + user,
		"account.alice.store":             `'maildir:/a' # file ` + system,
		"account.alice.tags":              `['staff'] # file ` + system,
		"account.alice.connections":       `2 # file ` + user,
		`account.'bob@example.com'.store`: `'eml:/b' # file ` + user,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{system, drop, user}, c.Files()); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// Where the password comes from is replaced as a whole: a file in the
// configuration and a command in the environment are no conflict.
func TestSecretFromEnvironment(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		want Secret
	}{
		{"none", nil, Secret{File: "/etc/key"}},
		{"file", map[string]string{"RESTIC_PASSWORD_FILE": "/k"}, Secret{File: "/k"}},
		{"command", map[string]string{"ROOST_PASSWORD_COMMAND": `pass show "my mail" 'a\b'`}, Secret{Command: []string{"pass", "show", "my mail", `a\b`}}},
		{"password", map[string]string{"RESTIC_PASSWORD": "s3cret"}, Secret{Env: "RESTIC_PASSWORD"}},
		{"a file before the password, as restic does", map[string]string{"RESTIC_PASSWORD": "s3cret", "RESTIC_PASSWORD_FILE": "/k"}, Secret{File: "/k"}},
		{"a command before the password", map[string]string{"RESTIC_PASSWORD": "s3cret", "RESTIC_PASSWORD_COMMAND": "pass"}, Secret{Command: []string{"pass"}}},
		{"ours first", map[string]string{"RESTIC_PASSWORD": "s3cret", "ROOST_PASSWORD_FILE": "/k"}, Secret{File: "/k"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.write(filepath.Join(w.system, "config.toml"), "[repository]\npassword_file = \"/etc/key\"\n")
			for k, v := range tt.env {
				w.env[k] = v
			}
			c, err := w.load()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, c.Repository.Secret); diff != "" {
				t.Errorf("secret (-want +got):\n%s", diff)
			}
			for _, v := range c.Values() {
				if strings.Contains(v.Text, "s3cret") {
					t.Errorf("%s shows the password: %s", v.Key, v.Text)
				}
			}
		})
	}
}

func TestMistakes(t *testing.T) {
	tests := []struct{ name, text, want, hint string }{
		{"unknown key", "[backup]\nworkes = 3\n", ":2:1: backup.workes: unknown key", `did you mean "workers"?`},
		{"unknown key of an account", "[account.a]\nstore = \"memory:\"\n  exlude = [\"x\"]\n", ":3:3: account.a.exlude: unknown key", `did you mean "exclude"?`},
		{"unknown table", "[repositry]\nlocation = \"x\"\n", ":1:2: repositry: unknown key", `did you mean "repository"?`},
		{"password in the file", "[account.a]\nstore = \"memory:\"\npassword = \"hunter2\"\n", "unknown key", "password_file"},
		{"wrong type", "[backup]\nworkers = \"many\"\n", "wrong type", "quotes"},
		{"no TOML", "[backup\n", ":1:8:", ""},
		{"twice", "[backup]\nhost = 'a'\nhost = 'b'\n", "host", ""},
		{"no store", "[account.a]\ntags = []\n", `account.a: it has no "store"`, ""},
		{"password in the URL", "[account.a]\nstore = \"imaps://a:hunter2@example.com\"\n", "account.a.store: the URL holds a password", ""},
		{"two sources", "[repository]\npassword_env = 'A'\npassword_prompt = true\n", "repository: more than one source of a password is set: environment A, prompt", ""},
		{"too many workers", "[backup]\nworkers = 65\n", "backup.workers: 65 is not between 1 and 64", ""},
		{"account name", "[account.\" a\"]\nstore = 'memory:'\n", "has spaces at an end", ""},
		{"credential", "[repository]\npassword_credential = '../../etc/shadow'\n", "is no plain name", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.write(filepath.Join(w.system, "config.toml"), tt.text)
			_, err := w.load()
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("Load = %v, want an *Error", err)
			}
			if !strings.Contains(err.Error(), tt.want) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("Load = %v (hint %q), want %q (hint %q)", err, e.Hint, tt.want, tt.hint)
			}
			if strings.Contains(err.Error()+e.Hint, "hunter2") {
				t.Errorf("the error shows a password: %v", err)
			}
		})
	}
}

func TestNamedFileMustExist(t *testing.T) {
	w := newWorld(t)
	w.env["ROOST_CONFIG"] = filepath.Join(w.home, "none.toml")
	if _, err := w.load(); err == nil || !strings.Contains(err.Error(), "none.toml") {
		t.Errorf("Load = %v, want an error about none.toml", err)
	}
}

// Each key that a file may hold is also shown, and found in the environment
// table; a new field cannot be forgotten.
func TestSettingsAreComplete(t *testing.T) {
	tagsOf := func(types ...any) (tags []string) {
		for _, v := range types {
			typ := reflect.TypeOf(v)
			for i := range typ.NumField() {
				if tag := typ.Field(i).Tag.Get("toml"); tag != "" && tag != "-" {
					tags = append(tags, tag)
				}
			}
		}
		return tags
	}
	var got []string
	for _, s := range new(Config).settings() {
		_, last, _ := strings.Cut(s.key, ".")
		got = append(got, last)
	}
	for _, want := range tagsOf(Server{}, Secret{}) {
		if !contains(got, "server."+want) {
			t.Errorf("key %q of the server is in no setting", want)
		}
	}
	for _, want := range tagsOf(Repository{}, Backup{}, Secret{}, Selection{}) {
		if want != "server" && !contains(got, want) {
			t.Errorf("key %q is in no setting", want)
		}
	}
	account := keysOf(new(Account).settings("", ""))
	for _, want := range tagsOf(Account{}, Secret{}, Selection{}) {
		if !contains(account, want) {
			t.Errorf("key %q of an account is in no setting", want)
		}
	}
}

func TestEncodeAccount(t *testing.T) {
	a := &Account{Name: "bob@example.com", Store: "imaps://bob@mail.example.com", Secret: Secret{Command: []string{"pass", "a \"b\""}}, Selection: Selection{Exclude: []string{`\Junk`}}}
	w := newWorld(t)
	w.write(filepath.Join(w.system, "config.toml"), a.Encode())
	c, err := w.load()
	if err != nil {
		t.Fatalf("read back:\n%s%v", a.Encode(), err)
	}
	if diff := cmp.Diff(a, c.Account[a.Name]); diff != "" {
		t.Errorf("account read back (-want +got):\n%s", diff)
	}
}

func TestSelectionOver(t *testing.T) {
	general := Selection{Exclude: []string{`\Junk`}, Since: "2026", MaxSize: "25M", NoChildren: true}
	got := Selection{Since: "2025", Folders: []string{"a"}}.Over(general)
	want := Selection{Since: "2025", Folders: []string{"a"}, Exclude: []string{`\Junk`}, MaxSize: "25M", NoChildren: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Over (-want +got):\n%s", diff)
	}
}

func TestHasPassword(t *testing.T) {
	for url, want := range map[string]bool{
		"imaps://alice@example.com": false, "imaps://alice:x@example.com/": true, "imap://[::1]:143": false,
		"maildir:/var/mail/a:b@c": false, "imaps://al%zz:x@example.com": true, "imaps://alice%40example.com@mail.example.com?ca=/a:b": false,
	} {
		if got := HasPassword(url); got != want {
			t.Errorf("HasPassword(%q) = %v, want %v", url, got, want)
		}
	}
}

// Any text is read or refused with a place, and what an account is written as
// is read back.
func FuzzDecode(f *testing.F) {
	f.Add("[account.a]\nstore = \"memory:\"\n")
	f.Add("[backup]\nworkers = 3\nexclude = [\"\\u00e9\"]\n")
	f.Add("account = 3\n[[backup]]\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := &Config{origins: map[string]Origin{}}
		if err := c.decode("f", []byte(text)); err != nil {
			return
		}
		for name, a := range c.Account {
			if a == nil {
				continue
			}
			a.Name = name
			back := &Config{origins: map[string]Origin{}}
			if err := back.decode("g", []byte(a.Encode())); err != nil {
				t.Fatalf("account %q written as %q: %v", name, a.Encode(), err)
			}
		}
	})
}

func contains(list []string, one string) bool {
	for _, s := range list {
		if s == one {
			return true
		}
	}
	return false
}
