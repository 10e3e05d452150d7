// Command gateway runs the gateway as a process of its own.
package main

import (
	"context"
	"log/slog"
	"os"

	"gatehouse.dev/libs/service"
	"gatehouse.dev/services/gateway"
)

func main() { os.Exit(service.Main("gateway", run)) }

func run(ctx context.Context, env service.Env, lis service.Listeners, log *slog.Logger) error {
	hosts, proxies, err := gateway.Outside(env)
	if err != nil {
		return err
	}
	cfg := gateway.Config{
		Limits:           service.LimitsFromEnv(env),
		Timeouts:         service.TimeoutsFromEnv(env),
		Hosts:            hosts,
		Proxies:          proxies,
		IdentityAddr:     env.RequiredPeer("GATEHOUSE_IDENTITY_ADDR"),
		IdentityHTTPAddr: env.RequiredPeer("GATEHOUSE_IDENTITY_HTTP_ADDR"),
		RequestAddr:      env.RequiredPeer("GATEHOUSE_REQUEST_ADDR"),
		ApprovalAddr:     env.RequiredPeer("GATEHOUSE_APPROVAL_ADDR"),
		ProvisioningAddr: env.RequiredPeer("GATEHOUSE_PROVISIONING_ADDR"),
		AuditAddr:        env.RequiredPeer("GATEHOUSE_AUDIT_ADDR"),
		DevSignIn:        env.Bool("GATEHOUSE_DEV_SIGN_IN", false),
		ClientTLS:        env.ClientTLS(),
		NATSURL:          env.NATSURL(),
		NATSTLS:          env.NATSTLS(),
	}
	if err := env.Err(); err != nil {
		return err
	}
	return gateway.Run(ctx, cfg, lis, log)
}
