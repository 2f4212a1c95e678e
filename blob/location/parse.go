package location

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"strings"

	"roost/blob"
)

// Kind is the sort of place.
type Kind string

// The kinds, as locations begin.
const (
	Local Kind = "local"
	REST  Kind = "rest"
	SFTP  Kind = "sftp"
	S3    Kind = "s3"
)

// Location is where a repository is.
type Location struct {
	Kind Kind
	Dir  string // Local and SFTP: the directory; a relative one over SFTP begins at the user's home

	URL            *url.URL // REST and S3: without the user; for S3 without a path
	User, Password string   // REST: those that stood in the URL; SFTP: User
	Host, Port     string   // SFTP
	Bucket, Prefix string   // S3

	text string
}

// String returns the location as it was written, without a password.
func (l Location) String() string {
	if l.Kind == Local {
		return l.Dir
	}
	return blob.Redact(l.text)
}

// foreign matches the locations of restic that we do not reach.
var foreign = regexp.MustCompile(`^(b2|azure|gs|swift|rclone|https?):`)

// ErrUnsupported says that restic could reach the place, and we cannot.
var ErrUnsupported = errors.New("not supported")

// Parse reads a location. Its errors show nothing of it but what it begins with, because the rest may hold a password.
func Parse(text string) (Location, error) {
	l := Location{Kind: Local, text: text}
	kind, rest, found := strings.Cut(text, ":")
	if !found {
		l.Dir = text
		return l, nil
	}
	var err error
	switch Kind(kind) {
	case Local:
		l.Dir = rest
	case REST:
		err = l.parseREST(rest)
	case SFTP:
		err = l.parseSFTP(rest)
	case S3:
		err = l.parseS3(rest)
	default:
		if foreign.MatchString(text) {
			return l, fmt.Errorf("repositories over %q are %w", kind, ErrUnsupported)
		}
		l.Dir = text
	}
	if err != nil {
		return Location{}, fmt.Errorf("the location %s:... is none: %w", kind, err)
	}
	return l, nil
}

// parseURL is url.Parse without the text in its errors.
func parseURL(text string, schemes ...string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("it is no URL; in user and password, write %2F for a slash, %40 for @, %25 for a percent sign")
	}
	for _, scheme := range schemes {
		if u.Scheme != scheme {
			continue
		}
		if u.Hostname() == "" {
			return nil, errors.New("it names no host")
		}
		if u.RawQuery != "" || u.Fragment != "" {
			return nil, errors.New("a ? or # in it must be written %3F or %23")
		}
		return u, nil
	}
	return nil, fmt.Errorf("it must begin with %s://", strings.Join(schemes, ":// or "))
}

// parseREST reads "https://user:password@host:8000/path/".
func (l *Location) parseREST(rest string) error {
	u, err := parseURL(rest, "http", "https")
	if err != nil {
		return err
	}
	l.Kind, l.User = REST, u.User.Username()
	l.Password, _ = u.User.Password()
	u.User = nil
	if !strings.HasSuffix(u.Path, "/") {
		u = u.JoinPath("/")
	}
	l.URL = u
	return nil
}

// parseSFTP reads "user@host:path" and "//user@host:port/path", in which an absolute path has two slashes.
func (l *Location) parseSFTP(rest string) error {
	l.Kind = SFTP
	if strings.HasPrefix(rest, "//") {
		u, err := parseURL("sftp:"+rest, "sftp")
		if err != nil {
			return err
		}
		if _, has := u.User.Password(); has {
			return errors.New("ssh takes no password from a location; use a key")
		}
		l.User, l.Host, l.Port, l.Dir = u.User.Username(), u.Hostname(), u.Port(), strings.TrimPrefix(u.Path, "/")
	} else {
		who, dir, found := strings.Cut(rest, ":")
		if !found {
			return errors.New("it is written user@host:path or //user@host:port//path")
		}
		l.Host, l.Dir = who, dir
		if at := strings.LastIndex(who, "@"); at >= 0 {
			l.User, l.Host = who[:at], who[at+1:]
		} else if strings.Contains(dir, "@") {
			return errors.New("ssh takes no password from a location; use a key")
		}
	}
	switch {
	case l.Dir == "":
		return errors.New("it names no directory")
	case strings.HasPrefix(l.Dir, "~"):
		return errors.New("a path that begins with ~ is not expanded; one that begins without a slash is in the user's home")
	case l.Host == "" || strings.HasPrefix(l.Host, "-") || strings.HasPrefix(l.User, "-"):
		return errors.New("it names no host") // ssh would take it for an option
	}
	l.Dir = path.Clean(l.Dir)
	return nil
}

// parseS3 reads "https://host:port/bucket/prefix", and without https:// too.
func (l *Location) parseS3(rest string) error {
	l.Kind = S3
	if !strings.HasPrefix(rest, "http://") && !strings.HasPrefix(rest, "https://") {
		rest = "https://" + strings.TrimPrefix(rest, "//")
	}
	u, err := parseURL(rest, "http", "https")
	if err != nil {
		return err
	}
	if u.User != nil {
		return errors.New("the keys of S3 stand in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in repository.server")
	}
	var prefix string
	l.Bucket, prefix, _ = strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if l.Bucket == "" {
		return errors.New("it names no bucket; it is written s3:https://host/bucket/prefix")
	}
	if prefix = path.Clean("/" + prefix); prefix != "/" {
		l.Prefix = prefix[1:]
	}
	l.URL = &url.URL{Scheme: u.Scheme, Host: u.Host}
	return nil
}
