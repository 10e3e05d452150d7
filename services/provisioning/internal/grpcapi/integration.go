package grpcapi

import (
	"context"
	"strings"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/resource"
	"gatehouse.dev/libs/scope"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	"gatehouse.dev/services/provisioning/internal/command"
	"gatehouse.dev/services/provisioning/internal/connector"
	"gatehouse.dev/services/provisioning/internal/convert"
)

// CreateIntegration makes an integration.
func (a *API) CreateIntegration(ctx context.Context, r *provisioningv1.CreateIntegrationRequest) (*provisioningv1.CreateIntegrationResponse, error) {
	environment, err := optional("environment_id", r.GetEnvironmentId())
	if err != nil {
		return nil, err
	}
	out, _, err := idempotency.Do(ctx, a.answers, r, func(ctx context.Context) (*provisioningv1.CreateIntegrationResponse, error) {
		i, err := a.integrations.Create(ctx, authz.Must(ctx), environment, settings(r.GetName(), r.GetScim(), r.GetAccess()))
		if err != nil {
			return nil, err
		}
		return &provisioningv1.CreateIntegrationResponse{Integration: convert.Integration(&i)}, nil
	})
	return out, err
}

// GetIntegration shows one integration.
func (a *API) GetIntegration(ctx context.Context, r *provisioningv1.GetIntegrationRequest) (*provisioningv1.GetIntegrationResponse, error) {
	which, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	i, err := a.integrations.Show(ctx, authz.Must(ctx).Scope(), which)
	if err != nil {
		return nil, err
	}
	return &provisioningv1.GetIntegrationResponse{Integration: convert.Integration(&i)}, nil
}

// LookUpIntegration shows one integration to the request service.
func (a *API) LookUpIntegration(ctx context.Context, r *provisioningv1.LookUpIntegrationRequest) (*provisioningv1.LookUpIntegrationResponse, error) {
	which, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	whoAsks, err := scopeOf(r)
	if err != nil {
		return nil, err
	}
	i, err := a.integrations.Get(ctx, whoAsks, which)
	if err != nil {
		return nil, err
	}
	return &provisioningv1.LookUpIntegrationResponse{Integration: convert.Integration(&i)}, nil
}

// ListIntegrations lists integrations.
func (a *API) ListIntegrations(ctx context.Context, r *provisioningv1.ListIntegrationsRequest) (*provisioningv1.ListIntegrationsResponse, error) {
	list, next, err := a.integrations.List(ctx, authz.Must(ctx), r)
	if err != nil {
		return nil, err
	}
	return &provisioningv1.ListIntegrationsResponse{Integrations: messages(list, convert.Integration), NextPageToken: next}, nil
}

// UpdateIntegration changes an integration.
func (a *API) UpdateIntegration(ctx context.Context, r *provisioningv1.UpdateIntegrationRequest) (*provisioningv1.UpdateIntegrationResponse, error) {
	which, err := id.Parse("integration.id", r.GetIntegration().GetId())
	if err != nil {
		return nil, err
	}
	u := resource.Update[*provisioningv1.Integration]{
		Field: "integration", Resource: r.GetIntegration(), Mask: r.GetUpdateMask(), Fields: []string{"name", "scim", "access"},
		Rules: &provisioningv1.CreateIntegrationRequest{},
	}
	i, err := a.integrations.Update(ctx, authz.Must(ctx), which, r.GetLeaveAccounts(), func(before command.Integration) (command.IntegrationSettings, error) {
		m, err := u.Apply(convert.Integration(&before))
		return settings(m.GetName(), m.GetScim(), m.GetAccess()), err
	})
	if err != nil {
		return nil, u.Within(err)
	}
	return &provisioningv1.UpdateIntegrationResponse{Integration: convert.Integration(&i)}, nil
}

// DeleteIntegration deletes an integration.
func (a *API) DeleteIntegration(ctx context.Context, r *provisioningv1.DeleteIntegrationRequest) (*provisioningv1.DeleteIntegrationResponse, error) {
	which, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	if err := a.integrations.Delete(ctx, authz.Must(ctx), which, r.GetEtag()); err != nil {
		return nil, err
	}
	return &provisioningv1.DeleteIntegrationResponse{}, nil
}

// PreviewAccounts looks an app's accounts up elsewhere.
func (a *API) PreviewAccounts(ctx context.Context, r *provisioningv1.PreviewAccountsRequest) (*provisioningv1.PreviewAccountsResponse, error) {
	app, err := id.Parse("app_id", r.GetAppId())
	if err != nil {
		return nil, err
	}
	to := command.PreviewTarget{BaseURL: r.GetScim().GetBaseUrl(), Token: r.GetScim().GetToken()}
	if to.Integration, err = optional("integration_id", r.GetIntegrationId()); err != nil {
		return nil, err
	}
	if (r.GetScim() == nil) == (r.GetIntegrationId() == "") {
		return nil, apierr.InvalidField("integration_id", "TARGET_REQUIRED", "say either an integration or an address to look at")
	}
	after, err := optional("page_token", r.GetPageToken())
	if err != nil {
		return nil, err
	}
	previews, more, err := a.integrations.PreviewAccounts(ctx, authz.Must(ctx), app, to, after, int(r.GetPageSize()))
	if err != nil {
		return nil, err
	}
	out := &provisioningv1.PreviewAccountsResponse{}
	for _, p := range previews {
		out.Accounts = append(out.Accounts, preview(p))
	}
	if more {
		out.NextPageToken = previews[len(previews)-1].Account.ID.String()
	}
	return out, nil
}

func preview(p command.Preview) *provisioningv1.AccountPreview {
	out := &provisioningv1.AccountPreview{Account: convert.Account(&p.Account), Found: provisioningv1.AccountFound_ACCOUNT_FOUND_NONE}
	switch {
	case connector.KindOf(p.Err) == connector.Conflict:
		out.Found, out.Error = provisioningv1.AccountFound_ACCOUNT_FOUND_OF_ANOTHER, p.Err.Error()
	case p.Err != nil:
		out.Found, out.Error = provisioningv1.AccountFound_ACCOUNT_FOUND_UNKNOWN, p.Err.Error()
	case p.Found != nil:
		out.Found, out.FoundExternalId, out.FoundUserName = provisioningv1.AccountFound_ACCOUNT_FOUND_BY_USER_NAME, p.Found.ID, p.Found.UserName
		if p.Found.Ours {
			out.Found = provisioningv1.AccountFound_ACCOUNT_FOUND_OURS
		}
	}
	return out
}

// ListIntegrationEntitlements lists what an app has to give.
func (a *API) ListIntegrationEntitlements(ctx context.Context, r *provisioningv1.ListIntegrationEntitlementsRequest) (*provisioningv1.ListIntegrationEntitlementsResponse, error) {
	which, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	after, err := page.Decode(r.GetPageToken(), 1)
	if err != nil {
		return nil, err
	}
	l := connector.Listing{Kind: enum.Word(r.GetKind()), Query: r.GetQuery(), After: strings.Join(after, ""), Size: int(r.GetPageSize())}
	listed, err := a.integrations.ListEntitlements(ctx, authz.Must(ctx), which, l)
	if err != nil {
		return nil, err
	}
	out := &provisioningv1.ListIntegrationEntitlementsResponse{}
	for _, o := range listed.Offers {
		out.Entitlements = append(out.Entitlements, &provisioningv1.IntegrationEntitlement{Kind: r.GetKind(), Ref: o.Ref, DisplayName: o.Name})
	}
	if listed.Next != "" {
		out.NextPageToken = page.Encode(listed.Next)
	}
	return out, nil
}

// found is what a look for an entitlement found, in the API.
var found = map[command.Found]provisioningv1.EntitlementFound{
	command.FoundUnknown: provisioningv1.EntitlementFound_ENTITLEMENT_FOUND_UNKNOWN,
	command.FoundNone:    provisioningv1.EntitlementFound_ENTITLEMENT_FOUND_NONE,
	command.FoundOne:     provisioningv1.EntitlementFound_ENTITLEMENT_FOUND_ONE,
	command.FoundSeveral: provisioningv1.EntitlementFound_ENTITLEMENT_FOUND_SEVERAL,
}

// LookUpEntitlement says to the request service whether an app has an entitlement.
func (a *API) LookUpEntitlement(ctx context.Context, r *provisioningv1.LookUpEntitlementRequest) (*provisioningv1.LookUpEntitlementResponse, error) {
	which, err := id.Parse("id", r.GetId())
	if err != nil {
		return nil, err
	}
	whoAsks, err := scopeOf(r)
	if err != nil {
		return nil, err
	}
	f, err := a.integrations.LookUpEntitlement(ctx, whoAsks, which, connector.Entitlement{Kind: enum.Word(r.GetKind()), Ref: r.GetRef()})
	if err != nil {
		return nil, err
	}
	return &provisioningv1.LookUpEntitlementResponse{Found: found[f]}, nil
}

// scopeOf is the scope of whoever a service asks for.
func scopeOf(r interface {
	GetOrganizationId() string
	GetEnvironmentId() string
},
) (s scope.Scope, err error) {
	if s.OrganizationID, err = id.Parse("organization_id", r.GetOrganizationId()); err != nil {
		return s, err
	}
	s.EnvironmentID, err = optional("environment_id", r.GetEnvironmentId())
	return s, err
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
	return &provisioningv1.TestIntegrationResponse{Integration: convert.Integration(&i)}, nil
}

func settings(name string, s *provisioningv1.ScimSettings, access provisioningv1.IntegrationAccess) command.IntegrationSettings {
	if access == provisioningv1.IntegrationAccess_INTEGRATION_ACCESS_UNSPECIFIED {
		access = provisioningv1.IntegrationAccess_INTEGRATION_ACCESS_READ_WRITE
	}
	return command.IntegrationSettings{Name: name, BaseURL: s.GetBaseUrl(), Token: s.GetToken(), Access: enum.Word(access)}
}
