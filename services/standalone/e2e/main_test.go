package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gatehouse.dev/libs/busserver"
	"gatehouse.dev/libs/pgserver"
	"gatehouse.dev/libs/postgres"
)

// Set for the process that TestMain plays in place of the tests: a PostgreSQL
// or a NATS with its data in a folder, so that a test can kill it.
const (
	storeKind = "GATEHOUSE_TEST_STORE"
	storeDir  = "GATEHOUSE_TEST_STORE_DIR"
	storeAddr = "GATEHOUSE_TEST_STORE_ADDR" // of NATS
)

func TestMain(m *testing.M) {
	kind := os.Getenv(storeKind)
	if kind == "" {
		os.Exit(run(m))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test's process has ended
		stop()
	}()
	serve := map[string]func(context.Context, string, *slog.Logger) error{"postgres": servePostgres, "nats": serveNATS}[kind]
	if err := serve(ctx, os.Getenv(storeDir), slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "gatehouse-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// PostgreSQL's user, if this is root, gets to a data directory in it.
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // what is in it is closed itself
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	programs.dir = dir
	return m.Run()
}

// storePlaces is what the process writes down once clients can connect.
type storePlaces struct {
	Databases map[string]postgres.URLs // of each service
	Admin     map[string]string        // URL of each as the superuser
	Bus       string
}

func placesFile(dir string) string { return filepath.Join(dir, "places.json") }

func (p storePlaces) write(dir string) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	half := placesFile(dir) + ".half"
	if err := os.WriteFile(half, b, 0o600); err != nil {
		return err
	}
	return os.Rename(half, placesFile(dir))
}

// servePostgres is the PostgreSQL of the one-process form. Fsync is for its
// company: a killed process leaves what it wrote to the system, but a server
// without Fsync does not even write before it says that a commit stands.
func servePostgres(ctx context.Context, dir string, log *slog.Logger) (err error) {
	pg, err := pgserver.Start(ctx, pgserver.Config{Dir: filepath.Join(dir, "pg"), Fsync: true, Logins: logins(), Log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pg.Stop(context.WithoutCancel(ctx))) }()
	p := storePlaces{Admin: map[string]string{}}
	if p.Databases, err = makeDatabases(ctx, pg); err != nil {
		return err
	}
	for n := range p.Databases {
		p.Admin[n] = pg.AdminURL(databaseName(n))
	}
	if err := p.write(dir); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// serveNATS is the NATS of the one-process form, at an address that stays. A
// client that looks for it there may have got the port for its own end, for a
// moment, so that is waited for.
func serveNATS(ctx context.Context, dir string, log *slog.Logger) error {
	cfg := busserver.Config{Dir: filepath.Join(dir, "nats"), Addr: os.Getenv(storeAddr), Users: busUsers(), Log: log}
	for {
		s, err := busserver.Start(cfg)
		if err == nil {
			defer s.Stop()
			if err := (storePlaces{Bus: s.URL()}).write(dir); err != nil {
				return err
			}
			<-ctx.Done()
			return nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(50 * time.Millisecond):
		}
	}
}
