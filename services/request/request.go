// Package request runs the request service: the catalog of apps, and requests
// for access to be granted or revoked, with their comments and timelines.
package request

import (
	"context"
	"log/slog"

	"google.golang.org/grpc"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/service"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/request/internal/command"
	"gatehouse.dev/services/request/internal/consume"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/grpcapi"
	"gatehouse.dev/services/request/migrations"
)

// Config says what the service stands on.
type Config struct {
	backend.Config
	// ProvisioningAddr is provisioning's gRPC address, host:port. It is asked
	// whether an integration works when an app is to be automatic, and whether its app
	// has an entitlement.
	ProvisioningAddr string
	// ApprovalAddr is approval's gRPC address, host:port. It gives the snapshots of
	// flows, and is asked who would decide a request that is not submitted yet.
	ApprovalAddr string
}

// Run serves until ctx ends.
func Run(ctx context.Context, cfg Config, lis service.Listeners, log *slog.Logger) error {
	b, err := backend.Open(ctx, "request", cfg.Config, migrations.FS, log, migrations.Included()...)
	if err != nil {
		return err
	}
	defer b.Close(ctx)
	provisioning, err := b.Dial("provisioning", cfg.ProvisioningAddr)
	if err != nil {
		return err
	}
	approval, err := b.Dial("approval", cfg.ApprovalAddr)
	if err != nil {
		return err
	}
	commands := command.New(command.Config{
		DB: b.DB, Events: b.Events, Clock: b.Clock, Integrations: provisioningv1.NewIntegrationServiceClient(provisioning),
		Flows: approvalv1.NewFlowServiceClient(approval), Due: b.Due, Quotas: b.Quotas, Progress: &copies.Progress{Bus: b.Bus, Service: b.Name},
	})
	handlers := consume.Handlers(commands)
	kept, err := b.Copies(migrations.Copied, backend.Owners{Provisioning: cfg.ProvisioningAddr, Approval: cfg.ApprovalAddr}, handlers, commands.CopiesChanged)
	if err != nil {
		return err
	}
	return b.Run(ctx, lis, backend.Spec{
		Register: func(s grpc.ServiceRegistrar) {
			grpcapi.Register(s, commands, b.Answers)
			opsv1.RegisterSnapshotServiceServer(s, copies.NewSnapshotServer(b.DB, b.Bus, convert.SnapshotApps, convert.SnapshotEntitlements))
		},
		Handlers: handlers,
		Copies:   kept,
	})
}
