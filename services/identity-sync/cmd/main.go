// Command identity-sync runs identity-sync as a process of its own.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/outgoing"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/secretbox"
	"gatehouse.dev/libs/service"
	identitysync "gatehouse.dev/services/identity-sync"
)

func main() {
	if len(os.Args) > 1 {
		other := map[string]func(args []string) int{"sign-in-link": signInLink, "raise-versions": raiseVersions}[os.Args[1]]
		if other != nil {
			os.Exit(other(os.Args[2:]))
		}
	}
	os.Exit(service.Main(identitysync.Name, run))
}

// signInLink prints a one-time link.
func signInLink(args []string) int {
	flags := flag.NewFlagSet("identity-sync sign-in-link", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: identity-sync sign-in-link [flags] USER-NAME")
		flags.PrintDefaults()
	}
	organization := flags.String("organization", "", "sign-in name or id of the person's organization, where people of several have the user name")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return 2
	}
	return onDatabase("sign-in-link", func(ctx context.Context, urls postgres.URLs) error {
		link, err := identitysync.CreateSignInLink(ctx, urls, flags.Arg(0), *organization)
		if err == nil {
			fmt.Printf("Signs in %s once, until %s. Open this path of your Gatehouse:\n%s\n", link.Name, link.ExpireTime.Local().Format(time.DateTime), link.Path)
		}
		return err
	})
}

// raiseVersions is for after a restore of an older backup.
func raiseVersions(args []string) int {
	if len(args) != 0 {
		fmt.Fprintln(os.Stderr, "usage: identity-sync raise-versions")
		return 2
	}
	return onDatabase("raise-versions", identitysync.RaiseVersions)
}

// onDatabase does something beside the service. It takes the addresses of the database
// from the settings, and nothing else.
func onDatabase(name string, do func(context.Context, postgres.URLs) error) int {
	env := service.ProcessEnv()
	urls := postgres.URLs{URL: env.Required("GATEHOUSE_POSTGRES_URL"), SystemURL: env.Required("GATEHOUSE_POSTGRES_SYSTEM_URL")}
	err := env.Err()
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = do(ctx, urls)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "identity-sync %s: %v\n", name, err)
		return 1
	}
	return 0
}

func run(ctx context.Context, env service.Env, lis service.Listeners, log *slog.Logger) error {
	cfg := identitysync.Config{
		Config:      backend.FromEnv(env, false),
		AllowSignUp: env.Bool("GATEHOUSE_ALLOW_SIGN_UP", false),
		DevSignIn:   env.Bool("GATEHOUSE_DEV_SIGN_IN", false),

		CallTimeout: identitysync.CallTimeoutFromEnv(env),

		SessionLifetime: env.Duration("GATEHOUSE_SESSION_LIFETIME", 12*time.Hour),
		SessionIdle:     env.Duration("GATEHOUSE_SESSION_IDLE", time.Hour),
	}
	reached := env.String("GATEHOUSE_OUTGOING_ALLOW", "")
	key := env.Required("GATEHOUSE_ENCRYPTION_KEY")
	clients := env.String("GATEHOUSE_CLIENTS", "")
	if err := env.Err(); err != nil {
		return err
	}
	var err error
	if cfg.EncryptionKey, cfg.OlderKeys, err = secretbox.ParseKeys(key); err != nil {
		return fmt.Errorf("GATEHOUSE_ENCRYPTION_KEY: %w", err)
	}
	if cfg.Outgoing, err = outgoing.Parse(reached); err != nil {
		return fmt.Errorf("GATEHOUSE_OUTGOING_ALLOW: %w", err)
	}
	if cfg.Clients, err = identitysync.ParseClients(clients); err != nil {
		return fmt.Errorf("GATEHOUSE_CLIENTS: %w", err)
	}
	return identitysync.Run(ctx, cfg, lis, log)
}
