package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"roost/imap"
)

// Location is where a store is, read from its URL:
//
//	maildir:PATH[:LAYOUT=fs][:UTF-8][:CONTROL=PATH][:INDEX=PATH]
//	                              Maildir++, or Maildirs in a tree of directories;
//	                              names in modified UTF-7, or in UTF-8; CONTROL is where
//	                              Dovecot's uidlist, keywords and subscriptions stand.
//	                              INDEX is taken and not used, as in mail_location
//	mbox:PATH                     one mbox file, or a tree of them
//	eml:PATH                      a tree of .eml files
//	memory:                       a new store in memory
//	imap://[USER@]HOST[:PORT]     IMAP; STARTTLS is required unless tls=none
//	imaps://[USER@]HOST[:PORT]    IMAP over TLS
//
// USER is percent-encoded where it holds "@", ":" or "/": alice%40example.com.
// Options of IMAP follow as a query, as in imaps://host?master=admin&pin=...:
//
//	tls=none            speak in clear; only to a loopback address, or with tls=none-really
//	pin=HEX             SHA-256 of the server's certificate; then no authority is asked
//	ca=FILE             authorities, in PEM, in place of the system's
//	name=HOST           the name that the certificate must have
//	cert=FILE           our own certificate, in PEM, for a server that asks for one; goes with key
//	key=FILE            its key, in PEM; it may stand in cert as well
//	mech=NAME           SASL mechanism: PLAIN, LOGIN, SCRAM-SHA-256, XOAUTH2, ...;
//	                    EXTERNAL goes by cert, and needs no USER and no password
//	authzid=NAME        act as NAME, by the mechanism's authorisation identity
//	proxyauth=NAME      act as NAME, by a PROXYAUTH command after the login
//	master=NAME         log in as USER*NAME, as Dovecot's master users do
//	separator=*         what stands between the two
//	timeout=60s         without an answer for that long, the connection is dead
//	compress=no         do not ask for COMPRESS; on loopback it is never asked for
//	shared=yes          the mailboxes of others that the account may read, too
type Location struct {
	Driver string // "maildir", "mbox", "eml", "memory", "imap"

	Path   string // of a file driver
	Layout string // of maildir: "", or "fs"
	UTF8   bool   // of maildir: names of mailboxes are in UTF-8

	Control string // of maildir: where Dovecot's control files stand; "": in the mailboxes

	Host     string // of imap; without brackets
	Port     int
	User     string // "": not given
	Security imap.Security
	Options  map[string]string // as above, checked
	Timeout  time.Duration     // 0: the driver's own
	Pin      [sha256.Size]byte // zero: none
}

// imapOptions are the options that Location knows.
var imapOptions = []string{"authzid", "ca", "cert", "compress", "key", "master", "mech", "name", "pin", "proxyauth", "separator", "shared", "timeout", "tls"}

// Parse reads the URL of a store. It touches nothing.
func Parse(text string) (Location, error) {
	scheme, rest, ok := strings.Cut(text, ":")
	if !ok {
		return Location{}, fmt.Errorf("%q is no store: it has no \"maildir:\", \"mbox:\", \"eml:\" or \"imaps://\" in front", Redact(text))
	}
	switch scheme {
	case "memory":
		if rest != "" {
			return Location{}, fmt.Errorf("store memory: takes nothing after the colon")
		}
		return Location{Driver: scheme}, nil
	case "maildir", "mbox", "eml":
		return parseFile(scheme, rest)
	case "imap", "imaps":
		return parseIMAP(text)
	}
	return Location{}, fmt.Errorf("no driver for %q; there are maildir, mbox, eml, imap, imaps and memory", scheme)
}

func parseFile(driver, rest string) (Location, error) {
	l := Location{Driver: driver, Path: rest}
	for driver == "maildir" {
		path, option, ok := cutLast(l.Path, ":")
		layout, isLayout := strings.CutPrefix(option, "LAYOUT=")
		control, isControl := strings.CutPrefix(option, "CONTROL=")
		switch {
		case ok && option == "UTF-8":
			l.UTF8 = true
		case ok && isControl && control == "":
			return Location{}, fmt.Errorf("store maildir: CONTROL has no path")
		case ok && isControl:
			l.Control = control
		case ok && strings.HasPrefix(option, "INDEX="):
		case ok && isLayout && strings.EqualFold(layout, "fs"):
			l.Layout = "fs"
		case ok && isLayout && (layout == "++" || strings.EqualFold(layout, "Maildir++")):
			l.Layout = ""
		case ok && isLayout:
			return Location{}, fmt.Errorf("maildir layout %q is unknown; there are fs and Maildir++", layout)
		default:
			driver = "" // what is left is the path
			continue
		}
		l.Path = path
	}
	if l.Path == "" {
		return Location{}, fmt.Errorf("store %s: has no path", l.Driver)
	}
	if strings.ContainsRune(l.Path, 0) {
		return Location{}, fmt.Errorf("store %s: the path holds a NUL", l.Driver)
	}
	return l, nil
}

func parseIMAP(text string) (Location, error) {
	shown := Redact(text)
	u, err := url.Parse(text)
	if err != nil {
		// The cause would repeat the URL, and with it what may be a password.
		return Location{}, fmt.Errorf("store %q is no URL", shown)
	}
	if _, has := u.User.Password(); has {
		return Location{}, fmt.Errorf("store %q holds a password; give it by a file or a command", shown)
	}
	switch {
	case u.Hostname() == "":
		return Location{}, fmt.Errorf("store %q has no host; it is written imaps://user@host", shown)
	case u.Path != "" && u.Path != "/":
		return Location{}, fmt.Errorf("store %q names a mailbox; choose mailboxes with --folder", shown)
	case u.Fragment != "":
		return Location{}, fmt.Errorf("store %q holds a \"#\"; write %%23", shown)
	}
	l := Location{Driver: "imap", Host: u.Hostname(), User: u.User.Username(), Options: map[string]string{}}
	l.Port, l.Security = 993, imap.TLS
	if u.Scheme == "imap" {
		l.Port, l.Security = 143, imap.StartTLS
	}
	if p := u.Port(); p != "" {
		if l.Port, err = strconv.Atoi(p); err != nil || l.Port < 1 || l.Port > 65535 {
			return Location{}, fmt.Errorf("store %q: port %s is not between 1 and 65535", shown, p)
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Location{}, fmt.Errorf("store %q: its options are not name=value, separated by \"&\"", shown)
	}
	for name, values := range query {
		if !slices.Contains(imapOptions, name) {
			return Location{}, fmt.Errorf("store %q: unknown option %q; there are %s", shown, name, strings.Join(imapOptions, ", "))
		}
		if len(values) > 1 {
			return Location{}, fmt.Errorf("store %q: option %s is given twice", shown, name)
		}
		l.Options[name] = values[0]
	}
	return l, l.checkOptions(shown)
}

func (l *Location) checkOptions(shown string) error {
	switch tls, given := l.Options["tls"]; {
	case !given:
	case tls == "none" && isLoopback(l.Host), tls == "none-really":
		if l.Security == imap.TLS {
			return fmt.Errorf("store %q: imaps is TLS; without it, write imap", shown)
		}
		l.Security = imap.Plaintext
	case tls == "none":
		return fmt.Errorf("store %q: without TLS everybody on the way reads the password; if you must, write tls=none-really", shown)
	default:
		return fmt.Errorf("store %q: tls=%s is unknown; there is tls=none", shown, tls)
	}
	if t, given := l.Options["timeout"]; given {
		var err error
		if l.Timeout, err = time.ParseDuration(t); err != nil || l.Timeout < time.Second {
			return fmt.Errorf("store %q: timeout=%s is no time of a second or more, as in 90s", shown, t)
		}
	}
	for _, name := range []string{"compress", "shared"} {
		if v, given := l.Options[name]; given && v != "no" && v != "yes" {
			return fmt.Errorf("store %q: %s=%s is neither yes nor no", shown, name, v)
		}
	}
	if l.Options["key"] != "" && l.Options["cert"] == "" {
		return fmt.Errorf("store %q: key= is of no use without cert=", shown)
	}
	if l.Options["cert"] != "" && l.Security == imap.Plaintext {
		return fmt.Errorf("store %q: a certificate is shown within TLS only", shown)
	}
	if p, given := l.Options["pin"]; given {
		raw, err := hex.DecodeString(strings.ReplaceAll(p, ":", ""))
		if err != nil || len(raw) != len(l.Pin) || [sha256.Size]byte(raw) == ([sha256.Size]byte{}) {
			return fmt.Errorf("store %q: pin is not the SHA-256 of a certificate, 64 hex digits", shown)
		}
		l.Pin = [sha256.Size]byte(raw)
	}
	return nil
}

// WithUser puts user in the place of "{user}" in the URL of a store, encoded
// as the place wants it. A URL of IMAP without a user gets one.
func WithUser(text, user string) string {
	const place = "{user}"
	if !strings.HasPrefix(text, "imap") {
		return strings.ReplaceAll(text, place, pathComponent(user))
	}
	escaped := url.PathEscape(user)
	escaped = strings.NewReplacer(":", "%3A", "@", "%40").Replace(escaped)
	if strings.Contains(text, place) {
		return strings.ReplaceAll(text, place, escaped)
	}
	scheme, rest, ok := strings.Cut(text, "://")
	authority, _, _ := strings.Cut(rest, "/")
	authority, _, _ = strings.Cut(authority, "?")
	if !ok || strings.Contains(authority, "@") {
		return text
	}
	return scheme + "://" + escaped + "@" + rest
}

// pathComponent makes one component of a path of user; none leads elsewhere.
func pathComponent(user string) string {
	switch user {
	case ".":
		return "%2E"
	case "..":
		return "%2E%2E"
	}
	return strings.ReplaceAll(user, "/", "%2F")
}

// IsURL reports whether text is meant for the URL of a store, right or wrong: it has a driver's name or "://" in front.
func IsURL(text string) bool {
	scheme, _, ok := strings.Cut(text, ":")
	return ok && slices.Contains([]string{"memory", "maildir", "mbox", "eml", "imap", "imaps"}, strings.ToLower(scheme)) || strings.Contains(text, "://")
}

// Redact cuts what may be a password out of the text of a URL, also of one that cannot be read: what stands between a colon and
// the last "@", and the values of options that Location does not know.
func Redact(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	switch head, tail, colon := strings.Cut(text, ":"); {
	case ok:
		scheme += "://"
	case colon && strings.Contains(tail, "@"):
		scheme, rest = head+":", tail
	default:
		return text
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		user, _, has := strings.Cut(rest[:i], ":")
		if !ok && !has {
			user = "***"
		}
		rest = user + "@" + rest[i+1:]
	}
	rest, query, ok := strings.Cut(rest, "?")
	if !ok {
		return scheme + rest
	}
	options := strings.Split(query, "&")
	for i, option := range options {
		if name, _, ok := strings.Cut(option, "="); !ok {
			options[i] = "***"
		} else if !slices.Contains(imapOptions, name) {
			options[i] = name + "=***"
		}
	}
	return scheme + rest + "?" + strings.Join(options, "&")
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
