package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// A service's database has three roles, none of them a superuser. The owner
// migrates it and does nothing else. Who serves callers works as a member of
// RuntimeRole, which reads and writes rows within a scope. Workers and consumers
// work as a member of SystemRole, which may see every organization's rows as well.
// Neither owns a table, and what is only ever added to they cannot change.
const (
	RuntimeRole = "gatehouse_runtime"
	SystemRole  = "gatehouse_system"
	// systemSuffix ends the name of a service's member of SystemRole; its member of
	// RuntimeRole has the name without it.
	systemSuffix = "_system"
)

// URLs are those of one database.
type URLs struct {
	// URL is that of a member of RuntimeRole, and SystemURL of one of SystemRole.
	URL, SystemURL string
	// OwnerURL is that of the owner, who migrates. Empty: somebody else does.
	OwnerURL string
}

// SystemLogin is the name of a login's counterpart that is a member of SystemRole.
func SystemLogin(login string) string { return login + systemSuffix }

// CreateRoles makes the roles of a PostgreSQL server that are not there, and has
// owner, which is there, own databases from now on. conn is that of a role that may
// make roles, to the same database every time.
func CreateRoles(ctx context.Context, conn *pgx.Conn, owner string) error {
	return alone(ctx, conn, func() error {
		for _, role := range []string{RuntimeRole, SystemRole} {
			if err := createRole(ctx, conn, role, "nologin"); err != nil {
				return err
			}
		}
		// Migrations see every organization's rows.
		return errors.Join(grantRole(ctx, conn, RuntimeRole, SystemRole), grantRole(ctx, conn, SystemRole, owner))
	})
}

// CreateLogin makes the roles that a service logs in as, of the name and of its
// [SystemLogin], after [CreateRoles]. A password is set each time; without one they
// are for a server that knows them otherwise.
func CreateLogin(ctx context.Context, conn *pgx.Conn, name, password, systemPassword string) error {
	return alone(ctx, conn, func() error {
		for _, l := range []struct{ name, group, password string }{
			{name, RuntimeRole, password}, {SystemLogin(name), SystemRole, systemPassword},
		} {
			if err := createRole(ctx, conn, l.name, "login"); err != nil {
				return err
			}
			if err := grantRole(ctx, conn, l.group, l.name); err != nil {
				return err
			}
			if l.password == "" {
				continue
			}
			// A password cannot be a parameter, so the server quotes it.
			var statement string
			err := conn.QueryRow(ctx, "select format('alter role %I password %L', $1::text, $2::text)", l.name, l.password).Scan(&statement)
			if err == nil {
				_, err = conn.Exec(ctx, statement)
			}
			if err != nil {
				return fmt.Errorf("set the password of role %s: %s", l.name, oneLine(err))
			}
		}
		return nil
	})
}

// CreateDatabase makes a database that owner owns and only the logins of the names
// may enter besides, if it is not there.
func CreateDatabase(ctx context.Context, conn *pgx.Conn, name, owner string, logins ...string) error {
	return alone(ctx, conn, func() error {
		var there bool
		if err := conn.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", name).Scan(&there); err != nil {
			return fmt.Errorf("look for database %s: %w", name, err)
		}
		quoted := pgx.Identifier{name}.Sanitize()
		if !there {
			if _, err := conn.Exec(ctx, "create database "+quoted+" owner "+pgx.Identifier{owner}.Sanitize()); err != nil {
				return fmt.Errorf("create database %s: %w", name, err)
			}
		}
		statements := []string{"revoke all on database " + quoted + " from public"}
		for _, l := range logins {
			statements = append(statements, "grant connect, temporary on database "+quoted+" to "+
				pgx.Identifier{l}.Sanitize()+", "+pgx.Identifier{SystemLogin(l)}.Sanitize())
		}
		for _, s := range statements {
			if _, err := conn.Exec(ctx, s); err != nil {
				return fmt.Errorf("say who may enter database %s: %w", name, err)
			}
		}
		return nil
	})
}

// alone runs do while nobody else does so in this way.
func alone(ctx context.Context, conn *pgx.Conn, do func() error) error {
	if _, err := conn.Exec(ctx, "select pg_advisory_lock($1)", int64(lockID)); err != nil {
		return fmt.Errorf("wait for others who make roles: %w", err)
	}
	err := do()
	if _, end := conn.Exec(context.WithoutCancel(ctx), "select pg_advisory_unlock($1)", int64(lockID)); err == nil && end != nil {
		err = fmt.Errorf("let others make roles: %w", end)
	}
	return err
}

func createRole(ctx context.Context, conn *pgx.Conn, name, login string) error {
	var there bool
	if err := conn.QueryRow(ctx, "select exists (select from pg_roles where rolname = $1)", name).Scan(&there); err != nil {
		return fmt.Errorf("look for role %s: %w", name, err)
	}
	if there {
		return nil
	}
	if _, err := conn.Exec(ctx, "create role "+pgx.Identifier{name}.Sanitize()+" "+login+" inherit nocreatedb nocreaterole"); err != nil {
		return fmt.Errorf("create role %s: %w", name, err)
	}
	return nil
}

func grantRole(ctx context.Context, conn *pgx.Conn, group, member string) error {
	var is bool
	err := conn.QueryRow(ctx, "select pg_has_role($1, $2, 'usage') and not (select rolsuper from pg_roles where rolname = $1)", member, group).Scan(&is)
	if err == nil && !is {
		_, err = conn.Exec(ctx, "grant "+pgx.Identifier{group}.Sanitize()+" to "+pgx.Identifier{member}.Sanitize())
	}
	if err != nil {
		return fmt.Errorf("make role %s a member of %s: %w", member, group, err)
	}
	return nil
}
