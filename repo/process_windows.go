package repo

import "os"

// processExists reports whether a process of that number runs on this machine. Finding it fails if there is none.
func processExists(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	p.Release()
	return true
}
