package pgserver

import (
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
)

// guard is a process that waits for ours to end, ends the server and removes
// its folders. It learns of our end by the pipe between us, which the kernel
// closes whatever happens.
type guard struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
	once sync.Once
}

// The first line it reads is the server's process; after that nothing comes
// but the end.
const guardScript = `
read -r pid
cat >/dev/null
if [ -n "$pid" ] && kill -QUIT "$pid" 2>/dev/null; then
	i=0
	while [ -e "$1/data/postmaster.pid" ] && [ $i -lt 100 ]; do
		i=$((i+1))
		sleep 0.05
	done
	[ $i -lt 100 ] || kill -KILL "$pid" 2>/dev/null
fi
[ ! -r "$1/socket_dir" ] || rm -rf -- "$(cat "$1/socket_dir")"
rm -rf -- "$1" "$2" || { sleep 1; rm -rf -- "$1" "$2"; }
`

func newGuard(c *cluster) (*guard, error) {
	cmd := exec.Command("/bin/sh", "-c", guardScript, "gatehouse-guard", c.base, c.dir) //nolint:noctx // it outlives us
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a Ctrl-C is not for it
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("guard PostgreSQL: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("guard PostgreSQL: %w", err)
	}
	return &guard{cmd: cmd, pipe: pipe}, nil
}

// watch tells the guard which process the server is.
func (g *guard) watch(pid int) error {
	if _, err := io.WriteString(g.pipe, strconv.Itoa(pid)+"\n"); err != nil {
		return fmt.Errorf("guard PostgreSQL: %w", err)
	}
	return nil
}

// let has the guard do its work now, and waits for it.
func (g *guard) let() {
	g.once.Do(func() {
		_ = g.pipe.Close()
		_ = g.cmd.Wait()
	})
}
