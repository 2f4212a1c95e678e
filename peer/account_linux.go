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

// runAs lets the command run as another account (the zero account: as ourselves), and lets it end if we die before our
// cleanup could run, as when a test is timed out.
func runAs(cmd *exec.Cmd, a account) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if a.other {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
}

// terminate asks a process to end. One that has ended already is no error.
func terminate(p *os.Process) { p.Signal(syscall.SIGTERM) }
