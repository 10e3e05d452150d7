// Command audit runs the audit service as a process of its own.
package main

import (
	"context"
	"log/slog"
	"os"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/services/audit"
)

func main() { os.Exit(service.Main("audit", run)) }

func run(ctx context.Context, env service.Env, lis service.Listeners, log *slog.Logger) error {
	cfg := audit.Config{Config: backend.FromEnv(env, true), EventsJSON: env.Bool("GATEHOUSE_EVENTS_JSON", false)}
	if err := env.Err(); err != nil {
		return err
	}
	return audit.Run(ctx, cfg, lis, log)
}
