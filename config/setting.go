package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Origin says where the value of a key comes from.
type Origin struct {
	Kind OriginKind
	Name string // the file, or the environment variable, or the flag
}

// OriginKind orders the origins by what they win over.
type OriginKind string

// The kinds of origins.
const (
	Default OriginKind = "default"
	File    OriginKind = "file"
	Env     OriginKind = "environment"
	Flag    OriginKind = "flag"
)

func (o Origin) String() string {
	if o.Name == "" {
		return string(o.Kind)
	}
	return string(o.Kind) + " " + o.Name
}

// setting is one key: its dotted name, the environment variables that set it,
// first wins, and where its value stands.
type setting struct {
	key string
	env []string
	at  any // *string, *int, *bool or *[]string
}

// settings are the keys outside accounts. ROOST_<KEY> sets each; what restic
// calls by another name is honoured too.
func (c *Config) settings() []setting {
	all := []setting{{"repository.location", []string{"ROOST_REPOSITORY", "RESTIC_REPOSITORY"}, &c.Repository.Location}}
	all = append(all, c.Repository.Secret.settings("repository.", "ROOST_")...)
	all = append(all, setting{"repository.server.user", []string{"ROOST_SERVER_USER"}, &c.Repository.Server.User})
	all = append(all, c.Repository.Server.Secret.settings("repository.server.", "")...)
	all = append(all,
		setting{"repository.connections", []string{"ROOST_REPOSITORY_CONNECTIONS"}, &c.Repository.Connections},
		setting{"repository.limit_upload", []string{"ROOST_LIMIT_UPLOAD"}, &c.Repository.LimitUpload},
		setting{"repository.limit_download", []string{"ROOST_LIMIT_DOWNLOAD"}, &c.Repository.LimitDownload},
		setting{"repository.cacert", []string{"ROOST_CACERT", "RESTIC_CACERT"}, &c.Repository.CACert},
		setting{"repository.insecure_tls", []string{"ROOST_INSECURE_TLS"}, &c.Repository.InsecureTLS},
		setting{"repository.tls_client_cert", []string{"ROOST_TLS_CLIENT_CERT", "RESTIC_TLS_CLIENT_CERT"}, &c.Repository.ClientCert},
		setting{"repository.sftp_command", []string{"ROOST_SFTP_COMMAND"}, &c.Repository.SFTPCommand},
		setting{"backup.workers", []string{"ROOST_WORKERS"}, &c.Backup.Workers},
		setting{"backup.connections", []string{"ROOST_CONNECTIONS"}, &c.Backup.Connections},
		setting{"backup.host", []string{"ROOST_HOST", "RESTIC_HOST"}, &c.Backup.Host},
		setting{"backup.full_every", []string{"ROOST_FULL_EVERY"}, &c.Backup.FullEvery},
		setting{"backup.max_shrink", []string{"ROOST_MAX_SHRINK"}, &c.Backup.MaxShrink},
		setting{"backup.skip_if_unchanged", []string{"ROOST_SKIP_IF_UNCHANGED"}, &c.Backup.SkipUnchanged})
	return append(all, c.Backup.Selection.settings("backup.", "ROOST_")...)
}

// settings are the keys of one account; prefix stands before each.
func (a *Account) settings(prefix, env string) []setting {
	all := []setting{
		{prefix + "store", nil, &a.Store},
		{prefix + "tags", nil, &a.Tags},
		{prefix + "connections", nil, &a.Connections},
		{prefix + "full_every", nil, &a.FullEvery},
		{prefix + "max_shrink", nil, &a.MaxShrink},
	}
	all = append(all, a.Secret.settings(prefix, env)...)
	return append(all, a.Selection.settings(prefix, env)...)
}

func (s *Selection) settings(prefix, env string) []setting {
	return []setting{
		{prefix + "folders", named(env, "FOLDERS"), &s.Folders},
		{prefix + "exclude", named(env, "EXCLUDE"), &s.Exclude},
		{prefix + "no_children", named(env, "NO_CHILDREN"), &s.NoChildren},
		{prefix + "since", named(env, "SINCE"), &s.Since},
		{prefix + "before", named(env, "BEFORE"), &s.Before},
		{prefix + "date", named(env, "DATE"), &s.Date},
		{prefix + "max_size", named(env, "MAX_SIZE"), &s.MaxSize},
		{prefix + "skip_attachments", named(env, "SKIP_ATTACHMENTS"), &s.SkipAttachments},
	}
}

func (s *Secret) settings(prefix, env string) []setting {
	return []setting{
		{prefix + "password_file", nil, &s.File},
		{prefix + "password_command", nil, &s.Command},
		{prefix + "password_env", nil, &s.Env},
		{prefix + "password_credential", nil, &s.Credential},
		{prefix + "password_prompt", nil, &s.Prompt},
	}
}

func named(prefix, name string) []string {
	if prefix == "" {
		return nil
	}
	return []string{prefix + name}
}

// readEnv lays the environment over the files. What says where the
// repository's password is wins as a whole: it does not mix with a file's. A
// command wins over a file, and that over the password itself, as with restic.
func (c *Config) readEnv(getenv func(string) string) error {
	for _, s := range c.settings() {
		for _, name := range s.env {
			text := getenv(name)
			if text == "" {
				continue
			}
			if err := s.set(text); err != nil {
				return &Error{File: name, Key: s.key, Reason: err.Error()}
			}
			c.origins[s.key] = Origin{Kind: Env, Name: name}
			break
		}
	}
	for _, prefix := range []string{"ROOST_", "RESTIC_"} {
		secret, key, name := Secret{}, "", ""
		switch {
		case getenv(prefix+"PASSWORD_COMMAND") != "":
			key, name = "password_command", prefix+"PASSWORD_COMMAND"
			if getenv(prefix+"PASSWORD_FILE") != "" {
				return &Error{File: name, Reason: prefix + "PASSWORD_FILE is set too; they exclude each other"}
			}
			words, err := SplitCommand(getenv(name))
			if err != nil {
				return &Error{File: name, Reason: err.Error()}
			}
			secret.Command = words
		case getenv(prefix+"PASSWORD_FILE") != "":
			key, name = "password_file", prefix+"PASSWORD_FILE"
			secret.File = getenv(name)
		case getenv(prefix+"PASSWORD") != "":
			key, name = "password_env", prefix+"PASSWORD"
			secret.Env = name
		default:
			continue
		}
		for _, s := range c.Repository.Secret.settings("repository.", "") {
			c.origins[s.key] = Origin{Kind: Default}
		}
		c.Repository.Secret = secret
		c.origins["repository."+key] = Origin{Kind: Env, Name: name}
		return nil
	}
	return nil
}

// Set lays the value of a flag over everything else.
func (c *Config) Set(key, text, flag string) error {
	for _, s := range c.settings() {
		if s.key != key {
			continue
		}
		if strings.HasPrefix(key, "repository.password_") {
			for _, other := range c.Repository.Secret.settings("repository.", "") {
				c.origins[other.key] = Origin{Kind: Default}
			}
			c.Repository.Secret = Secret{}
		}
		if err := s.set(text); err != nil {
			return &Error{File: flag, Reason: err.Error()}
		}
		c.origins[key] = Origin{Kind: Flag, Name: flag}
		return nil
	}
	return fmt.Errorf("no setting %q", key)
}

// set reads text as an environment variable or a flag holds it: lists are
// separated by commas, commands are words with shell quotes but no shell.
func (s setting) set(text string) error {
	switch at := s.at.(type) {
	case *string:
		*at = text
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is no number", text)
		}
		*at = n
	case *bool:
		on, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		*at = on
	case *[]string:
		if strings.HasSuffix(s.key, "_command") {
			words, err := SplitCommand(text)
			*at = words
			return err
		}
		*at = nil
		for one := range strings.SplitSeq(text, ",") {
			if one = strings.TrimSpace(one); one != "" {
				*at = append(*at, one)
			}
		}
	default:
		return fmt.Errorf("setting %s is of type %T", s.key, s.at)
	}
	return nil
}

// SplitCommand splits a command at blanks. Single and double quotes keep blanks,
// a backslash outside single quotes keeps what follows it. Nothing is expanded.
func SplitCommand(text string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord, quote, escaped := false, rune(0), false
	for _, r := range text {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			inWord, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			inWord, quote = true, r
		case r == ' ' || r == '\t' || r == '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			inWord = true
			word.WriteRune(r)
		}
	}
	if quote != 0 || escaped {
		return nil, fmt.Errorf("the command ends inside a quote or after a backslash")
	}
	if inWord {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("the command is empty")
	}
	return words, nil
}

func keysOf(all []setting) []string {
	var keys []string
	for _, s := range all {
		keys = append(keys, s.key)
	}
	return keys
}
