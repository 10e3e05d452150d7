package standalone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/busauth"
	"gatehouse.dev/libs/busserver"
	"gatehouse.dev/libs/pgserver"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/services/standalone/internal/install"
)

// databases are the services' databases, and the private PostgreSQL that they
// are in, if they are.
type databases struct {
	urls   map[string]postgres.URLs
	server *pgserver.Server
	log    *slog.Logger
}

// openDatabases gives each service's database, in the PostgreSQL of the
// configuration or in a private one.
func openDatabases(ctx context.Context, cfg Config, secrets secrets, log *slog.Logger) (*databases, error) {
	if cfg.PostgresURL != "" {
		urls, err := createDatabases(ctx, cfg.PostgresURL, secrets)
		return &databases{urls: urls}, err
	}
	logins := make([]string, 0, len(names))
	for _, n := range names {
		logins = append(logins, install.DatabaseName(n))
	}
	server, err := pgserver.Start(ctx, pgserver.Config{
		Dir: filepath.Join(cfg.DataDir, "postgres"), Fsync: true, Logins: logins, Log: log.With("service", "postgres"),
	})
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	d := &databases{urls: make(map[string]postgres.URLs, len(names)), server: server, log: log}
	for _, n := range names {
		name := install.DatabaseName(n)
		if err := server.CreateDatabase(ctx, name, name); err != nil {
			d.stop(ctx)
			return nil, fmt.Errorf("create database of %s: %w", n, err)
		}
		d.urls[n] = server.URLs(name, name)
	}
	return d, nil
}

// stop ends the private PostgreSQL.
func (d *databases) stop(ctx context.Context) {
	if d.server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := d.server.Stop(ctx); err != nil {
		d.log.Error("PostgreSQL did not stop cleanly", "error", err)
	}
}

// createDatabases makes sure that a PostgreSQL has every service's database and the
// roles that the service logs in as. The role of the address, who may make both, owns
// and migrates them.
func createDatabases(ctx context.Context, raw string, secrets secrets) (map[string]postgres.URLs, error) {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return nil, errors.New("GATEHOUSE_POSTGRES_URL is not of the form postgres://role:password@host:port/database")
	}
	dialCtx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(dialCtx, raw)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL at %s cannot be reached (GATEHOUSE_POSTGRES_URL): %s", u.Host, lastLine(err))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var owner string
	var able bool
	err = conn.QueryRow(ctx, "select current_user, rolcreaterole and rolcreatedb and not rolsuper from pg_roles where rolname = current_user").Scan(&owner, &able)
	if err != nil {
		return nil, fmt.Errorf("look for the role of GATEHOUSE_POSTGRES_URL: %w", err)
	}
	if !able {
		return nil, fmt.Errorf("the role %q of GATEHOUSE_POSTGRES_URL must be allowed to make databases and roles (createdb createrole), and be no superuser", owner)
	}
	if err := postgres.CreateRoles(ctx, conn, owner); err != nil {
		return nil, err
	}
	urls := make(map[string]postgres.URLs, len(names))
	for _, n := range names {
		name := install.DatabaseName(n)
		password, systemPassword := secrets.text("postgres "+n), secrets.text("postgres system "+n)
		if err := postgres.CreateLogin(ctx, conn, name, password, systemPassword); err != nil {
			return nil, err
		}
		if err := postgres.CreateDatabase(ctx, conn, name, owner, name); err != nil {
			return nil, err
		}
		urls[n] = databaseURLs(u, n, secrets)
	}
	return urls, nil
}

// databaseURLs are those of a service's database in the PostgreSQL of an address.
func databaseURLs(u *url.URL, service string, secrets secrets) postgres.URLs {
	name := install.DatabaseName(service)
	as := func(who *url.Userinfo) string {
		own := *u
		own.User, own.Path = who, "/"+name
		return own.String()
	}
	return postgres.URLs{
		URL:       as(url.UserPassword(name, secrets.text("postgres "+service))),
		SystemURL: as(url.UserPassword(postgres.SystemLogin(name), secrets.text("postgres system "+service))),
		OwnerURL:  as(u.User),
	}
}

// lastLine folds a driver's error, which tells a line for each address tried.
func lastLine(err error) string {
	parts := strings.Split(strings.TrimSpace(err.Error()), "\n")
	return strings.TrimSpace(parts[len(parts)-1])
}

// operator is the user of the embedded bus for those who look inside.
const operator = "operator"

// listening is the user of the embedded bus that only listens.
const listening = "gateway"

// openBus gives the address of the bus for each user: a service, listening, or operator. It is
// the NATS of the configuration, the same for all, or an embedded one, which is nil
// otherwise.
func openBus(cfg Config, secrets secrets, log *slog.Logger) (addr func(user string) string, embedded *busserver.Server, err error) {
	if err := bus.CheckTLS(cfg.NATSURL, cfg.NATSTLS); err != nil {
		return nil, nil, err
	}
	if cfg.NATSURL != "" {
		// Said once, before every service says it.
		options := []nats.Option{nats.Timeout(5 * time.Second)}
		if cfg.NATSTLS != nil {
			options = append(options, nats.Secure(cfg.NATSTLS))
		}
		conn, err := nats.Connect(cfg.NATSURL, options...)
		if err != nil {
			return nil, nil, fmt.Errorf("NATS at %s cannot be reached (GATEHOUSE_NATS_URL): %w", hostOf(cfg.NATSURL), err)
		}
		conn.Close()
		return func(string) string { return cfg.NATSURL }, nil, nil
	}
	password := func(user string) string { return secrets.text("bus " + user) }
	users := append(slices.Clip(cfg.Subscribers), busauth.Operator(operator, password(operator)), busauth.Listener(listening, password(listening)))
	for _, n := range names {
		users = append(users, busauth.Service(n, password(n)))
	}
	server, err := busserver.Start(busserver.Config{
		Dir: filepath.Join(cfg.DataDir, "nats"), Addr: cfg.NATSAddr, Users: users, Log: log.With("service", "nats"),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("start NATS: %w", err)
	}
	return func(user string) string {
		return strings.Replace(server.URL(), "://", "://"+url.UserPassword(user, password(user)).String()+"@", 1)
	}, server, nil
}

// serverParts are the servers that run in or below this process.
func serverParts(postgres *pgserver.Server, bus *busserver.Server) (parts []service.Part) {
	add := func(name, problem string, check func() error) {
		parts = append(parts, service.Part{Name: name, Check: func(context.Context) error {
			if err := check(); err != nil {
				return service.Problem(problem, err)
			}
			return nil
		}})
	}
	if postgres != nil {
		add("PostgreSQL", "it has ended and is being started again", postgres.Check)
	}
	if bus != nil {
		add("NATS", "it takes no events, and is started again when there is disk space", bus.Check)
	}
	return parts
}

// hostOf takes an address's credentials off.
func hostOf(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.Host != "" {
		return u.Host
	}
	return "the address given"
}

// waitReady waits until the gateway and everything behind it answer.
func waitReady(ctx context.Context, base string) error {
	client := http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
		if err != nil {
			return fmt.Errorf("ask for readiness: %w", err)
		}
		if resp, err := client.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return nil // told by whoever ended it
		case <-tick.C:
		}
	}
}
