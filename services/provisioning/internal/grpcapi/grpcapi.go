// Package grpcapi is provisioning's gRPC API: it reads what was asked, makes
// one call, and says what came of it in the words of the API.
//
// Who may call a method at all is declared in the proto. What is decided here
// is what a caller sees: members see their own grants and accounts, and the
// work items of the apps that they run; anything else is unknown to them.
package grpcapi

import (
	"context"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/provisioning/internal/access"
	"gatehouse.dev/services/provisioning/internal/integration"
	"gatehouse.dev/services/provisioning/internal/store"
	"gatehouse.dev/services/provisioning/internal/wire"
)

// API serves all of provisioning's gRPC services.
type API struct {
	provisioningv1.UnimplementedIntegrationServiceServer
	provisioningv1.UnimplementedGrantServiceServer
	provisioningv1.UnimplementedAccountServiceServer
	provisioningv1.UnimplementedWorkItemServiceServer
	provisioningv1.UnimplementedChecklistServiceServer

	db           *postgres.DB
	engine       *access.Engine
	integrations *integration.Integrations
}

// New makes an API.
func New(db *postgres.DB, engine *access.Engine, integrations *integration.Integrations) *API {
	return &API{db: db, engine: engine, integrations: integrations}
}

// Register registers all services.
func (a *API) Register(s grpc.ServiceRegistrar) {
	provisioningv1.RegisterIntegrationServiceServer(s, a)
	provisioningv1.RegisterGrantServiceServer(s, a)
	provisioningv1.RegisterAccountServiceServer(s, a)
	provisioningv1.RegisterWorkItemServiceServer(s, a)
	provisioningv1.RegisterChecklistServiceServer(s, a)
}

// read runs f in a transaction of the caller's organization that only reads.
func (a *API) read(ctx context.Context, f func(ctx context.Context, tx *postgres.Tx, caller authz.Caller) error) error {
	caller := authz.Must(ctx)
	return a.db.InOrganizationRead(ctx, caller.OrganizationID, func(ctx context.Context, tx *postgres.Tx) error {
		return f(ctx, tx, caller)
	})
}

// person is the caller as the engine knows them: others than admins act on the
// apps that they run.
func person(c authz.Caller) access.Person {
	p := access.Person{Caller: c}
	if !c.SeesAll() {
		p.Admin = c.UserID
	}
	return p
}

// own restricts a list to the caller's own rows if they see no others.
func own(c authz.Caller, user uuid.UUID) (uuid.UUID, error) {
	switch {
	case c.SeesAll():
		return user, nil
	case user != uuid.Nil && user != c.UserID:
		return uuid.Nil, apierr.Denied("NOT_YOURS", "you may list your own only").
			WithField("user_id", "NOT_YOURS", "you may list your own only")
	}
	return c.UserID, nil
}

// optional reads an id that may be empty.
func optional(field, s string) (uuid.UUID, error) {
	if s == "" {
		return uuid.Nil, nil
	}
	return id.Parse(field, s)
}

// after reads a page token that is an id.
func after(token string) (uuid.UUID, error) {
	keys, err := page.Decode(token, 1)
	if err != nil || keys == nil {
		return uuid.Nil, err
	}
	return id.Parse("page_token", keys[0])
}

// afterTime reads a page token that is a time and an id, as timeKey makes it.
func afterTime(token string) (t time.Time, which uuid.UUID, err error) {
	keys, err := page.Decode(token, 2)
	if err != nil || keys == nil {
		return t, uuid.Nil, err
	}
	if t, err = time.Parse(time.RFC3339Nano, keys[0]); err != nil {
		return t, uuid.Nil, apierr.InvalidField("page_token", "PAGE_TOKEN_INVALID", "not a page token of this list")
	}
	which, err = id.Parse("page_token", keys[1])
	return t, which, err
}

func timeKey(t time.Time, which uuid.UUID) []string {
	return []string{t.UTC().Format(time.RFC3339Nano), which.String()}
}

// cut cuts a list that was read with one row more than its page down to the
// page, and gives the token of the next.
func cut[T any](list []T, size int, key func(*T) []string) ([]T, string) {
	if len(list) <= size {
		return list, ""
	}
	list = list[:size]
	return list, page.Encode(key(&list[size-1])...)
}

func convert[T, P any](list []T, to func(*T) P) []P {
	out := make([]P, len(list))
	for i := range list {
		out[i] = to(&list[i])
	}
	return out
}

// ListGrants lists grants.
func (a *API) ListGrants(ctx context.Context, r *provisioningv1.ListGrantsRequest) (*provisioningv1.ListGrantsResponse, error) {
	size := page.Size(r.GetPageSize())
	want := store.GrantFilter{State: wire.ParseGrantState(r.GetState()), Limit: size + 1}
	var err error
	if want.User, err = optional("user_id", r.GetUserId()); err != nil {
		return nil, err
	}
	if want.App, err = optional("app_id", r.GetAppId()); err != nil {
		return nil, err
	}
	if want.Request, err = optional("request_id", r.GetRequestId()); err != nil {
		return nil, err
	}
	if want.Before, err = after(r.GetPageToken()); err != nil {
		return nil, err
	}
	var list []store.NamedGrant
	err = a.read(ctx, func(ctx context.Context, tx *postgres.Tx, caller authz.Caller) (err error) {
		want.Organization = caller.OrganizationID
		if want.User, err = own(caller, want.User); err != nil {
			return err
		}
		list, err = store.ListGrants(ctx, tx, want)
		return err
	})
	if err != nil {
		return nil, err
	}
	list, next := cut(list, size, func(g *store.NamedGrant) []string { return []string{g.ID.String()} })
	return &provisioningv1.ListGrantsResponse{Grants: convert(list, wire.Grant), NextPageToken: next}, nil
}

// GetGrant shows one grant.
func (a *API) GetGrant(ctx context.Context, r *provisioningv1.GetGrantRequest) (*provisioningv1.GetGrantResponse, error) {
	grant, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	var found store.NamedGrant
	err = a.read(ctx, func(ctx context.Context, tx *postgres.Tx, caller authz.Caller) (err error) {
		found, err = store.GetGrant(ctx, tx, caller.OrganizationID, grant)
		if err == nil && !caller.SeesAll() && found.User.ID != caller.UserID {
			return store.ErrGrantNotFound
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &provisioningv1.GetGrantResponse{Grant: wire.Grant(&found)}, nil
}

// ListAccounts lists accounts.
func (a *API) ListAccounts(ctx context.Context, r *provisioningv1.ListAccountsRequest) (*provisioningv1.ListAccountsResponse, error) {
	size := page.Size(r.GetPageSize())
	want := store.AccountFilter{Limit: size + 1}
	var err error
	if want.User, err = optional("user_id", r.GetUserId()); err != nil {
		return nil, err
	}
	if want.App, err = optional("app_id", r.GetAppId()); err != nil {
		return nil, err
	}
	if want.BeforeTime, want.Before, err = afterTime(r.GetPageToken()); err != nil {
		return nil, err
	}
	var list []store.NamedAccount
	err = a.read(ctx, func(ctx context.Context, tx *postgres.Tx, caller authz.Caller) (err error) {
		want.Organization = caller.OrganizationID
		if want.User, err = own(caller, want.User); err != nil {
			return err
		}
		list, err = store.ListAccounts(ctx, tx, want)
		return err
	})
	if err != nil {
		return nil, err
	}
	list, next := cut(list, size, func(n *store.NamedAccount) []string { return timeKey(n.SeatTime, n.ID) })
	return &provisioningv1.ListAccountsResponse{Accounts: convert(list, wire.Account), NextPageToken: next}, nil
}
