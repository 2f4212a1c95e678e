package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"roost/store/imap/imaptest"
)

// roost runs a command in a home of its own, without a terminal.
type roost struct {
	*testing.T
	env    map[string]string
	stdout bytes.Buffer
	stderr bytes.Buffer
}

func newRoost(t *testing.T) *roost {
	return &roost{T: t, env: map[string]string{"HOME": t.TempDir(), "ROOST_STORE_PASSWORD": imaptest.Secret}}
}

func (r *roost) exits(want int, args ...string) {
	r.Helper()
	r.exitsIn(r.Context(), want, args...)
}

func (r *roost) exitsIn(ctx context.Context, want int, args ...string) {
	r.Helper()
	r.stdout.Reset()
	r.stderr.Reset()
	a := newApp(strings.NewReader(""), &r.stdout, &r.stderr, func(name string) string { return r.env[name] })
	if got := a.run(ctx, args); got != want {
		r.Fatalf("roost %s exits with %d, want %d\n%s%s", strings.Join(args, " "), got, want, &r.stdout, &r.stderr)
	}
	encoded := base64.StdEncoding.EncodeToString([]byte("\x00alice\x00" + imaptest.Secret))
	if out := r.stdout.String() + r.stderr.String(); strings.Contains(out, imaptest.Secret) || strings.Contains(out, encoded) {
		r.Errorf("roost %s shows the password:\n%s%s", strings.Join(args, " "), &r.stdout, &r.stderr)
	}
}

func message1(subject string) []byte {
	return fmt.Appendf(nil, "From: Bob <bob@example.org>\r\nSubject: %s\r\nDate: Mon, 02 Mar 2026 10:00:00 +0000\r\n\r\nHello.\r\n", subject)
}

// sampleServer serves an inbox of three messages.
func sampleServer(t *testing.T, d imaptest.Dialect) *imaptest.Server {
	account := imaptest.NewAccount()
	inbox := account.Create("INBOX")
	for _, subject := range []string{"one", "two", "three"} {
		inbox.Append(imaptest.Message{Body: message1(subject)})
	}
	return imaptest.Start(t, account, d)
}

func plain(s *imaptest.Server) string { return "imap://alice@" + s.Addr + "?tls=none&timeout=5s" }
func pinned(s *imaptest.Server) string {
	return "imaps://alice@" + s.TLSAddr + "?timeout=5s&pin=" + hex.EncodeToString(s.CertificateSHA256[:])
}

// A backup over IMAP, by TLS with a pinned certificate, and a restore to files.
func TestBackupFromServer(t *testing.T) {
	s := sampleServer(t, imaptest.Dialect{})
	r := newRoost(t)
	r.exits(exitOK, "backup", pinned(s), "-q")
	if got := r.stdout.String(); !strings.HasPrefix(got, "OK: 1 mailbox, 3 messages, all accounted for (3 new)") {
		t.Errorf("verdict %s", got)
	}
	r.exits(exitOK, "backup", pinned(s), "-q")
	if got := r.stdout.String(); !strings.HasPrefix(got, "OK: 1 mailbox, 3 messages, all accounted for (nothing changed)") {
		t.Errorf("second verdict %s", got)
	}
	r.exits(exitOK, "restore", "latest:alice", "--to", "maildir:"+filepath.Join(r.env["HOME"], "copy"), "--in-place", "-q")
	r.exits(exitOK, "account", "test", pinned(s), "-vv")
	if !strings.Contains(r.stderr.String(), "AUTHENTICATE") {
		t.Errorf("-vv does not show the dialogue:\n%s", &r.stderr)
	}
}

// What is wrong with a connection has a code each.
func TestConnectionCodes(t *testing.T) {
	good := sampleServer(t, imaptest.Dialect{})
	login := func(answer string) *imaptest.Server {
		return sampleServer(t, imaptest.Dialect{Login: func(imaptest.Login) string { return answer }})
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the system accepts; nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	tests := []struct {
		name, url string
		want      int
	}{
		{"nobody listens", "imap://alice@" + nobody + "?tls=none", exitConnection},
		{"nobody answers", "imap://alice@" + silent.Addr().String() + "?tls=none&timeout=1s", exitConnection},
		{"nobody answers TLS", "imaps://alice@" + silent.Addr().String() + "?timeout=1s", exitConnection},
		{"unknown certificate", "imaps://alice@" + good.TLSAddr, exitTLS},
		{"another pin", "imaps://alice@" + good.TLSAddr + "?pin=" + strings.Repeat("ab", 32), exitTLS},
		{"wrong password", plain(login("NO [AUTHENTICATIONFAILED] wrong")), exitAuth},
		{"a human is wanted", plain(login("NO [WEBALERT https://example.com/] Web login required")), exitNeedsHuman},
		{"throttled", plain(login("NO [LIMIT] too many logins")), exitThrottled},
		{"no such mechanism", plain(good) + "&mech=SCRAM-SHA-512-PLUS", exitAuth},
		{"authority file missing", "imaps://alice@" + good.TLSAddr + "?ca=/nowhere", exitFailed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRoost(t)
			r.exits(tt.want, "account", "test", tt.url)
			if got := r.stderr.String(); tt.want != exitFailed && !strings.Contains(got, "\nhint: ") {
				t.Errorf("no hint: %s", got)
			}
			r.exits(tt.want, "backup", tt.url)
			if got := r.stdout.String(); !strings.Contains(got, "INCOMPLETE: 1 account failed") {
				t.Errorf("verdict %s", got)
			}
		})
	}
}

// A message that the server does not give stops nothing; it is listed, the run
// ends with 3, and the next one that gets it ends with 0.
func TestProblemsAreRetried(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	s := sampleServer(t, imaptest.Dialect{Broken: func(_ *imaptest.Mailbox, uid uint32) string {
		if broken.Load() && uid == 2 {
			return "NO [SERVERBUG] cannot read"
		}
		return ""
	}})
	r := newRoost(t)
	r.exits(exitIncomplete, "backup", plain(s))
	if got := r.stdout.String(); !strings.Contains(got, "INCOMPLETE: 1 message not stored; see roost problems alice\n") {
		t.Errorf("verdict %s", got)
	}
	r.exits(exitIncomplete, "problems")
	if got := r.stdout.String(); !strings.Contains(got, "alice: INBOX message 2: ") {
		t.Errorf("problems %s", got)
	}
	r.exits(exitIncomplete, "backup", plain(s), "--json")
	broken.Store(false)
	r.exits(exitOK, "backup", plain(s))
	r.exits(exitOK, "problems")
	r.exits(exitOK, "index", "latest:alice")
	if got := strings.Count(r.stdout.String(), "INBOX,"); got != 3 {
		t.Errorf("%d messages in the end, want 3:\n%s", got, &r.stdout)
	}
}

// Mail that does not fit at the destination is accounted for, and said why.
func TestRestoreOverQuota(t *testing.T) {
	s := sampleServer(t, imaptest.Dialect{})
	r := newRoost(t)
	r.exits(exitOK, "backup", plain(s))
	full := imaptest.Start(t, imaptest.NewAccount(), imaptest.Dialect{Answers: []imaptest.Answer{imaptest.Refuse("APPEND", "NO [OVERQUOTA] full")}})
	r.exits(exitThrottled, "restore", "latest:alice", "--to", plain(full), "--in-place")
	if got := r.stdout.String() + r.stderr.String(); !strings.Contains(got, "3 messages not stored") || !strings.Contains(got, "over quota") {
		t.Errorf("restore over quota:\n%s", got)
	}
}

// The password of a store comes from a file, too, and a file open to others is
// worth a note.
func TestStorePasswordFile(t *testing.T) {
	s := sampleServer(t, imaptest.Dialect{})
	r := newRoost(t)
	delete(r.env, "ROOST_STORE_PASSWORD")
	file := filepath.Join(r.env["HOME"], "pw")
	if err := os.WriteFile(file, []byte(imaptest.Secret+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r.exits(exitOK, "account", "test", plain(s), "--store-password-file", file)
	r.exits(exitUsage, "account", "test", plain(s))
}

// A backup that a signal ends saves what has arrived, says so, and exits with
// the signal's code; the next one completes the books.
func TestInterruptedBackup(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	s := sampleServer(t, imaptest.Dialect{Answers: []imaptest.Answer{
		func(s *imaptest.Session, c imaptest.Command) bool {
			if c.Name == "UID FETCH" && strings.Contains(c.Text, "BODY.PEEK") && ctx.Err() == nil {
				cancel(interrupted{syscall.SIGINT})
				return true // this one is never answered
			}
			return false
		},
	}})
	r := newRoost(t)
	r.exitsIn(ctx, exitInterrupted, "backup", plain(s))
	r.exits(exitOK, "check")
	r.exits(exitIncomplete, "ledger", "latest")
	if got := r.stdout.String(); !strings.Contains(got, "INBOX") {
		t.Errorf("the snapshot of the interrupted run tells nothing of INBOX:\n%s", got)
	}
	r.exits(exitOK, "backup", plain(s), "-q")
	if got := r.stdout.String(); !strings.HasPrefix(got, "OK: 1 mailbox, 3 messages, ") {
		t.Errorf("verdict of the next run: %s", got)
	}
	r.exits(exitOK, "check", "--read-data")
}
