package grpcapi

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/resource"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/command"
	"gatehouse.dev/services/request/internal/convert"
)

// Register registers the API.
func Register(s grpc.ServiceRegistrar, c *command.Commands, answers *idempotency.Answers) {
	requestv1.RegisterAppServiceServer(s, appService{commands: c, answers: answers})
	requestv1.RegisterRequestServiceServer(s, requestService{commands: c, answers: answers})
	requestv1.RegisterBundleServiceServer(s, bundleService{commands: c, answers: answers})
	requestv1.RegisterConversationServiceServer(s, conversationService{commands: c, answers: answers})
}

type appService struct {
	requestv1.UnimplementedAppServiceServer
	commands *command.Commands
	answers  *idempotency.Answers
}

func (s appService) CreateApp(ctx context.Context, in *requestv1.CreateAppRequest) (*requestv1.CreateAppResponse, error) {
	f := fields{}
	app := command.App{EnvironmentID: f.id("environment_id", in.GetEnvironmentId())}
	f.app(&app, in)
	if f.err != nil {
		return nil, f.err
	}
	out, _, err := idempotency.Do(ctx, s.answers, in, func(ctx context.Context) (*requestv1.CreateAppResponse, error) {
		app, account, err := s.commands.CreateApp(ctx, authz.Must(ctx), app)
		if err != nil {
			return nil, err
		}
		return convert.CreatedApp(app, account), nil
	})
	return out, err
}

func (s appService) GetApp(ctx context.Context, in *requestv1.GetAppRequest) (*requestv1.GetAppResponse, error) {
	appID, err := id.Parse("id", in.GetId())
	if err != nil {
		return nil, err
	}
	a, err := s.commands.GetApp(ctx, authz.Must(ctx), appID)
	if err != nil {
		return nil, err
	}
	return &requestv1.GetAppResponse{App: convert.App(a)}, nil
}

func (s appService) ListApps(ctx context.Context, in *requestv1.ListAppsRequest) (*requestv1.ListAppsResponse, error) {
	apps, next, err := s.commands.ListApps(ctx, authz.Must(ctx), in.GetQuery(), in)
	if err != nil {
		return nil, err
	}
	return &requestv1.ListAppsResponse{Apps: each(apps, convert.App), NextPageToken: next}, nil
}

// catalogPage is how a search of the catalog is paged, in one order alone.
type catalogPage struct {
	*requestv1.SearchCatalogRequest
}

// GetOrderBy is none.
func (catalogPage) GetOrderBy() string { return "" }

// GetPageSize is the number of apps of a page.
func (p catalogPage) GetPageSize() int32 {
	if n := p.SearchCatalogRequest.GetPageSize(); n > 0 {
		return min(n, 100)
	}
	return 20
}

func (s appService) SearchCatalog(ctx context.Context, in *requestv1.SearchCatalogRequest) (*requestv1.SearchCatalogResponse, error) {
	by := authz.Must(ctx)
	list, next, err := s.commands.SearchCatalog(ctx, by, in.GetQuery(), catalogPage{in})
	if err != nil {
		return nil, err
	}
	out := &requestv1.SearchCatalogResponse{Apps: each(list, convert.Found), NextPageToken: next}
	if in.GetPageToken() == "" && strings.TrimSpace(in.GetQuery()) == "" {
		if out.Categories, out.Tags, err = s.commands.CatalogFacets(ctx, by); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s appService) UpdateApp(ctx context.Context, in *requestv1.UpdateAppRequest) (*requestv1.UpdateAppResponse, error) {
	appID, err := id.Parse("app.id", in.GetApp().GetId())
	if err != nil {
		return nil, err
	}
	u := resource.Update[*requestv1.App]{
		Field: "app", Resource: in.GetApp(), Mask: in.GetUpdateMask(), Rules: &requestv1.CreateAppRequest{},
		Fields: []string{
			"name", "description", "owner_id", "admin_ids", "approver_ids", "provisioning", "integration_id", "deprovisioning_action", "account_adoption",
			"offered_to_all_environments", "offered_environment_ids", "only_by_flow", "icon", "category", "tags", "sso_app_id", "instructions", "catalog_state",
		},
	}
	a, err := s.commands.UpdateApp(ctx, authz.Must(ctx), appID, func(before command.App) (command.App, []string, error) {
		m, err := u.Apply(convert.App(before))
		if err != nil {
			return before, nil, err
		}
		after := before
		f := fields{in: "app."}
		f.app(&after, m)
		return after, u.Changed(convert.App(before), convert.App(after)), f.err
	})
	if err != nil {
		return nil, u.Within(err)
	}
	return &requestv1.UpdateAppResponse{App: convert.App(a)}, nil
}

func (s appService) DeleteApp(ctx context.Context, in *requestv1.DeleteAppRequest) (*requestv1.DeleteAppResponse, error) {
	appID, err := id.Parse("id", in.GetId())
	if err != nil {
		return nil, err
	}
	a, err := s.commands.DeleteApp(ctx, authz.Must(ctx), appID, command.Deletion{ETag: in.GetEtag(), EndAccess: in.GetEndAccess()})
	if err != nil {
		return nil, err
	}
	return &requestv1.DeleteAppResponse{App: convert.App(a)}, nil
}

func (s appService) DeleteEntitlement(ctx context.Context, in *requestv1.DeleteEntitlementRequest) (*requestv1.DeleteEntitlementResponse, error) {
	appID, err := id.Parse("app_id", in.GetAppId())
	if err != nil {
		return nil, err
	}
	entitlementID, err := id.Parse("id", in.GetId())
	if err != nil {
		return nil, err
	}
	d := command.Deletion{ETag: in.GetEtag(), EndAccess: in.GetEndAccess()}
	if err := s.commands.DeleteEntitlement(ctx, authz.Must(ctx), appID, entitlementID, d); err != nil {
		return nil, err
	}
	return &requestv1.DeleteEntitlementResponse{}, nil
}

// appFields is what a new app and a changed one have alike.
type appFields interface {
	GetName() string
	GetDescription() string
	GetOwnerId() string
	GetAdminIds() []string
	GetApproverIds() []string
	GetProvisioning() requestv1.ProvisioningSupport
	GetIntegrationId() string
	GetDeprovisioningAction() requestv1.DeprovisioningAction
	GetAccountAdoption() requestv1.AccountAdoption
	GetOfferedToAllEnvironments() bool
	GetOfferedEnvironmentIds() []string
	GetOnlyByFlow() bool
	GetIcon() string
	GetCategory() string
	GetTags() []string
	GetSsoAppId() string
	GetInstructions() string
	GetCatalogState() requestv1.CatalogState
}

// app reads what can be set of an app.
func (f *fields) app(a *command.App, in appFields) {
	a.Name, a.Description = strings.TrimSpace(in.GetName()), in.GetDescription()
	a.OwnerID = convert.Nullable(f.id("owner_id", in.GetOwnerId()))
	a.AdminIDs, a.ApproverIDs = f.ids("admin_ids", in.GetAdminIds()), f.ids("approver_ids", in.GetApproverIds())
	a.Provisioning, a.IntegrationID = enum.Word(in.GetProvisioning()), convert.Nullable(f.id("integration_id", in.GetIntegrationId()))
	a.DeprovisioningAction, a.AccountAdoption = enum.Word(in.GetDeprovisioningAction()), enum.Word(in.GetAccountAdoption())
	a.OfferedToAllEnvironments, a.OfferedEnvironmentIDs = in.GetOfferedToAllEnvironments(), f.ids("offered_environment_ids", in.GetOfferedEnvironmentIds())
	a.OnlyByFlow, a.Icon = in.GetOnlyByFlow(), in.GetIcon()
	a.Category, a.Tags, a.Instructions = strings.TrimSpace(in.GetCategory()), tags(in.GetTags()), strings.TrimSpace(in.GetInstructions())
	a.SSOAppID, a.CatalogState = convert.Nullable(f.id("sso_app_id", in.GetSsoAppId())), enum.Word(in.GetCatalogState())
}

// tags are tags without the space around them, each once in whatever case.
func tags(list []string) []string {
	out := make([]string, 0, len(list))
	for _, tag := range list {
		tag = strings.TrimSpace(tag)
		if !slices.ContainsFunc(out, func(t string) bool { return strings.EqualFold(t, tag) }) {
			out = append(out, tag)
		}
	}
	return out
}

// fields reads fields of a call; err is that of the first that is wrong.
type fields struct {
	in  string // where the fields are
	err error
}

func (f *fields) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// id is an id; an empty one is the nil id.
func (f *fields) id(field, s string) uuid.UUID {
	if s == "" {
		return uuid.Nil
	}
	u, err := id.Parse(f.in+field, s)
	if err != nil {
		f.fail(err)
	}
	return u
}

// ids are ids, each once, in the order given.
func (f *fields) ids(field string, list []string) []uuid.UUID {
	out := make([]uuid.UUID, 0, len(list))
	for i, s := range list {
		u, err := id.Parse(fmt.Sprintf("%s%s[%d]", f.in, field, i), s)
		if err != nil {
			f.fail(err)
		}
		if !slices.Contains(out, u) {
			out = append(out, u)
		}
	}
	return out
}

func (s appService) CreateEntitlement(ctx context.Context, in *requestv1.CreateEntitlementRequest) (*requestv1.CreateEntitlementResponse, error) {
	appID, err := id.Parse("app_id", in.GetAppId())
	if err != nil {
		return nil, err
	}
	out, _, err := idempotency.Do(ctx, s.answers, in, func(ctx context.Context) (*requestv1.CreateEntitlementResponse, error) {
		e, err := s.commands.CreateEntitlement(ctx, authz.Must(ctx), command.Entitlement{
			AppID: appID, Name: strings.TrimSpace(in.GetName()), Description: in.GetDescription(), Kind: enum.Word(in.GetKind()), Ref: in.GetRef(),
			Risk: enum.Word(in.GetRisk()),
		})
		if err != nil {
			return nil, err
		}
		return convert.CreatedEntitlement(e), nil
	})
	return out, err
}

func (s appService) BatchCreateEntitlements(ctx context.Context, in *requestv1.BatchCreateEntitlementsRequest) (*requestv1.BatchCreateEntitlementsResponse, error) {
	appID, err := id.Parse("app_id", in.GetAppId())
	if err != nil {
		return nil, err
	}
	out, _, err := idempotency.Do(ctx, s.answers, in, func(ctx context.Context) (*requestv1.BatchCreateEntitlementsResponse, error) {
		list, err := s.commands.BatchCreateEntitlements(ctx, authz.Must(ctx), appID, each(in.GetRequests(), newEntitlement))
		if err != nil {
			return nil, err
		}
		return convert.CreatedEntitlements(list), nil
	})
	return out, err
}

func newEntitlement(in *requestv1.NewEntitlement) command.Entitlement {
	return command.Entitlement{
		Name: strings.TrimSpace(in.GetName()), Description: in.GetDescription(), Kind: enum.Word(in.GetKind()), Ref: in.GetRef(), Risk: enum.Word(in.GetRisk()),
	}
}

func (s appService) UpdateEntitlement(ctx context.Context, in *requestv1.UpdateEntitlementRequest) (*requestv1.UpdateEntitlementResponse, error) {
	appID, err := id.Parse("entitlement.app_id", in.GetEntitlement().GetAppId())
	if err != nil {
		return nil, err
	}
	entitlementID, err := id.Parse("entitlement.id", in.GetEntitlement().GetId())
	if err != nil {
		return nil, err
	}
	u := resource.Update[*requestv1.Entitlement]{
		Field: "entitlement", Resource: in.GetEntitlement(), Mask: in.GetUpdateMask(), Rules: &requestv1.CreateEntitlementRequest{},
		Fields: []string{"name", "description", "ref", "risk"},
	}
	e, err := s.commands.UpdateEntitlement(ctx, authz.Must(ctx), appID, entitlementID, func(before command.Entitlement) (command.Entitlement, []string, error) {
		m, err := u.Apply(convert.Entitlement(before))
		if err != nil {
			return before, nil, err
		}
		after := before
		after.Name, after.Description, after.Ref = strings.TrimSpace(m.GetName()), m.GetDescription(), m.GetRef()
		after.Risk = enum.Word(m.GetRisk())
		return after, u.Changed(convert.Entitlement(before), convert.Entitlement(after)), nil
	})
	if err != nil {
		return nil, u.Within(err)
	}
	return &requestv1.UpdateEntitlementResponse{Entitlement: convert.Entitlement(e)}, nil
}

// allApps stands for all apps in place of the id of one.
const allApps = "-"

func (s appService) ListEntitlements(ctx context.Context, in *requestv1.ListEntitlementsRequest) (*requestv1.ListEntitlementsResponse, error) {
	var appID uuid.NullUUID // of all apps
	if in.GetAppId() != allApps {
		app, err := id.Parse("app_id", in.GetAppId())
		if err != nil {
			return nil, err
		}
		appID = convert.Nullable(app)
	}
	list, next, err := s.commands.ListEntitlements(ctx, authz.Must(ctx), appID, in)
	if err != nil {
		return nil, err
	}
	return &requestv1.ListEntitlementsResponse{Entitlements: each(list, convert.Entitlement), NextPageToken: next}, nil
}

// each converts the rows of a page.
func each[T, M any](rows []T, convert func(T) M) []M {
	list := make([]M, len(rows))
	for i, r := range rows {
		list[i] = convert(r)
	}
	return list
}
