// Command identity-sync runs identity-sync as a process of its own.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/secretbox"
	"gatehouse.dev/libs/service"
	identitysync "gatehouse.dev/services/identity-sync"
)

func main() { os.Exit(service.Main(identitysync.Name, run)) }

func run(ctx context.Context, env service.Env, lis service.Listeners, log *slog.Logger) error {
	cfg := identitysync.Config{
		Config:      backend.FromEnv(env, false),
		AllowSignUp: env.Bool("GATEHOUSE_ALLOW_SIGN_UP", false),
		DevSignIn:   env.Bool("GATEHOUSE_DEV_SIGN_IN", false),
	}
	key := env.Required("GATEHOUSE_ENCRYPTION_KEY")
	clients := env.String("GATEHOUSE_CLIENTS", "")
	if err := env.Err(); err != nil {
		return err
	}
	var err error
	if cfg.EncryptionKey, cfg.OlderKeys, err = secretbox.ParseKeys(key); err != nil {
		return fmt.Errorf("GATEHOUSE_ENCRYPTION_KEY: %w", err)
	}
	if cfg.Clients, err = identitysync.ParseClients(clients); err != nil {
		return fmt.Errorf("GATEHOUSE_CLIENTS: %w", err)
	}
	return identitysync.Run(ctx, cfg, lis, log)
}
