package grpcapi

import (
	"context"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/postgres"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/provisioning/internal/integration"
	"gatehouse.dev/services/provisioning/internal/store"
	"gatehouse.dev/services/provisioning/internal/wire"
)

// CreateIntegration makes an integration.
func (a *API) CreateIntegration(ctx context.Context, r *provisioningv1.CreateIntegrationRequest) (*provisioningv1.CreateIntegrationResponse, error) {
	i, err := a.integrations.Create(ctx, authz.Must(ctx), settings(r.GetName(), r.GetScim()))
	if err != nil {
		return nil, err
	}
	return &provisioningv1.CreateIntegrationResponse{Integration: wire.Integration(&i)}, nil
}

// GetIntegration shows one integration.
func (a *API) GetIntegration(ctx context.Context, r *provisioningv1.GetIntegrationRequest) (*provisioningv1.GetIntegrationResponse, error) {
	which, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	i, err := a.integrations.Get(ctx, authz.Must(ctx).OrganizationID, which)
	if err != nil {
		return nil, err
	}
	return &provisioningv1.GetIntegrationResponse{Integration: wire.Integration(&i)}, nil
}

// ListIntegrations lists integrations.
func (a *API) ListIntegrations(ctx context.Context, r *provisioningv1.ListIntegrationsRequest) (*provisioningv1.ListIntegrationsResponse, error) {
	size := page.Size(r.GetPageSize())
	keys, err := page.Decode(r.GetPageToken(), 1)
	if err != nil {
		return nil, err
	}
	name := ""
	if keys != nil {
		name = keys[0]
	}
	var list []store.Integration
	err = a.read(ctx, func(ctx context.Context, tx *postgres.Tx, caller authz.Caller) (err error) {
		list, err = store.ListIntegrations(ctx, tx, caller.OrganizationID, name, size+1)
		return err
	})
	if err != nil {
		return nil, err
	}
	list, next := cut(list, size, func(i *store.Integration) []string { return []string{i.Name} })
	return &provisioningv1.ListIntegrationsResponse{Integrations: convert(list, wire.Integration), NextPageToken: next}, nil
}

// UpdateIntegration changes an integration.
func (a *API) UpdateIntegration(ctx context.Context, r *provisioningv1.UpdateIntegrationRequest) (*provisioningv1.UpdateIntegrationResponse, error) {
	which, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	i, err := a.integrations.Update(ctx, authz.Must(ctx), which, settings(r.GetName(), r.GetScim()))
	if err != nil {
		return nil, err
	}
	return &provisioningv1.UpdateIntegrationResponse{Integration: wire.Integration(&i)}, nil
}

// TestIntegration tests an integration.
func (a *API) TestIntegration(ctx context.Context, r *provisioningv1.TestIntegrationRequest) (*provisioningv1.TestIntegrationResponse, error) {
	which, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	i, err := a.integrations.Test(ctx, authz.Must(ctx), which)
	if err != nil {
		return nil, err
	}
	return &provisioningv1.TestIntegrationResponse{Integration: wire.Integration(&i)}, nil
}

func settings(name string, s *provisioningv1.ScimSettings) integration.Settings {
	return integration.Settings{Name: name, BaseURL: s.GetBaseUrl(), Token: s.GetToken()}
}
