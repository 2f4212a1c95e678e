package peer

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// CyrusAdmin administers a started Cyrus; its password is Password, and as authorisation identity it names any user.
const CyrusAdmin = "cyrus"

//go:embed cyrus.conf.tmpl
var cyrusConf string

//go:embed imapd.conf.tmpl
var imapdConf string

// CyrusServer is a running Cyrus IMAP 3.6 with the users u1, u2 and u3, whose password is Password. Each has Drafts,
// Sent, Trash and Archive with special use. There are CONDSTORE, QRESYNC, OBJECTID, METADATA, ACL, MULTIAPPEND, COMPRESS.
type CyrusServer struct {
	IMAPAddr  string // with STARTTLS; logins without TLS are allowed
	IMAPSAddr string // TLS from the first octet
	SieveAddr string // ManageSieve
	LMTPAddr  string // delivery of new mail
	HTTPAddr  string // JMAP (/jmap), CalDAV and CardDAV (/dav), without TLS

	CertificatePath   string   // PEM of the server's self-signed certificate; usable as the file of an authority
	CertificateSHA256 [32]byte // fingerprint of the same, of its DER

	Dir        string // everything the server writes
	ConfigPath string // of imapd.conf, for programs that take -C

	bin         string // directory of the server's programs
	saslpasswd2 string // path of the program that makes users
	env         []string
	user        account
}

// PeersDir is where script/setup unpacks programs that are not installed: the environment's ROOST_PEERS, or a directory
// below the user's cache. The servers' user cannot enter root's, so root has the system's.
func PeersDir() (string, error) {
	if dir := os.Getenv("ROOST_PEERS"); dir != "" {
		return dir, nil
	}
	if os.Geteuid() == 0 {
		return "/var/cache/roost-peers", nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "roost-peers"), nil
}

// cyrusRoot finds the unpacked packages.
func cyrusRoot(t testing.TB) string {
	t.Helper()
	dir, err := PeersDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{dir, "/var/cache/roost-peers"} {
		root := filepath.Join(dir, "cyrus")
		if _, err := exec.LookPath(filepath.Join(root, "usr/lib/cyrus/bin/master")); err == nil {
			return root
		}
	}
	missing(t, "Cyrus IMAP (in "+dir+")")
	return ""
}

// Cyrus starts a Cyrus IMAP 3.6 and stops it when the test ends.
func Cyrus(t testing.TB) *CyrusServer {
	t.Helper()
	root, saslpasswd2 := cyrusRoot(t), lookup(t, "saslpasswd2")
	user, err := serverAccount()
	if err != nil {
		t.Fatalf("start cyrus: %v", err)
	}
	dir := serverDir(t, "cyrus")
	s := &CyrusServer{
		Dir: dir, ConfigPath: filepath.Join(dir, "imapd.conf"),
		bin: filepath.Join(root, "usr/lib/cyrus/bin"), saslpasswd2: saslpasswd2, user: user,
		env: []string{
			"CYRUS_USER=" + user.name, "CYRUS_GROUP=" + user.group,
			"LD_LIBRARY_PATH=" + libraries(root),
		},
	}
	showOnFailure(t, filepath.Join(dir, "output"))
	if err := s.prepare(t.Context()); err != nil {
		t.Fatalf("start cyrus: %v", err)
	}
	for range startTries {
		err = s.start(t)
		if !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		t.Fatalf("start cyrus: %v", err)
	}
	return s
}

// libraries is the search path of the unpacked shared libraries, whatever the machine's architecture is called.
func libraries(root string) string {
	dirs, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu*"))
	return strings.Join(dirs, ":")
}

// prepare writes everything but the services and their ports.
func (s *CyrusServer) prepare(ctx context.Context) error {
	dirs := []string{"spool", "sieve", "run/proc", "run/lock"}
	for _, name := range []string{"db", "log", "msg", "ptclient", "quota", "user", "sync", "socket"} {
		dirs = append(dirs, "lib/"+name)
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(s.Dir, dir), 0o755); err != nil {
			return err
		}
	}
	c, err := makeCertificate(s.Dir, s.user)
	if err != nil {
		return err
	}
	s.CertificatePath, s.CertificateSHA256 = c.path, c.sum
	if err := chown(s.Dir, s.user); err != nil {
		return err
	}
	for _, user := range []string{CyrusAdmin, "u1", "u2", "u3"} {
		if err := s.addPassword(ctx, user); err != nil {
			return err
		}
	}
	return render(s.ConfigPath, imapdConf, map[string]any{
		"Dir": s.Dir, "Admin": CyrusAdmin, "SASLDB": s.passwords(), "Certificate": c.path, "Key": c.keyPath,
	})
}

// start chooses ports and runs the server until each of its users has an INBOX.
func (s *CyrusServer) start(t testing.TB) error {
	t.Helper()
	ports, err := freePorts(5)
	if err != nil {
		return err
	}
	s.IMAPAddr, s.IMAPSAddr, s.SieveAddr = addr(ports[0]), addr(ports[1]), addr(ports[2])
	s.LMTPAddr, s.HTTPAddr = addr(ports[3]), addr(ports[4])
	services := filepath.Join(s.Dir, "cyrus.conf")
	err = render(services, cyrusConf, map[string]any{
		"Bin": s.bin, "Config": s.ConfigPath, "IMAPAddr": s.IMAPAddr, "IMAPSAddr": s.IMAPSAddr,
		"SieveAddr": s.SieveAddr, "LMTPAddr": s.LMTPAddr, "HTTPAddr": s.HTTPAddr,
	})
	if err != nil {
		return err
	}
	p, err := start(t, filepath.Join(s.Dir, "output"), s.user, s.env, filepath.Join(s.bin, "master"),
		"-C", s.ConfigPath, "-M", services, "-p", filepath.Join(s.Dir, "master.pid"))
	if err != nil {
		return err
	}
	if err := p.greeting(s.IMAPAddr, "Cyrus IMAP"); err != nil {
		p.stop()
		return err
	}
	for _, user := range []string{"u1", "u2", "u3"} {
		if err := s.prime(user); err != nil {
			p.stop()
			return err
		}
	}
	return nil
}

// prime logs in as user, which creates the INBOX; JMAP and DAV answer 500 until then. It also shows that the server
// behind the port is ours: another Cyrus would put the INBOX elsewhere.
func (s *CyrusServer) prime(user string) error {
	if err := login(s.IMAPAddr, user, Password); err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(s.Dir, "lib", "quota", "*", "user."+user))
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("the INBOX of %s came into another server: %w", user, errPortTaken)
	}
	return err
}

// passwords is the path of the users' database.
func (s *CyrusServer) passwords() string { return filepath.Join(s.Dir, "sasldb2") }

func (s *CyrusServer) addPassword(ctx context.Context, user string) error {
	cmd := exec.CommandContext(ctx, s.saslpasswd2, "-p", "-c", "-f", s.passwords(), "-u", "localhost", user)
	cmd.Stdin = strings.NewReader(Password)
	runAs(cmd, s.user)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("add user %s: %w\n%s", user, err, out)
	}
	return nil
}

// AddUser makes one more user, with Password and an INBOX.
func (s *CyrusServer) AddUser(t testing.TB, user string) {
	t.Helper()
	if err := s.addPassword(t.Context(), user); err != nil {
		t.Fatal(err)
	}
	if err := s.prime(user); err != nil {
		t.Fatalf("add user %s: %v", user, err)
	}
}

// Tool runs one of Cyrus's own programs, as "reconstruct" or "cyr_info", and returns its standard output. A failure ends
// the test.
func (s *CyrusServer) Tool(t testing.TB, name string, args ...string) string {
	t.Helper()
	argv := append([]string{filepath.Join(s.bin, name), "-C", s.ConfigPath}, args...)
	out, err := run(t.Context(), s.user, s.env, argv...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Reconstruct rebuilds what Cyrus knows of a user's mailboxes from the files of their messages.
func (s *CyrusServer) Reconstruct(t testing.TB, user string) {
	t.Helper()
	s.Tool(t, "reconstruct", "-r", "user/"+user)
}
