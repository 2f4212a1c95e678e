package peer

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// account is a user of the system that a server runs as.
type account struct {
	name, group string
	uid, gid    int
	other       bool // not the user who runs the test; only root can become another
}

// serverAccount is nobody for root, and the caller otherwise.
func serverAccount() (account, error) {
	if os.Geteuid() == 0 {
		return account{name: "nobody", group: "nogroup", uid: 65534, gid: 65534, other: true}, nil
	}
	a := account{uid: os.Getuid(), gid: os.Getgid()}
	u, err := user.Current()
	if err != nil {
		return account{}, err
	}
	g, err := user.LookupGroupId(strconv.Itoa(a.gid))
	if err != nil {
		return account{}, err
	}
	a.name, a.group = u.Username, g.Name
	return a, nil
}

// runAs lets the command run as another account (the zero account: as ourselves), in a process group of its own, and lets
// it end if we die before our cleanup could run, as when a test is timed out.
func runAs(cmd *exec.Cmd, a account) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if a.other {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
}

// terminate asks a server and its children to end. Asked alone, Dovecot's master lets its children take a second.
func terminate(p *os.Process) { syscall.Kill(-p.Pid, syscall.SIGTERM) }

// kill ends a server and its children at once.
func kill(p *os.Process) { syscall.Kill(-p.Pid, syscall.SIGKILL) }
