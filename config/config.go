package config

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// Config is the whole configuration.
type Config struct {
	Repository Repository          `toml:"repository"`
	Backup     Backup              `toml:"backup"`
	Account    map[string]*Account `toml:"account"`

	origins map[string]Origin // of each key that is set, by its dotted name
	notes   []string
	files   []string
}

// Repository says where snapshots are kept.
type Repository struct {
	Location string `toml:"location"` // as restic writes it; "": the default directory, see Paths
	Secret          // the password; none: the key file beside the configuration, if the location is the default one
	Server   Server `toml:"server"`

	Connections   int      `toml:"connections"`     // calls to a server at a time; 0: five
	LimitUpload   int      `toml:"limit_upload"`    // KiB a second; 0: as fast as it goes
	LimitDownload int      `toml:"limit_download"`  // likewise
	CACert        string   `toml:"cacert"`          // a file of authorities, in PEM; "": the system's
	InsecureTLS   bool     `toml:"insecure_tls"`    // take any certificate
	ClientCert    string   `toml:"tls_client_cert"` // a file of our certificate and its key, in PEM
	SFTPCommand   []string `toml:"sftp_command"`    // speaks SFTP on its standard input and output; empty: ssh
}

// Server is who we are at the server that keeps the repository; without it, restic's variables of the environment say so.
type Server struct {
	User   string `toml:"user"` // REST: of HTTP Basic; S3: the access key's ID
	Secret        // REST: the password; S3: the secret access key
}

// Backup is what holds for every account that does not say otherwise.
type Backup struct {
	Workers       int    `toml:"workers"`           // accounts at a time
	Connections   int    `toml:"connections"`       // connections, or readers, for each account
	Host          string `toml:"host"`              // recorded in snapshots; "": this machine's name
	FullEvery     string `toml:"full_every"`        // list mailboxes in full that often, "30d"; "": never by itself
	MaxShrink     string `toml:"max_shrink"`        // refuse an account that shrank more, "50%" or "1000"; "": 50%
	SkipUnchanged bool   `toml:"skip_if_unchanged"` // write no snapshot that holds nothing new
	Selection
}

// Account is one place that mail is read from.
type Account struct {
	Name        string   `toml:"-"`
	Store       string   `toml:"store"` // its URL, without a secret
	Tags        []string `toml:"tags"`
	Connections int      `toml:"connections"` // 0: as for Backup
	FullEvery   string   `toml:"full_every"`  // "": as for Backup
	MaxShrink   string   `toml:"max_shrink"`  // "": as for Backup
	Secret
	Selection
}

// Selection is what the file says of which messages are meant, unparsed,
// because "36 hours ago" means something only at run time.
type Selection struct {
	Folders         []string `toml:"folders"`
	Exclude         []string `toml:"exclude"`
	NoChildren      bool     `toml:"no_children"`
	Since           string   `toml:"since"`
	Before          string   `toml:"before"`
	Date            string   `toml:"date"`     // "internal" or "header"
	MaxSize         string   `toml:"max_size"` // "25M"
	SkipAttachments bool     `toml:"skip_attachments"`
}

// Over is s with what is not set in it taken from below.
func (s Selection) Over(below Selection) Selection {
	if len(s.Folders) == 0 {
		s.Folders = below.Folders
	}
	if len(s.Exclude) == 0 {
		s.Exclude = below.Exclude
	}
	s.NoChildren = s.NoChildren || below.NoChildren
	s.SkipAttachments = s.SkipAttachments || below.SkipAttachments
	for _, f := range []struct {
		to   *string
		from string
	}{{&s.Since, below.Since}, {&s.Before, below.Before}, {&s.Date, below.Date}, {&s.MaxSize, below.MaxSize}} {
		if *f.to == "" {
			*f.to = f.from
		}
	}
	return s
}

// Accounts are the accounts in the order of their names.
func (c *Config) Accounts() []*Account {
	var all []*Account
	for _, name := range slices.Sorted(maps.Keys(c.Account)) {
		all = append(all, c.Account[name])
	}
	return all
}

// Notes are what the user should know and no error, such as a file of secrets
// that others can read.
func (c *Config) Notes() []string { return c.notes }

// Files are the files that were read, in their order.
func (c *Config) Files() []string { return c.files }

// Check holds what is set against what makes sense. Load does; after Set it is
// worth doing again.
func (c *Config) Check() error {
	if c.Backup.Workers < 1 || c.Backup.Workers > maxWorkers {
		return c.invalid("backup.workers", fmt.Sprintf("%d is not between 1 and %d", c.Backup.Workers, maxWorkers))
	}
	if c.Backup.Connections < 1 || c.Backup.Connections > maxWorkers {
		return c.invalid("backup.connections", fmt.Sprintf("%d is not between 1 and %d", c.Backup.Connections, maxWorkers))
	}
	if err := c.Repository.check(); err != nil {
		return c.invalid("repository", err.Error())
	}
	for _, a := range c.Accounts() {
		key := "account." + quoteKey(a.Name)
		switch {
		case CheckAccountName(a.Name) != nil:
			return c.invalid(key, CheckAccountName(a.Name).Error())
		case a.Store == "":
			return c.invalid(key, `it has no "store"`)
		case HasPassword(a.Store):
			return c.invalid(key+".store", "the URL holds a password; use password_file or password_command")
		case a.Connections < 0 || a.Connections > maxWorkers:
			return c.invalid(key+".connections", fmt.Sprintf("%d is not between 0 and %d", a.Connections, maxWorkers))
		}
		if err := a.Secret.check(); err != nil {
			return c.invalid(key, err.Error())
		}
	}
	return nil
}

func (r *Repository) check() error {
	switch {
	case r.Connections < 0 || r.Connections > maxWorkers:
		return fmt.Errorf("connections: %d is not between 0 and %d", r.Connections, maxWorkers)
	case r.LimitUpload < 0 || r.LimitDownload < 0:
		return errors.New("limit_upload and limit_download are not below 0")
	}
	if err := r.Server.Secret.check(); err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return r.Secret.check()
}

// maxWorkers bounds workers and connections; more would only be refused by servers.
const maxWorkers = 64

// CheckAccountName refuses a name that could not be written in "latest:NAME",
// in a list of one name a line, or in a report.
func CheckAccountName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("empty account name")
	case name != strings.TrimSpace(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("account name %q has spaces at an end or control characters", name)
	}
	return nil
}

// HasPassword reports whether the URL of a store holds a password, which would
// then stand in process lists, logs and snapshots.
func HasPassword(store string) bool {
	_, rest, ok := strings.Cut(store, "://")
	if !ok {
		return false
	}
	if u, err := url.Parse(store); err == nil {
		_, has := u.User.Password()
		return has
	}
	authority, _, _ := strings.Cut(rest, "/")
	user, _, at := strings.Cut(authority, "@")
	return at && strings.Contains(user, ":")
}

func (c *Config) invalid(key, reason string) error {
	e := &Error{Key: key, Reason: reason}
	if o, ok := c.origins[key]; ok {
		e.File = o.Name
	}
	return e
}
