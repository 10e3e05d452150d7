// Package audit runs the audit service: it records every event, once and for
// good, and shows the log and the trail of each request. See its README.
package audit

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	"gatehouse.dev/libs/admission"
	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/service"
	auditv1 "gatehouse.dev/proto/gen/gatehouse/audit/v1"
	"gatehouse.dev/services/audit/internal/command"
	"gatehouse.dev/services/audit/internal/consume"
	"gatehouse.dev/services/audit/internal/entry"
	"gatehouse.dev/services/audit/internal/grpcapi"
	"gatehouse.dev/services/audit/internal/jsonform"
	"gatehouse.dev/services/audit/migrations"
)

// Config says what the service stands on.
type Config struct {
	backend.Config
	// EventsJSON tells every event a second time, in JSON, on a stream of its own.
	EventsJSON bool
}

// Run serves until ctx ends, and then returns nil.
func Run(ctx context.Context, cfg Config, lis service.Listeners, log *slog.Logger) error {
	b, err := backend.Open(ctx, "audit", cfg.Config, migrations.FS, log)
	if err != nil {
		return err
	}
	defer b.Close(ctx)
	b.DB.Admit(admission.By("user_version"))
	commands := &command.Commands{DB: b.DB, Events: b.Events, Clock: b.Clock, Renderer: entry.NewRenderer()}
	var tasks []service.Task
	if cfg.EventsJSON {
		form, err := jsonform.New(jsonform.Config{DB: b.DB, Bus: b.Bus, Keys: cfg.Keys, Log: log, Telemetry: b.Telemetry})
		if err != nil {
			return fmt.Errorf("make the JSON form: %w", err)
		}
		tasks = append(tasks, service.Task{Name: "JSON form", Run: form.Run})
	}
	return b.Run(ctx, lis, backend.Spec{
		Register: func(s grpc.ServiceRegistrar) {
			auditv1.RegisterAuditServiceServer(s, &grpcapi.Audit{Commands: commands})
		},
		Handlers: consume.Handlers(commands, log),
		// Nobody waits for the log: under load it is written in larger batches.
		Linger: 10 * time.Millisecond,
		Tasks:  tasks,
	})
}
