// Command provisioning runs provisioning as a process of its own.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/outgoing"
	"gatehouse.dev/libs/secretbox"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/services/provisioning"
)

func main() { os.Exit(service.Main("provisioning", run)) }

func run(ctx context.Context, env service.Env, lis service.Listeners, log *slog.Logger) error {
	cfg := provisioning.Config{Config: backend.FromEnv(env, true), RequestAddr: env.RequiredPeer("GATEHOUSE_REQUEST_ADDR"), OperationTiming: provisioning.TimingFromEnv(env)}
	key := env.Required("GATEHOUSE_ENCRYPTION_KEY")
	err := env.Err()
	if err != nil {
		return err
	}
	if cfg.EncryptionKey, cfg.OlderKeys, err = secretbox.ParseKeys(key); err != nil {
		return fmt.Errorf("read GATEHOUSE_ENCRYPTION_KEY: %w", err)
	}
	if cfg.Outgoing, err = outgoing.Parse(env.String("GATEHOUSE_OUTGOING_ALLOW", "")); err != nil {
		return fmt.Errorf("read GATEHOUSE_OUTGOING_ALLOW: %w", err)
	}
	return provisioning.Run(ctx, cfg, lis, log)
}
