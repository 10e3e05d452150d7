package identitysync

import (
	"context"
	"fmt"
	"time"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/due"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/identity-sync/internal/command"
)

// SignInLink is a one-time link with which somebody signs in.
type SignInLink struct {
	// Path is where it leads to, after the address that Gatehouse is called by. It holds
	// the secret.
	Path string
	// Name is whom it signs in.
	Name string
	// ExpireTime is until when it can be used.
	ExpireTime time.Time
}

// CreateSignInLink makes a one-time link for an active person, by user name or id, of the
// organization with a sign-in name or id or, if that is empty, of any; where people of
// several organizations have that name, it makes none. It is for who runs Gatehouse, who
// needs nothing but the database: for the founder, and for when nobody can sign in. The
// audit log says that it was made.
func CreateSignInLink(ctx context.Context, urls postgres.URLs, user, organization string) (SignInLink, error) {
	commands, done, err := onDatabase(ctx, urls)
	if err != nil {
		return SignInLink{}, err
	}
	defer done()
	secret, u, expires, err := commands.CreateSignInLink(ctx, user, organization)
	if err != nil {
		return SignInLink{}, err
	}
	return SignInLink{Path: "/sign-in#link=" + secret, Name: u.DisplayName + " (" + u.UserName + ")", ExpireTime: expires}, nil
}

// onDatabase are the commands for who has nothing but the database, until done.
func onDatabase(ctx context.Context, urls postgres.URLs) (commands *command.Commands, done func(), err error) {
	db, err := postgres.Open(ctx, postgres.Config{URLs: urls, Name: Name, MaxConns: 2})
	if err != nil {
		return nil, nil, err
	}
	queue, err := due.New(due.Config{DB: db})
	if err != nil {
		db.Close()
		return nil, nil, fmt.Errorf("make due-queue: %w", err)
	}
	ground := &backend.Backend{DB: db, Events: outbox.NewWriter(Name, nil), Due: queue, Clock: clock.System{}}
	return command.New(ground, Config{}.sessions()), db.Close, nil
}
