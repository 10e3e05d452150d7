// Command request runs the request service as a process of its own.
package main

import (
	"context"
	"log/slog"
	"os"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/service"
	"gatehouse.dev/services/request"
)

func main() { os.Exit(service.Main("request", run)) }

func run(ctx context.Context, env service.Env, lis service.Listeners, log *slog.Logger) error {
	cfg := request.Config{
		Config:           backend.FromEnv(env, true),
		ProvisioningAddr: env.RequiredPeer("GATEHOUSE_PROVISIONING_ADDR"),
		ApprovalAddr:     env.RequiredPeer("GATEHOUSE_APPROVAL_ADDR"),
	}
	if err := env.Err(); err != nil {
		return err
	}
	return request.Run(ctx, cfg, lis, log)
}
