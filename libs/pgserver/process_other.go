//go:build unix && !linux

package pgserver

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// dieWithUs does nothing: there is no such means here. The next start stops
// what was left.
func dieWithUs(*syscall.SysProcAttr) {}

// serves reports whether process pid is a server on the data folder.
func serves(pid int, data string) (yes, sure bool) {
	out, err := exec.Command("ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return false, syscall.Kill(pid, 0) == syscall.ESRCH
	}
	return strings.Contains(string(out), "postgres") && strings.Contains(string(out), "-D "+data), true
}
