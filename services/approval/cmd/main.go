// Command approval runs approval as a process of its own.
package main

import (
	"context"
	"log/slog"
	"os"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/services/approval"
)

func main() { os.Exit(service.Main("approval", run)) }

func run(ctx context.Context, env service.Env, lis service.Listeners, log *slog.Logger) error {
	cfg := approval.Config{
		Config:           backend.FromEnv(env, true),
		RequestAddr:      env.RequiredPeer("GATEHOUSE_REQUEST_ADDR"),
		MaintenanceEvery: env.Duration("GATEHOUSE_APPROVAL_MAINTENANCE_EVERY", approval.DefaultMaintenanceEvery),
	}
	if err := env.Err(); err != nil {
		return err
	}
	return approval.Run(ctx, cfg, lis, log)
}
