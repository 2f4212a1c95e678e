package peer

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// SSHServer starts OpenSSH's sshd with its SFTP server. The ssh that the place's PATH finds first knows the server and has the
// key of the test's user, who is the only one let in.
func SSHServer(t testing.TB) Place {
	t.Helper()
	sshd, ssh, keygen := lookup(t, "sshd"), lookup(t, "ssh"), lookup(t, "ssh-keygen")
	dir := serverDir(t, "sshd")
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 { // sshd wants it, and only its package's boot script makes it
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, key := range []string{"host", "user"} {
		if _, err := run(t.Context(), account{}, nil, keygen, "-q", "-t", "ed25519", "-N", "", "-f", in(key)); err != nil {
			t.Fatal(err)
		}
	}
	hostKey, err := os.ReadFile(in("host.pub"))
	if err == nil {
		err = errors.Join(os.Mkdir(in("files"), 0o700), os.Mkdir(in("bin"), 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	at := listen(t, dir, func(at string, port int) []string {
		write := func(name, text string, mode os.FileMode) {
			if err := os.WriteFile(in(name), []byte(text), mode); err != nil {
				t.Fatal(err)
			}
		}
		write("sshd_config", fmt.Sprintf("ListenAddress %s\nHostKey %s\nAuthorizedKeysFile %s\nPidFile none\nUsePAM no\nStrictModes no\n"+
			"PasswordAuthentication no\nPermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n", at, in("host"), in("user.pub")), 0o600)
		write("known_hosts", fmt.Sprintf("[%s]:%d %s", host, port, hostKey), 0o644)
		write("ssh_config", fmt.Sprintf("IdentityFile %s\nIdentitiesOnly yes\nUserKnownHostsFile %s\nGlobalKnownHostsFile none\n"+
			"StrictHostKeyChecking yes\nBatchMode yes\n", in("user"), in("known_hosts")), 0o644)
		write("bin/ssh", fmt.Sprintf("#!/bin/sh\nexec %s -F %s \"$@\"\n", ssh, in("ssh_config")), 0o755)
		return []string{sshd, "-D", "-e", "-f", in("sshd_config")}
	})
	return Place{
		Location: fmt.Sprintf("sftp://%s@%s/%s/", me.Username, at, in("files")),
		Env:      []string{"PATH=" + strings.Join([]string{in("bin"), os.Getenv("PATH")}, string(os.PathListSeparator))},
		Dir:      in("files"),
	}
}
