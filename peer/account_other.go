//go:build !linux

package peer

import (
	"errors"
	"os"
	"os/exec"
)

// account is a user of the system that a server runs as. Servers are started on Linux only.
type account struct {
	name, group string
	uid, gid    int
	other       bool
}

func serverAccount() (account, error) {
	return account{}, errors.New("servers are started on Linux only")
}

func runAs(*exec.Cmd, account) {}

func terminate(p *os.Process) { p.Kill() }

func kill(p *os.Process) { p.Kill() }
