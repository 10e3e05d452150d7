// Package approval decides who may get what: by flows, the steps and tasks that
// they need, and the decisions of reviewers. See its README.
package approval

import (
	"context"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/service"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	"gatehouse.dev/services/approval/internal/command"
	"gatehouse.dev/services/approval/internal/consume"
	"gatehouse.dev/services/approval/internal/convert"
	"gatehouse.dev/services/approval/internal/grpcapi"
	"gatehouse.dev/services/approval/internal/store"
	"gatehouse.dev/services/approval/migrations"
)

// DefaultMaintenanceEvery is MaintenanceEvery where a Config says nothing else.
const DefaultMaintenanceEvery = 30 * time.Second

// Config configures approval.
type Config struct {
	backend.Config
	// RequestAddr is request's gRPC address, host:port. It gives the snapshots of
	// the catalog.
	RequestAddr string
	// MaintenanceEvery is how often approvals and flows are looked at for
	// reviewers who must be replaced and join-flows that must be matched, besides
	// at once when a copy changes. Zero means 30 seconds.
	MaintenanceEvery time.Duration
}

// Run runs approval until ctx ends, and then returns nil.
func Run(ctx context.Context, cfg Config, lis service.Listeners, log *slog.Logger) error {
	b, err := backend.Open(ctx, "approval", cfg.Config, migrations.FS, log, migrations.Included()...)
	if err != nil {
		return err
	}
	defer b.Close(ctx)
	if cfg.MaintenanceEvery <= 0 {
		cfg.MaintenanceEvery = DefaultMaintenanceEvery
	}
	maintenance, err := command.NewMaintenance(b.Telemetry.Meter("gatehouse.dev/services/approval"))
	if err != nil {
		return err
	}
	commands := command.New(command.Config{DB: b.DB, Store: store.New(b.Events, b.Clock.Now), Clock: b.Clock, Log: log, Maintenance: maintenance, Due: b.Due, Quotas: b.Quotas, Progress: &copies.Progress{Bus: b.Bus, Service: b.Name}})
	handlers := consume.Handlers(commands)
	kept, err := b.Copies(migrations.Copied, backend.Owners{Request: cfg.RequestAddr}, handlers, commands.CopiesChanged)
	if err != nil {
		return err
	}
	return b.Run(ctx, lis, backend.Spec{
		Register: func(s grpc.ServiceRegistrar) {
			grpcapi.Register(s, commands, b.Answers)
			opsv1.RegisterSnapshotServiceServer(s, copies.NewSnapshotServer(b.DB, b.Bus, convert.SnapshotFlows))
		},
		Handlers: handlers,
		Copies:   kept,
		Tasks: []service.Task{{
			Name: "maintenance", Run: func(ctx context.Context) error { return commands.Maintain(ctx, cfg.MaintenanceEvery) },
		}},
	})
}
