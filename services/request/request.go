// Package request runs the request service: the catalog of apps, and requests
// for access to come or to go, with their comments, timelines and views.
package request

import (
	"context"
	"fmt"
	"log/slog"

	"google.golang.org/grpc"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/clock"
	"gatehouse.dev/libs/service"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/consume"
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
	b, err := backend.Open(ctx, "request", cfg.Config, migrations.FS, log)
	if err != nil {
		return err
	}
	defer b.Close(ctx)
	provisioning, err := b.Dial(cfg.ProvisioningAddr)
	if err != nil {
		return fmt.Errorf("connect to provisioning: %w", err)
	}
	defer provisioning.Close()
	apps := &grpcapi.Apps{
		DB: b.DB, Events: b.Events, Clock: clock.System{}, Integrations: provisioningv1.NewIntegrationServiceClient(provisioning),
	}
	requests := &grpcapi.Requests{DB: b.DB, Events: b.Events, Clock: clock.System{}}
	return b.Run(ctx, lis, backend.Spec{
		Register: func(s grpc.ServiceRegistrar) {
			requestv1.RegisterAppServiceServer(s, apps)
			requestv1.RegisterRequestServiceServer(s, requests)
		},
		Handlers: consume.Handlers(b.Events, clock.System{}),
	})
}
