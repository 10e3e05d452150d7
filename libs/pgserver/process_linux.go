package pgserver

import (
	"fmt"
	"os"
	"syscall"
)

// dieWithUs has the kernel stop the server when the thread that started it
// ends.
func dieWithUs(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }

// serves reports whether process pid is a server on the data folder: a server
// works in its data folder.
func serves(pid int, data string) (yes, sure bool) {
	cwd, err := os.Stat(fmt.Sprintf("/proc/%d/cwd", pid))
	if err != nil {
		// Gone, or dead and not yet collected, or somebody else's.
		return false, !os.IsPermission(err)
	}
	dir, err := os.Stat(data)
	return err == nil && os.SameFile(cwd, dir), true
}
