// Package request runs the request service: the catalog of apps, and requests
// for access to be granted or revoked, with their comments and timelines.
package request

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"google.golang.org/grpc"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/service"
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
	// whether an integration works when an app is to be automatic.
	ProvisioningAddr string
}

// Run serves until ctx ends.
func Run(ctx context.Context, cfg Config, lis service.Listeners, log *slog.Logger) error {
	if cfg.ClientID == "" || cfg.ClientSecret == "" {
		return errors.New("the service's own client at identity-sync is not set (GATEHOUSE_CLIENT_ID, GATEHOUSE_CLIENT_SECRET)")
	}
	b, err := backend.Open(ctx, "request", cfg.Config, migrations.FS, log, migrations.Included()...)
	if err != nil {
		return err
	}
	defer b.Close(ctx)
	provisioning, err := b.Dial(cfg.ProvisioningAddr)
	if err != nil {
		return fmt.Errorf("connect to provisioning: %w", err)
	}
	defer provisioning.Close()
	commands := &command.Commands{
		DB: b.DB, Events: b.Events, Clock: b.Clock, Integrations: provisioningv1.NewIntegrationServiceClient(provisioning),
	}
	identity, err := b.Dial(cfg.IdentityAddr)
	if err != nil {
		return fmt.Errorf("connect to identity-sync: %w", err)
	}
	defer identity.Close()
	kept, err := copies.New(copies.Config{
		Service: b.Name, Kinds: migrations.Copied, DB: b.DB, Bus: b.Bus, IdentitySync: identity,
		Changed: commands.CopiesChanged, Log: log, Telemetry: b.Telemetry,
	})
	if err != nil {
		return err
	}
	handlers := consume.Handlers(commands)
	kept.Register(handlers)
	return b.Run(ctx, lis, backend.Spec{
		Register: func(s grpc.ServiceRegistrar) {
			grpcapi.Register(s, commands)
			opsv1.RegisterSnapshotServiceServer(s, copies.NewSnapshotServer(b.DB, b.Bus, convert.SnapshotApps, convert.SnapshotEntitlements))
		},
		Handlers: handlers,
		Copies:   kept,
	})
}
