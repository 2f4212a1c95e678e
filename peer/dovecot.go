package peer

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// What a started Dovecot lets in beside ordinary users, whose password is Password whatever their name.
const (
	MasterUser      = "master"       // logs in as "alice*master", or with alice as authorisation identity
	MasterPassword  = "mastersecret" // of MasterUser
	DoveadmPassword = "adm"          // of the doveadm protocol over TCP
)

// tokenKey signs the tokens that Dovecot accepts.
const tokenKey = "oauthkey"

//go:embed dovecot.conf.tmpl
var dovecotConf string

// DovecotOptions says what kind of Dovecot is wanted. The zero value is one with Maildir++.
type DovecotOptions struct {
	Format    string // of the mail on disk: "maildir" (default), "sdbox" or "mdbox"
	Layout    string // of Maildir only: "" is Maildir++, "fs" is a directory a level
	Separator string // of mailbox names, default "/"
	Prefix    string // of all mailbox names but INBOX, as "INBOX."; default none. It ends with Separator
	Compress  bool   // save messages compressed by zstd
	Extra     string // more lines for the end of the configuration
}

// DovecotServer is a running Dovecot. Any user name logs in with Password; the user's home appears at the first login.
// There are ACL, METADATA, QUOTA, COMPRESS and mailboxes with special use (Drafts, Sent, Trash; Archive and Junk when
// created). The server does not fsync mail.
type DovecotServer struct {
	IMAPAddr    string // with STARTTLS; logins without TLS are allowed
	IMAPSAddr   string // TLS from the first octet
	SieveAddr   string // ManageSieve
	LMTPAddr    string // delivery of new mail
	DoveadmAddr string // the doveadm protocol over TCP, which dsync uses as well

	CertificatePath   string   // PEM of the server's self-signed certificate; usable as the file of an authority
	CertificateSHA256 [32]byte // fingerprint of the same, of its DER

	Dir        string // everything the server writes
	ConfigPath string // of dovecot.conf, for programs that take -c

	mail    string // the mail's directory below a home
	doveadm string // path of the program
	user    account
}

// Dovecot starts a Dovecot 2.3 and stops it when the test ends.
func Dovecot(t testing.TB, options DovecotOptions) *DovecotServer {
	t.Helper()
	program, doveadm := lookup(t, "dovecot"), lookup(t, "doveadm")
	user, err := serverAccount()
	if err != nil {
		t.Fatalf("start dovecot: %v", err)
	}
	dir := serverDir(t, "dovecot")
	s := &DovecotServer{Dir: dir, ConfigPath: filepath.Join(dir, "dovecot.conf"), doveadm: doveadm, user: user}
	showOnFailure(t, filepath.Join(dir, "dovecot.log"), filepath.Join(dir, "output"))
	if err := s.prepare(); err != nil {
		t.Fatalf("start dovecot: %v", err)
	}
	for range startTries {
		err = s.start(t, program, options)
		if !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		t.Fatalf("start dovecot: %v", err)
	}
	return s
}

// prepare writes everything but dovecot.conf.
func (s *DovecotServer) prepare() error {
	keys := filepath.Join(s.Dir, "keys", "default", "HS256")
	for _, dir := range []string{"run", "home", "state", keys} {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(s.Dir, dir)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for name, text := range map[string]string{
		"master.passwd":              MasterUser + ":{PLAIN}" + MasterPassword + "\n",
		"keys/default/HS256/default": base64.StdEncoding.EncodeToString([]byte(tokenKey)),
		"oauth2.conf": "introspection_mode = local\nusername_attribute = sub\n" +
			"local_validation_key_dict = fs:posix:prefix=" + filepath.Join(s.Dir, "keys") + "/\n",
	} {
		if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, dir := range []string{"home", "state"} {
		if err := chown(filepath.Join(s.Dir, dir), s.user); err != nil {
			return err
		}
	}
	c, err := makeCertificate(s.Dir, account{}) // the master reads the key before it lets go of root
	if err != nil {
		return err
	}
	s.CertificatePath, s.CertificateSHA256 = c.path, c.sum
	return nil
}

// start chooses ports, writes the configuration and runs the server until it greets.
func (s *DovecotServer) start(t testing.TB, program string, o DovecotOptions) error {
	t.Helper()
	ports, err := freePorts(5)
	if err != nil {
		return err
	}
	s.IMAPAddr, s.IMAPSAddr, s.SieveAddr = addr(ports[0]), addr(ports[1]), addr(ports[2])
	s.LMTPAddr, s.DoveadmAddr = addr(ports[3]), addr(ports[4])
	values, err := s.values(o)
	if err != nil {
		return err
	}
	for i, name := range []string{"IMAPPort", "IMAPSPort", "SievePort", "LMTPPort", "DoveadmPort"} {
		values[name] = ports[i]
	}
	if err := render(s.ConfigPath, dovecotConf, values); err != nil {
		return err
	}
	p, err := start(t, filepath.Join(s.Dir, "output"), account{}, nil, program, "-F", "-c", s.ConfigPath)
	if err != nil {
		return err
	}
	if err := p.greeting(s.IMAPAddr, values["Nonce"].(string)); err != nil {
		p.stop()
		return s.explain(err)
	}
	return nil
}

// values are what the template of dovecot.conf asks for, without the ports.
func (s *DovecotServer) values(o DovecotOptions) (map[string]any, error) {
	format := o.Format
	switch format {
	case "":
		format = "maildir"
	case "maildir", "sdbox", "mdbox":
	default:
		return nil, fmt.Errorf("unknown mail format %q", format)
	}
	s.mail = format
	if format == "maildir" {
		s.mail = "Maildir"
	}
	layout := ""
	if o.Layout != "" {
		layout = ":LAYOUT=" + o.Layout
	}
	separator := o.Separator
	if separator == "" {
		separator = "/"
	}
	var nonce [8]byte
	rand.Read(nonce[:]) // never fails, see crypto/rand
	values := map[string]any{
		"Dir": s.Dir, "Nonce": "test-" + hex.EncodeToString(nonce[:]),
		"Certificate": s.CertificatePath, "Key": filepath.Join(s.Dir, "tls.key"),
		"User": s.user.name, "Group": s.user.group,
		"InternalUser": "dovecot", "InternalGroup": "dovecot", "LoginUser": "dovenull",
		"Password": Password, "DoveadmPassword": DoveadmPassword,
		"Location":       format + ":~/" + s.mail + layout,
		"SharedLocation": format + ":" + s.Dir + "/home/%%u/" + s.mail + layout + ":INDEXPVT=~/shared/%%u",
		"Separator":      separator, "Prefix": o.Prefix, "Compress": o.Compress, "Extra": o.Extra,
	}
	if !s.user.other { // without root there are no other users to become
		values["InternalUser"], values["InternalGroup"], values["LoginUser"] = s.user.name, s.user.group, s.user.name
	}
	return values, nil
}

// explain looks into the log for what the greeting could not tell.
func (s *DovecotServer) explain(err error) error {
	text, _ := tail(filepath.Join(s.Dir, "dovecot.log"), 4<<10)
	if containsTaken(text) {
		return errPortTaken
	}
	return fmt.Errorf("%w\n%s", err, text)
}

// Home is the home directory of a user. It belongs to the user that the server runs as.
func (s *DovecotServer) Home(user string) string { return filepath.Join(s.Dir, "home", user) }

// Mail is the directory of a user's mail on disk, below Home.
func (s *DovecotServer) Mail(user string) string { return filepath.Join(s.Home(user), s.mail) }

// Own gives files that a test wrote to the user that the server runs as, the whole tree below path.
func (s *DovecotServer) Own(t testing.TB, path string) {
	t.Helper()
	if err := chown(path, s.user); err != nil {
		t.Fatalf("give %s to dovecot: %v", path, err)
	}
}

// Doveadm runs doveadm with the server's configuration and returns its standard output. A failure ends the test.
func (s *DovecotServer) Doveadm(t testing.TB, args ...string) string {
	t.Helper()
	out, err := s.DoveadmOutput(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// DoveadmOutput is Doveadm for runs that may fail; see Program.Output for the error.
func (s *DovecotServer) DoveadmOutput(ctx context.Context, args ...string) (string, error) {
	return run(ctx, account{}, nil, append([]string{s.doveadm, "-c", s.ConfigPath}, args...)...)
}

// Preauth is the command line of an IMAP session as user over standard input and output, logged in from its start.
func (s *DovecotServer) Preauth(user string) []string {
	return []string{s.doveadm, "-c", s.ConfigPath, "exec", "imap", "-u", user}
}

// DsyncServer is the command line of dsync's server for user over standard input and output.
func (s *DovecotServer) DsyncServer(user string) []string {
	return []string{s.doveadm, "-c", s.ConfigPath, "dsync-server", "-u", user}
}

// Token is a signed token (RFC 7519) for XOAUTH2 and OAUTHBEARER that is valid for an hour.
func (s *DovecotServer) Token(user string) string {
	return s.TokenUntil(user, time.Now().Add(time.Hour))
}

// TokenUntil is a token that is valid until then, which may be in the past.
func (s *DovecotServer) TokenUntil(user string, then time.Time) string {
	encode := base64.RawURLEncoding.EncodeToString
	begin := min(time.Now().Unix(), then.Unix()) - 3600
	claims, err := json.Marshal(map[string]any{"sub": user, "iat": begin, "nbf": begin, "exp": then.Unix()})
	if err != nil {
		panic(err) // a string and three numbers
	}
	signed := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(claims)
	mac := hmac.New(sha256.New, []byte(tokenKey))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}
