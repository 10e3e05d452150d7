package pgserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the operating system's user that the server runs as.
type account struct {
	name     string
	uid, gid int
	// switched means that it is not the user of this process.
	switched bool
}

// serverAccount picks the user: our own, unless we are root.
func serverAccount() (account, error) {
	if os.Geteuid() != 0 {
		u, err := user.Current()
		if err != nil {
			return account{}, fmt.Errorf("find our own user, which PostgreSQL needs a name for: %w", err)
		}
		return account{name: u.Username, uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			return switchedAccount(u)
		}
	}
	return account{}, errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as")
}

// ownerAccount is the user who owns the data already, if we are root and so
// free to choose.
func ownerAccount(data string) (account, bool) {
	st, err := os.Stat(data)
	if err != nil || os.Geteuid() != 0 {
		return account{}, false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok || sys.Uid == 0 {
		return account{}, false
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(sys.Uid), 10))
	if err != nil {
		return account{}, false
	}
	a, err := switchedAccount(u)
	return a, err == nil
}

func switchedAccount(u *user.User) (account, error) {
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return account{}, fmt.Errorf("read id of user %s: %w", u.Username, err)
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return account{}, fmt.Errorf("read group of user %s: %w", u.Username, err)
	}
	return account{name: u.Username, uid: uid, gid: gid, switched: true}, nil
}

// attributes is how to start a process as the account: in a process group of
// its own, so that a Ctrl-C in the terminal is for us to act on.
func (a account) attributes() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if a.switched {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// own gives a folder, and all that is in it, to the account.
func (a account) own(dir string) error {
	if !a.switched {
		return nil
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("give %s to user %s: %w", dir, a.name, err)
		}
		if err := os.Lchown(path, a.uid, a.gid); err != nil {
			return fmt.Errorf("give folder to user %s: %w", a.name, err)
		}
		return nil
	})
}

// barrier returns the first folder on the way down to dir that the account may
// not enter, or "".
func (a account) barrier(dir string) string {
	if !a.switched {
		return ""
	}
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved
	}
	var blocked string
	for {
		if !a.mayEnter(dir) {
			blocked = dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return blocked
		}
		dir = parent
	}
}

func (a account) mayEnter(dir string) bool {
	st, err := os.Stat(dir)
	if err != nil {
		return false
	}
	sys, ok := st.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return true
	case int(sys.Uid) == a.uid:
		return st.Mode().Perm()&0o100 != 0
	case int(sys.Gid) == a.gid:
		return st.Mode().Perm()&0o010 != 0
	}
	return st.Mode().Perm()&0o001 != 0
}
