// Package grpcapi is provisioning's gRPC API. It reads a request, runs one command
// or query, and converts the result.
//
// Who may call a method at all is declared in the proto; whose rows a caller sees
// is decided in command.
package grpcapi

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/provisioning/internal/command"
	"gatehouse.dev/services/provisioning/internal/convert"
)

// API serves all of provisioning's gRPC services.
type API struct {
	provisioningv1.UnimplementedIntegrationServiceServer
	provisioningv1.UnimplementedGrantServiceServer
	provisioningv1.UnimplementedAccountServiceServer
	provisioningv1.UnimplementedWorkItemServiceServer
	provisioningv1.UnimplementedChecklistServiceServer

	engine       *command.Engine
	integrations *command.Integrations
	answers      *idempotency.Answers
}

// New makes an API.
func New(engine *command.Engine, integrations *command.Integrations, answers *idempotency.Answers) *API {
	return &API{engine: engine, integrations: integrations, answers: answers}
}

// Register registers all services.
func (a *API) Register(s grpc.ServiceRegistrar) {
	provisioningv1.RegisterIntegrationServiceServer(s, a)
	provisioningv1.RegisterGrantServiceServer(s, a)
	provisioningv1.RegisterAccountServiceServer(s, a)
	provisioningv1.RegisterWorkItemServiceServer(s, a)
	provisioningv1.RegisterChecklistServiceServer(s, a)
}

// parse reads the ids of fields; an empty one is the nil id.
func parse(fields map[string]string, into map[string]*uuid.UUID) error {
	for field, text := range fields {
		if text == "" {
			continue
		}
		var err error
		if *into[field], err = id.Parse(field, text); err != nil {
			return err
		}
	}
	return nil
}

// optional reads an id that may be empty.
func optional(field, s string) (uuid.UUID, error) {
	if s == "" {
		return uuid.Nil, nil
	}
	return id.Parse(field, s)
}

func messages[T, P any](list []T, to func(*T) P) []P {
	out := make([]P, len(list))
	for i := range list {
		out[i] = to(&list[i])
	}
	return out
}

// ListGrants lists grants.
func (a *API) ListGrants(ctx context.Context, r *provisioningv1.ListGrantsRequest) (*provisioningv1.ListGrantsResponse, error) {
	f := command.GrantFilter{State: command.GrantState(convert.Word(r.GetState()))}
	err := parse(map[string]string{"user_id": r.GetUserId(), "app_id": r.GetAppId(), "request_id": r.GetRequestId()},
		map[string]*uuid.UUID{"user_id": &f.User, "app_id": &f.App, "request_id": &f.Request})
	if err != nil {
		return nil, err
	}
	list, next, err := a.engine.ListGrants(ctx, authz.Must(ctx), f, r)
	if err != nil {
		return nil, err
	}
	return &provisioningv1.ListGrantsResponse{Grants: messages(list, convert.Grant), NextPageToken: next}, nil
}

// GetGrant shows one grant.
func (a *API) GetGrant(ctx context.Context, r *provisioningv1.GetGrantRequest) (*provisioningv1.GetGrantResponse, error) {
	grant, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	found, err := a.engine.GetGrant(ctx, authz.Must(ctx), grant)
	if err != nil {
		return nil, err
	}
	return &provisioningv1.GetGrantResponse{Grant: convert.Grant(&found)}, nil
}

// ListAccounts lists accounts.
func (a *API) ListAccounts(ctx context.Context, r *provisioningv1.ListAccountsRequest) (*provisioningv1.ListAccountsResponse, error) {
	var f command.AccountFilter
	err := parse(map[string]string{"user_id": r.GetUserId(), "app_id": r.GetAppId()}, map[string]*uuid.UUID{"user_id": &f.User, "app_id": &f.App})
	if err != nil {
		return nil, err
	}
	list, next, err := a.engine.ListAccounts(ctx, authz.Must(ctx), f, r)
	if err != nil {
		return nil, err
	}
	return &provisioningv1.ListAccountsResponse{Accounts: messages(list, convert.Account), NextPageToken: next}, nil
}
