// Package approval decides who may get what: flows, the steps and tasks they
// ask for, and the decisions. See its README.
package approval

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/services/approval/internal/command"
	"gatehouse.dev/services/approval/internal/consume"
	"gatehouse.dev/services/approval/internal/grpcapi"
	"gatehouse.dev/services/approval/internal/store"
	"gatehouse.dev/services/approval/migrations"
)

// Config is what approval is told.
type Config struct {
	backend.Config

	// TidyEvery is how often approvals are looked at for steps that nobody can
	// decide and reviewers who have gone, besides at once when a fact changes.
	// Zero means 30 seconds.
	TidyEvery time.Duration
	// Clock tells the time. Nil means the machine's.
	Clock clock.Clock
}

// Run runs approval until ctx ends, and then returns nil.
func Run(ctx context.Context, cfg Config, lis service.Listeners, log *slog.Logger) error {
	b, err := backend.Open(ctx, "approval", cfg.Config, migrations.FS, log)
	if err != nil {
		return err
	}
	defer b.Close(ctx)
	if cfg.Clock == nil {
		cfg.Clock = clock.System{}
	}
	if cfg.TidyEvery <= 0 {
		cfg.TidyEvery = 30 * time.Second
	}
	desk := &command.Desk{DB: b.DB, Store: store.New(b.Events), Clock: cfg.Clock, Log: log, Tidier: command.NewTidier()}
	return b.Run(ctx, lis, backend.Spec{
		Register: func(s grpc.ServiceRegistrar) { grpcapi.Register(s, desk) },
		Handlers: consume.Handlers(desk),
		Tasks: []service.Task{{
			Name: "tidier", Run: func(ctx context.Context) error { return desk.Tidy(ctx, cfg.TidyEvery) },
		}},
	})
}
