package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Options say where to look; the zero value is the usual places.
type Options struct {
	File   string              // read just this file; "": ROOST_CONFIG, else the usual ones
	Getenv func(string) string // the environment; nil: the process's
	System string              // the system-wide directory; "": /etc/roost
}

// maxFile bounds a configuration file, in octets.
const maxFile = 4 << 20

// Load reads files and environment. That no file exists is no error, unless it
// was asked for by name.
func Load(o Options) (*Config, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	c := &Config{origins: map[string]Origin{}}
	c.Backup.Workers, c.Backup.Connections = 2, 4
	for _, s := range c.settings() {
		c.origins[s.key] = Origin{Kind: Default}
	}
	files, err := o.files()
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if err := c.readFile(file); err != nil {
			return nil, err
		}
	}
	if err := c.readEnv(o.Getenv); err != nil {
		return nil, err
	}
	for name, a := range c.Account {
		if a == nil {
			return nil, c.invalid("account."+quoteKey(name), "it is no table")
		}
		a.Name = name
	}
	return c, c.Check()
}

// files lists the files to read, in order. Those not named by the user may be missing.
func (o Options) files() ([]string, error) {
	named := o.File
	if named == "" {
		named = o.Getenv("ROOST_CONFIG")
	}
	if named != "" {
		if _, err := os.Stat(named); err != nil {
			return nil, &Error{File: named, Reason: cause(err)}
		}
		return []string{named}, nil
	}
	system := o.System
	if system == "" {
		system = "/etc/roost"
	}
	var files []string
	for _, dir := range []string{system, PathsOf(o.Getenv).Config} {
		if dir == "" {
			continue
		}
		main := filepath.Join(dir, "config.toml")
		if _, err := os.Stat(main); err == nil {
			files = append(files, main)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, &Error{File: main, Reason: cause(err)}
		}
		more, err := os.ReadDir(filepath.Join(dir, "conf.d"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, &Error{File: filepath.Join(dir, "conf.d"), Reason: cause(err)}
		}
		for _, entry := range more { // sorted by name
			if !entry.IsDir() && strings.HasSuffix(entry.Name(), ".toml") && !strings.HasPrefix(entry.Name(), ".") {
				files = append(files, filepath.Join(dir, "conf.d", entry.Name()))
			}
		}
	}
	return files, nil
}

func (c *Config) readFile(file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return &Error{File: file, Reason: cause(err)}
	}
	if info.Size() > maxFile {
		return &Error{File: file, Reason: fmt.Sprintf("it is larger than %d octets", maxFile)}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return &Error{File: file, Reason: cause(err)}
	}
	if err := c.decode(file, text); err != nil {
		return err
	}
	c.files = append(c.files, file)
	return nil
}

// decode lays the keys of one file over c.
func (c *Config) decode(file string, text []byte) error {
	d := toml.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return c.decodeError(file, err)
	}
	var tree map[string]any
	if err := toml.Unmarshal(text, &tree); err != nil {
		return c.decodeError(file, err)
	}
	c.mark("", tree, Origin{Kind: File, Name: file})
	return nil
}

// mark notes the origin of each key in tree.
func (c *Config) mark(prefix string, tree map[string]any, from Origin) {
	for k, v := range tree {
		key := prefix + quoteKey(k)
		c.origins[key] = from
		if below, ok := v.(map[string]any); ok {
			c.mark(key+".", below, from)
		}
	}
}

func (c *Config) decodeError(file string, err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		first := &strict.Errors[0]
		e := &Error{File: file, Key: joinKey(first.Key()), Reason: "unknown key"}
		e.Row, e.Column = first.Position()
		e.Hint = hintForKey(first.Key())
		return e
	}
	var bad *toml.DecodeError
	if errors.As(err, &bad) {
		e := &Error{File: file, Key: joinKey(bad.Key()), Reason: strings.TrimPrefix(bad.Error(), "toml: ")}
		e.Row, e.Column = bad.Position()
		if strings.HasPrefix(e.Reason, "cannot decode") {
			e.Reason = "the value is of the wrong type"
			e.Hint = `texts stand in quotes, lists in brackets: folders = ["INBOX", "Archive"]`
		}
		return e
	}
	return &Error{File: file, Reason: strings.TrimPrefix(err.Error(), "toml: ")}
}

// hintForKey says what an unknown key was probably meant to be.
func hintForKey(key []string) string {
	last := key[len(key)-1]
	if slices.Contains([]string{"password", "secret", "pass", "passwd"}, last) {
		return "secrets do not stand in the configuration; use password_file, password_command, password_env, password_credential or password_prompt"
	}
	var known []string
	switch {
	case len(key) == 1:
		known = []string{"repository", "backup", "account"}
	case key[0] == "account":
		known = keysOf(new(Account).settings("", ""))
	default:
		for _, s := range new(Config).settings() {
			if rest, ok := strings.CutPrefix(s.key, key[0]+"."); ok {
				known = append(known, rest)
			}
		}
	}
	if near := nearest(last, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "known here are: " + strings.Join(known, ", ")
}

// cause is err without the name of the file, which stands before it anyway.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
